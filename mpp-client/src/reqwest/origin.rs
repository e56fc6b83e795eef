//! Who is asked: origins, and whether the way to them keeps a credential secret.

use http::header;
use mpp_core::payer::Site;
use reqwest::{Method, Request};
use url::{Host, Url};

use crate::{
    error::{Error, Kind},
    wallet::Wallet,
};

/// Who is asked for what, as policies and payers see it: the origin, and `METHOD /path?query`.
pub fn site(method: &Method, url: &Url) -> Site {
    let mut resource = format!("{method} {}", url.path());
    if let Some(query) = url.query() {
        resource.push('?');
        resource.push_str(query);
    }
    Site { origin: of(url), resource }
}

/// Leads a request to where its payment was asked for, within its own origin: the inverse of [`site`]. What names no such
/// place is left alone.
pub(super) fn lead_to(request: &mut Request, site: &Site) {
    let Some((method, place)) = site.resource.split_once(' ') else { return };
    let Ok(method) = Method::try_from(method) else { return };
    if !place.starts_with('/') {
        return;
    }
    let (path, query) = place.split_once('?').map_or((place, None), |(p, q)| (p, Some(q)));
    // Set apart, never joined: a path like `//host/` must not become another origin.
    request.url_mut().set_path(path);
    request.url_mut().set_query(query);
    if *request.method() != method {
        *request.method_mut() = method;
        remove_content(request);
    }
}

/// What a redirect to a GET, and a call that only manages, leave behind.
pub(super) fn remove_content(request: &mut Request) {
    *request.body_mut() = None;
    for content in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::EXPECT,
    ] {
        request.headers_mut().remove(content);
    }
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

/// Whether a wallet lets money travel that way.
pub(super) fn may_carry(wallet: &Wallet, url: &Url) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default();
    if is_private_enough(url) || url.scheme() == "http" && wallet.allows_plain_http(host) {
        return Ok(());
    }
    Err(Error::untouched(Kind::InsecureTransport(host.to_owned())))
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
    fn a_request_is_led_within_its_origin_and_nowhere_else() {
        for (resource, expected) in [
            ("POST /b?c=%20d", "POST https://shop/b?c=%20d"),
            ("GET //thief/x", "GET https://shop//thief/x"),
            ("GET /%2F/%3F", "GET https://shop/%2F/%3F"),
            ("GET https://thief/", "POST https://shop/a?q=1"),
            ("tools/call joke", "POST https://shop/a?q=1"),
            ("joke", "POST https://shop/a?q=1"),
        ] {
            let mut request = Request::new(Method::POST, Url::parse("https://shop/a?q=1").unwrap());
            *request.body_mut() = Some("b".into());
            let to = Site { origin: "https://shop".into(), resource: resource.into() };
            lead_to(&mut request, &to);
            let led = format!("{} {}", request.method(), request.url());
            assert_eq!(led, expected, "{resource}");
            assert_eq!(request.body().is_some(), *request.method() == Method::POST);
        }
    }

    #[test]
    fn a_site_is_an_origin_and_a_request_line() {
        let url = Url::parse("https://user:pw@Example.com:443/a/b?c=1#d").unwrap();
        let site = site(&Method::PUT, &url);
        assert_eq!((&*site.origin, &*site.resource), ("https://example.com", "PUT /a/b?c=1"));
    }
}
