//! Whether a connection may carry challenges and credentials (C-51).

use http::{header, request::Parts};
use mpp_core::problem::{ProblemType, Reason, Rejection};

use crate::gate::Plaintext;

/// Lets a request pass whose connection may speak of payment.
pub(crate) fn admit(head: &Parts, rule: Plaintext) -> Result<(), Rejection> {
    let secure = match rule {
        Plaintext::TlsEndsAtProxy | Plaintext::Allowed => true,
        Plaintext::LoopbackOnly => {
            head.uri.scheme_str() == Some("https") || host(head).is_some_and(is_loopback)
        }
    };
    if secure {
        return Ok(());
    }
    tracing::error!(
        "payment refused over plain HTTP; if a proxy ends TLS, build the gate with Plaintext::TlsEndsAtProxy"
    );
    let detail = "Payment is not spoken of over plain HTTP. Use https.";
    Err(Rejection::new(ProblemType::BAD_REQUEST, Reason::INSECURE, detail))
}

/// The host a request names, with its port.
pub(crate) fn host(head: &Parts) -> Option<&str> {
    head.uri
        .authority()
        .map(|a| a.as_str())
        .or_else(|| head.headers.get(header::HOST)?.to_str().ok())
}

/// A client that lies about its host to be challenged in the clear harms itself alone.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_what_looks_like_it() {
        for yes in ["localhost", "LOCALHOST:80", "127.0.0.1:3000", "127.9.9.9", "[::1]:80"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["127.0.0.1.evil.com", "localhost.evil.com", "10.0.0.1", "", "[::2]", "[", "0.0.0.0"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
