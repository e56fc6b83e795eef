//! What a response says, as the protocol reads it, and the request that only manages.

use std::time::Duration;

use http::header;
use mpp_core::transport::{Answer, Http, IDEMPOTENCY_KEY};
use reqwest::{Method, Request, Response};
use reqwest_middleware::Error as Failure;

use super::{origin, problem};

/// A response as the protocol reads its head, and its body where that was read.
pub(super) fn answer(response: &Response, body: Option<&[u8]>) -> Answer {
    Http::read_head(response.status(), response.headers(), body)
}

/// What a credential was answered, its problem included. Refused is what these statuses say: challenges that come with
/// any other (429, 408) invite whoever retries, and say nothing of the credential.
pub(super) async fn heard(response: Response) -> (Response, Answer) {
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        let said = answer(&response, None);
        return (response, said);
    }
    let (response, body) = problem::peek(response).await;
    let said = match answer(&response, body.as_deref()) {
        Answer::Required { problem, .. } if !matches!(status.as_u16(), 401 | 402 | 410) => {
            Answer::Troubled { status: status.as_u16(), problem }
        }
        said => said,
    };
    (response, said)
}

/// The same place, asked for nothing: a POST without query or body, which servers take as management.
pub(super) fn without_content(request: &Request) -> Request {
    let mut url = request.url().clone();
    url.set_query(None);
    let mut bare = Request::new(Method::POST, url);
    *bare.timeout_mut() = request.timeout().copied();
    *bare.headers_mut() = request.headers().clone();
    // Another request than the one the key names; a credential is a name by itself.
    bare.headers_mut().remove(IDEMPOTENCY_KEY);
    origin::remove_content(&mut bare);
    bare
}

/// How long a server asks to wait that cannot tell yet (503), or has the credential in hand (403).
pub(super) fn asked_to_wait(response: &Response) -> Option<Duration> {
    let Answer::Troubled { status: 403 | 503, .. } = answer(response, None) else { return None };
    let wait = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(wait))
}

/// Whether a connection failed before an answer came, in less than the time the caller gave.
pub(super) fn broke(e: &Failure) -> bool {
    !e.is_timeout() && (e.is_connect() || e.is_request())
}
