//! A payer's account as an argument of a handler.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use mpp_core::{
    problem::{Reason, Rejection},
    transport::{Http, Refusal},
};

use crate::session::Session;

/// A handler behind a metered paywall takes [`Session`] as an argument, and charges what it serves:
///
/// ```
/// # use mpp_core::transport::Refusal;
/// # use mpp_server::Session;
/// use axum::{http::StatusCode, response::{IntoResponse, Response}};
///
/// async fn translate(session: Session, text: String) -> Response {
///     let words = text.split_whitespace().count() as u64;
///     if let Err(refusal) = session.charge(words).await {
///         return mpp_server::axum::refuse(&refusal);
///     }
///     text.to_uppercase().into_response()
/// }
/// ```
///
/// On a route without a metered offer this is a 500 that says so: it never means "not paid". Where a route can be paid otherwise
/// too, take `Option<Session>`.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = NoSession;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, NoSession> {
        head.extensions.get::<Self>().cloned().ok_or(NoSession)
    }
}

/// A handler that is paid from accounts on some routes, or for some requests, only.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(head.extensions.get::<Self>().cloned())
    }
}

/// A handler asked for [`Session`], and its request was not paid from an account.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this handler takes `Session`, and its request was let in by no metered offer")]
#[non_exhaustive]
pub struct NoSession;

impl IntoResponse for NoSession {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        refuse(&Refusal::from(Rejection::internal(self).reason(Reason::OUR_FAULT)))
    }
}

/// A refusal as a response: of [`Session::charge`], where the balance is short.
pub fn refuse(refusal: &Refusal) -> Response {
    Http::refuse(refusal).map(Body::from)
}
