//! Every handler of an address behind one paywall, and beside them the place where payers manage their accounts.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use http::{StatusCode, Uri};
use http_body::Body as _;
use mpp_core::name::CredentialHeader;
use tower_layer::Layer;
use tower_service::Service;

use crate::tower::{Boxed, Paywall, PaywallService, Reading, Unread, is_preflight, manages};

impl<R: Reading<Body>> Paywall<R> {
    /// Puts an address behind this paywall: every handler it has, and, where it has none for `POST`, the management of accounts.
    /// A payer posts its credential to the resource's own address, without a body; no handler and no validation has a part in
    /// that. What else is asked by a method that the address does not have is 405, and nothing is paid for it.
    ///
    /// ```
    /// # use mpp_server::{Session, tower::Paywall};
    /// # fn app(paywall: Paywall) -> axum::Router {
    /// use axum::{Router, routing::get};
    ///
    /// async fn data(session: Session) -> String {
    ///     format!("paid from {}", session.account())
    /// }
    ///
    /// Router::new().route("/data", paywall.guard(get(data)))
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where there is no handler yet.
    pub fn guard<S>(self, handlers: MethodRouter<S>) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let desk = Desk::of(&self.clone().reading(Unread));
        handlers.route_layer(self).fallback_service(desk)
    }
}

/// Takes the credentials that payers post to an address without a handler for that.
#[derive(Clone)]
pub(super) struct Desk {
    walled: PaywallService<NotAllowed, Unread>,
    header: Option<CredentialHeader>,
}

impl Desk {
    pub(super) fn of(paywall: &Paywall) -> Self {
        Self { walled: paywall.layer(NotAllowed), header: paywall.header().cloned() }
    }
}

impl Service<Request> for Desk {
    type Response = Response;
    type Error = Infallible;
    type Future = Boxed<Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.walled, cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (mut head, body) = request.into_parts();
        // No handler reads it: an address with a query is managed at that address.
        head.uri = without_query(head.uri);
        let ours = body.is_end_stream() && manages(&head, self.header.as_ref());
        let request = Request::from_parts(head, body);
        if !ours && !is_preflight(&request) {
            return Box::pin(NotAllowed.call(request));
        }
        let answering = self.walled.call(request);
        Box::pin(async move { Ok(answering.await?.map(Body::new)) })
    }
}

fn without_query(uri: Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = uri.path().parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

/// No handler answers this method here.
#[derive(Clone, Copy)]
struct NotAllowed;

impl Service<Request> for NotAllowed {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        ready(Ok(StatusCode::METHOD_NOT_ALLOWED.into_response()))
    }
}
