//! `Idempotency-Key`: the client's own name for a request, by which it asks for the same answer again (C-55).

use ::http::{HeaderName, Method, header, request::Parts};

/// The client's own name for a request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longer names are none: what is kept by a key must stay small.
const LONGEST: usize = 255;

/// Reads the key of a request that is known whole: its body is `bound` to what it pays, or it has none. Of any other
/// request nobody could say later whether it is the same.
pub(super) fn read(request: &Parts, bound: bool) -> Option<String> {
    let mut values = request.headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let key = value.to_str().ok()?.trim();
    let whole = bound || !may_have_body(request);
    (whole && !key.is_empty() && key.len() <= LONGEST).then(|| key.to_owned())
}

/// What says no length and is of a kind that has content may have some (HTTP/2 need not say).
fn may_have_body(request: &Parts) -> bool {
    match request.headers.get(header::CONTENT_LENGTH).map(|v| v.as_bytes()) {
        Some(b"0") => false,
        Some(_) => true,
        None => {
            request.headers.contains_key(header::TRANSFER_ENCODING)
                || !matches!(request.method, Method::GET | Method::HEAD | Method::DELETE)
        }
    }
}

#[cfg(test)]
mod tests {
    use ::http::Request;

    use super::*;

    fn key(method: &str, fields: &[(&str, &str)], bound: bool) -> Option<String> {
        let builder = Request::builder().method(method);
        let request = fields.iter().fold(builder, |b, (name, value)| b.header(*name, *value));
        read(&request.body(()).unwrap().into_parts().0, bound)
    }

    #[test]
    fn a_key_counts_where_the_whole_request_is_known() {
        let k = ("Idempotency-Key", "k-1");
        assert_eq!(key("GET", &[k], false).as_deref(), Some("k-1"));
        assert_eq!(key("POST", &[k], true).as_deref(), Some("k-1"));
        assert_eq!(key("POST", &[k, ("content-length", "0")], false).as_deref(), Some("k-1"));
        assert_eq!(key("POST", &[k, ("content-length", "5")], false), None);
        assert_eq!(key("POST", &[k], false), None);
        assert_eq!(key("GET", &[k, ("transfer-encoding", "chunked")], false), None);
    }

    #[test]
    fn what_is_no_single_short_key_is_none() {
        let long = "x".repeat(256);
        assert_eq!(key("GET", &[("idempotency-key", "")], false), None);
        assert_eq!(key("GET", &[("idempotency-key", &long)], false), None);
        let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
        assert_eq!(key("GET", &two, false), None);
    }
}
