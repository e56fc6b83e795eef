//! Who is asked: origins, and whether the way to them keeps a credential secret.

use mpp_core::payer::Site;
use reqwest::Method;
use url::{Host, Url};

/// Who is asked for what, as policies and payers see it: the origin, and `METHOD /path?query`.
pub fn site(method: &Method, url: &Url) -> Site {
    let mut resource = format!("{method} {}", url.path());
    if let Some(query) = url.query() {
        resource.push('?');
        resource.push_str(query);
    }
    Site { origin: of(url), resource }
}

/// Scheme, host and port, the port only where it is not the scheme's own.
pub(super) fn of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// HTTPS, or a way that does not leave this machine.
pub(super) fn is_private_enough(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost" || name.ends_with(".localhost"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_keep_a_credential_secret() {
        for (url, expected) in [
            ("https://api.example.com/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://127.8.8.8/", true),
            ("http://[::1]:80/", true),
            ("http://localhost/", true),
            ("http://app.localhost/", true),
            ("http://api.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://notlocalhost/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("ftp://localhost/", false),
        ] {
            assert_eq!(is_private_enough(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_site_is_an_origin_and_a_request_line() {
        let url = Url::parse("https://user:pw@Example.com:443/a/b?c=1#d").unwrap();
        let site = site(&Method::PUT, &url);
        assert_eq!((&*site.origin, &*site.resource), ("https://example.com", "PUT /a/b?c=1"));
    }
}
