//! How much of a request is read before the gate judges it.

use std::future::Future;

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mpp_core::{
    digest::Digest,
    intent::{Intent, Session},
    name::CredentialHeader,
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal, Wants, read_credential},
};

/// What is done with a request's body before anything is judged or paid. Open to adapters of other frameworks.
pub trait Reading<B>: Clone + Send + Sync + 'static {
    /// Reads what it must. The digest, where there is one, is what challenges are bound to.
    ///
    /// # Errors
    /// The response to a request that is wrong whatever is paid.
    fn read(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<(Request<B>, Option<Digest>), Response<Bytes>>> + Send;
}

/// Reads nothing: bodies stream through, and challenges are bound to none.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Unread;

impl<B: Send> Reading<B> for Unread {
    fn read(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<(Request<B>, Option<Digest>), Response<Bytes>>> + Send {
        std::future::ready(Ok((request, None)))
    }
}

/// Reads the body up to a limit and binds challenges to its digest.
#[derive(Clone, Copy, Debug)]
pub struct BoundBody {
    limit: usize,
}

impl BoundBody {
    pub(crate) fn up_to(limit: usize) -> Self {
        Self { limit }
    }
}

impl<B> Reading<B> for BoundBody
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + From<Bytes>
        + Send
        + 'static,
{
    fn read(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<(Request<B>, Option<Digest>), Response<Bytes>>> + Send {
        let limit = self.limit;
        async move {
            let (head, body) = request.into_parts();
            let body = collect(body, limit).await?;
            let digest = (!body.is_empty()).then(|| Digest::of(&body));
            Ok((Request::from_parts(head, B::from(body)), digest))
        }
    }
}

/// Whether a request brings a session's credential and asks for nothing else: a POST without query or body, or a HEAD.
pub(crate) fn manages(head: &Parts, header: Option<&CredentialHeader>) -> bool {
    // Looked at from the cheap end: most requests are none of these.
    let may = head.method == Method::POST || head.method == Method::HEAD;
    may && Http::wants(head) == Wants::Nothing
        && read_credential(&head.headers, header).is_ok_and(|credential| {
            credential.is_some_and(|credential| credential.challenge.intent == Session::NAME)
        })
}

/// Collects a body of at most `limit` bytes; more is 413, and nothing was paid.
pub(crate) async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Response<Bytes>>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(refuse(too_large(limit)));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => {
            let mut rest = collected.aggregate();
            Ok(rest.copy_to_bytes(rest.remaining()))
        }
        Err(e) if e.is::<LengthLimitError>() => Err(refuse(too_large(limit))),
        Err(e) => {
            let detail = "The request body could not be read.";
            Err(refuse(
                Rejection::new(ProblemType::BAD_REQUEST, Reason::UNREADABLE, detail).because(e),
            ))
        }
    }
}

fn too_large(limit: usize) -> Rejection {
    let detail = format!("The request body is larger than the {limit} bytes this resource takes.");
    Rejection::new(ProblemType::BODY_TOO_LARGE, Reason::BODY_TOO_LARGE, detail)
}

fn refuse(rejection: Rejection) -> Response<Bytes> {
    Http::refuse(&Refusal::from(rejection)).map(Bytes::from)
}
