//! Takes a response apart and puts it together again, with nothing missing.

use http::response::Parts;
use reqwest::{Body, Response, ResponseBuilderExt, Url};

/// What of a response is not its body.
pub(super) struct Head(Parts, Url);

pub(super) fn apart(response: Response) -> (Head, Body) {
    let url = response.url().clone();
    let (parts, body) = http::Response::<Body>::from(response).into_parts();
    (Head(parts, url), body)
}

pub(super) fn together(Head(mut parts, url): Head, body: Body) -> Response {
    // The URL travels in an extension that only its own crate can name.
    if let Ok(named) = http::Response::builder().url(url).body(()) {
        parts.extensions.extend(named.into_parts().0.extensions);
    }
    Response::from(http::Response::from_parts(parts, body))
}
