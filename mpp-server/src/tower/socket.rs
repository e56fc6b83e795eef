//! A paywall before a WebSocket: a plain request is asked to pay, and a request for the socket is let through to pay inside it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use mpp_core::{
    intent::Session,
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal, Resource, read_credential},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Client, Paywall, PaywallBody, PaywallService, Selling, Unread, Wall, original, secure,
    service::Boxed,
};
use crate::{
    error::ConfigError,
    ws::{Doorway, Places},
};

/// A layer for a metered WebSocket. Made by [`Selling::socket`].
///
/// A plain `GET` is answered with 402 and what it costs, as clients ask before they come. A request to open the socket carries no
/// credential and is let through to the handler, whose one use for it is `MeteredUpgrade` (feature `axum`): what else the handler
/// answers to it is not handed over, so that nobody has a plain resource for free by asking for a socket.
#[derive(Clone, Debug)]
pub struct MeteredSocket {
    paywall: Paywall,
    places: Places,
}

impl Selling<Session> {
    /// Makes the layer of a WebSocket, whose handler charges what it says ([`Selling::metered`]).
    ///
    /// # Errors
    /// As for [`Selling::layer`].
    pub fn socket(self) -> Result<MeteredSocket, ConfigError> {
        Ok(MeteredSocket { paywall: self.metered().layer()?, places: Places::default() })
    }
}

impl MeteredSocket {
    /// The paywall of what else is asked of the same address.
    pub fn paywall(&self) -> &Paywall {
        &self.paywall
    }
}

impl<S: Clone> Layer<S> for MeteredSocket {
    type Service = SocketService<S>;

    fn layer(&self, inner: S) -> SocketService<S> {
        SocketService {
            walled: self.paywall.layer(inner.clone()),
            inner,
            wall: self.paywall.wall.clone(),
            places: self.places.clone(),
        }
    }
}

/// A handler of sockets behind a paywall. Made by the layer [`MeteredSocket`].
#[derive(Clone)]
pub struct SocketService<S> {
    inner: S,
    walled: PaywallService<S, Unread>,
    wall: Arc<Wall>,
    places: Places,
}

impl<S: fmt::Debug> fmt::Debug for SocketService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Leave to open a socket in which nothing is served before a credential was taken: among the extensions of a request that a
/// [`MeteredSocket`] let through. For adapters of server frameworks.
#[derive(Clone, Debug)]
pub struct Ticket {
    doorway: Doorway,
    used: Arc<AtomicBool>,
}

impl Ticket {
    /// Says that the socket is being opened, before its request is answered with 101, and gives what will serve it.
    pub fn redeem(self) -> Doorway {
        self.used.store(true, Ordering::Release);
        self.doorway
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SocketService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: Send,
    ReqBody: Body + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<PaywallBody<ResBody>>;
    type Error = S::Error;
    type Future = Boxed<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => self.walled.poll_ready(cx),
            not_ready => not_ready,
        }
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if !self.wall.is_knock(&request) {
            return self.walled.call(request);
        }
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let (wall, places) = (self.wall.clone(), self.places.clone());
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let doorway = match wall.doorway(&head, places).await {
                Ok(doorway) => doorway,
                Err(refusal) => return Ok(refuse(refusal).map(PaywallBody::refusal)),
            };
            let used = Arc::new(AtomicBool::new(false));
            head.extensions.insert(Ticket { doorway, used: used.clone() });
            let response = inner.call(Request::from_parts(head, body)).await?;
            Ok(match is_safe(response.status(), &used) {
                true => response.map(PaywallBody::unpaid),
                false => refuse(unmetered().into()).map(PaywallBody::refusal),
            })
        })
    }
}

impl Wall {
    /// Whether somebody without a credential asks for the socket.
    fn is_knock<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let is_socket = headers
            .get(header::UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        is_socket
            && request.method() == Method::GET
            && matches!(read_credential(headers, self.menu.header()), Ok(None))
    }

    /// What the credentials of this socket will be judged by.
    async fn doorway(&self, head: &Parts, places: Places) -> Result<Doorway, Refusal> {
        secure::admit(head, self.gate.plaintext())?;
        let route = self.route(head).await?.into_owned();
        let place = original::uri(head).path();
        Ok(Doorway {
            gate: self.gate.clone(),
            route,
            at: Resource::at(format!("POST {place}")).in_place(place),
            host: secure::host(head).filter(|_| self.gate.has_hosts()).map(str::to_owned),
            client: head.extensions.get::<Client>().map(|client| client.0.clone()),
            places,
        })
    }
}

/// Whether what a handler answers to an unpaid request gives nothing away: an error, or a socket that is metered.
fn is_safe(status: StatusCode, used: &AtomicBool) -> bool {
    match status {
        StatusCode::SWITCHING_PROTOCOLS => used.load(Ordering::Acquire),
        status => status.is_client_error() || status.is_server_error(),
    }
}

fn refuse(refusal: Refusal) -> Response<Bytes> {
    Http::refuse(&refusal).map(Bytes::from)
}

/// The handler behind this layer gave an unpaid request something other than a metered socket.
fn unmetered() -> Rejection {
    tracing::error!(
        "a handler behind a metered socket answered without `MeteredUpgrade`; its answer was not handed over"
    );
    let detail = "This address serves a metered WebSocket and nothing else.";
    Rejection::new(ProblemType::INTERNAL, Reason::OUR_FAULT, detail)
}
