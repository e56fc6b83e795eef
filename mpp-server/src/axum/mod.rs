//! Typed extractors for axum over the same gate, and validation before payment.

mod guard;
pub(crate) mod original;
mod session;
#[cfg(feature = "sse")]
mod sse;
#[cfg(feature = "ws")]
mod ws;

use std::{convert::Infallible, future::Future, marker::PhantomData};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::request::Parts;
use mpp_core::{
    digest::Digest,
    problem::{Reason, Rejection},
    transport::{Http, Refusal},
};

pub use self::session::{NoSession, refuse};
#[cfg(feature = "ws")]
pub use self::ws::{MeteredUpgrade, NoSocket};
use crate::{
    permit::Paid,
    tower::{Paywall, Reading, Unread, reading::collect},
};

/// A handler behind a paywall takes [`Paid`] as an argument and sees what was paid.
///
/// On a route without a paywall this is a 500 that says so: it never means "not paid".
impl<S: Sync> FromRequestParts<S> for Paid {
    type Rejection = NoPaywall;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, NoPaywall> {
        head.extensions.get::<Self>().cloned().ok_or(NoPaywall)
    }
}

/// A handler that stands behind a paywall on some routes only.
impl<S: Sync> OptionalFromRequestParts<S> for Paid {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(head.extensions.get::<Self>().cloned())
    }
}

/// A handler asked for [`Paid`] on a route that has no paywall.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this handler takes `Paid`, and no paywall is layered on its route")]
#[non_exhaustive]
pub struct NoPaywall;

impl IntoResponse for NoPaywall {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        let rejection = Rejection::internal(self).reason(Reason::OUR_FAULT);
        Http::refuse(&Refusal::from(rejection)).map(Body::from)
    }
}

impl Paywall<Unread> {
    /// Extracts `E` from the request before anything is judged or paid, and answers with its rejection where it cannot: a
    /// wrong request is 400 and never 402. The handler extracts it again.
    ///
    /// Reads the body, of at most `limit` bytes, and binds challenges to it.
    pub fn validate<E>(self, limit: usize) -> Paywall<Validated<E>>
    where
        E: FromRequest<()> + Send + 'static,
    {
        self.reading(Validated { limit, extractor: PhantomData })
    }
}

/// Reads the body, and lets only requests pass from which `E` can be extracted.
pub struct Validated<E> {
    limit: usize,
    extractor: PhantomData<fn() -> E>,
}

impl<E> Clone for Validated<E> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, extractor: PhantomData }
    }
}

impl<E> std::fmt::Debug for Validated<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validated").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<E: FromRequest<()> + Send + 'static> Reading<Body> for Validated<E> {
    fn read(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<(Request, Option<Digest>), Response<Bytes>>> + Send {
        let limit = self.limit;
        async move {
            let (head, body) = request.into_parts();
            let body = collect(body, limit).await?;
            let digest = (!body.is_empty()).then(|| Digest::of(&body));
            let probe = Request::from_parts(head.clone(), Body::from(body.clone()));
            let refused = E::from_request(probe, &()).await.err().map(IntoResponse::into_response);
            if let Some(refused) = refused {
                let (head, body) = refused.into_parts();
                // A rejection's body is small and already made; what cannot be read of it is left out.
                let body = axum::body::to_bytes(body, 64 * 1024).await.unwrap_or_default();
                return Err(Response::from_parts(head, body));
            }
            Ok((Request::from_parts(head, Body::from(body)), digest))
        }
    }
}
