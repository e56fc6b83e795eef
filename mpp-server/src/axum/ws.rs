//! Metered WebSockets as an extractor of axum's.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    extract::{
        FromRequestParts, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderValue, header, request::Parts};
use mpp_core::{
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal},
};

use super::guard::Desk;
use crate::{
    Session,
    stream::{BoxError, Item, Patience, Tap},
    tower::{MeteredSocket, Ticket},
    ws::{Code, Socket, SocketClosed, frame::LONGEST_FRAME},
};

impl MeteredSocket {
    /// Puts an address behind this layer, as [`Paywall::guard`](crate::tower::Paywall::guard) does: a client that lost its
    /// socket tops up and closes by `POST`.
    ///
    /// # Panics
    /// Where there is no handler yet.
    pub fn guard<S>(self, handlers: MethodRouter<S>) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let desk = Desk::of(self.paywall());
        handlers.route_layer(self).fallback_service(desk)
    }
}

/// A request to open a metered WebSocket. A handler behind a [`MeteredSocket`](crate::tower::MeteredSocket) takes it, and says
/// what flows once the client has paid:
///
/// ```
/// use mpp_server::axum::MeteredUpgrade;
/// use axum::response::Response;
/// # use futures_core::Stream;
/// # struct Tokens;
/// # impl Stream for Tokens {
/// #     type Item = String;
/// #     fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<String>> {
/// #         std::task::Poll::Ready(None)
/// #     }
/// # }
///
/// async fn tokens(up: MeteredUpgrade) -> Response {
///     up.serve(|_session| Tokens)
/// }
/// ```
///
/// What the handler does before that is done for anybody: keep it cheap. One socket serves one account at a time; another that
/// comes for the same account takes over from it.
pub struct MeteredUpgrade {
    socket: WebSocketUpgrade,
    ticket: Ticket,
    patience: Patience,
}

impl MeteredUpgrade {
    /// Serves items, each charged for before it is asked for, as [`Session::sse`](crate::Session) does.
    pub fn serve<F, S>(self, items: F) -> Response
    where
        F: FnOnce(&Session) -> S + Send + 'static,
        S: Stream<Item: Into<Item> + Send> + Send + 'static,
    {
        self.open(Code::items(items))
    }

    /// Serves what code says that charges as it sees fit.
    pub fn serve_with<F, Fut>(self, code: F) -> Response
    where
        F: FnOnce(Tap) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.open(Code::tap(code))
    }

    /// Waits so long for the payer, once its credit is used up.
    pub fn voucher_within(mut self, wait: Duration) -> Self {
        self.patience.voucher = wait;
        self
    }

    /// Waits so long for the next item, and for whatever else the stream's code does between two of its charges.
    pub fn upstream_within(mut self, wait: Duration) -> Self {
        self.patience.upstream = wait;
        self
    }

    /// Waits so long for a client that must say something, or does not read.
    pub fn client_within(mut self, wait: Duration) -> Self {
        self.patience.client = wait;
        self
    }

    fn open(self, code: Code) -> Response {
        let Self { socket, ticket, patience } = self;
        let doorway = ticket.redeem();
        // A little over what is read, so that what is too long is told so; far over it the connection breaks off (S13).
        socket
            .max_message_size(2 * LONGEST_FRAME)
            .max_frame_size(2 * LONGEST_FRAME)
            .on_upgrade(move |socket| doorway.serve(Axum(socket), patience, code))
    }
}

impl fmt::Debug for MeteredUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredUpgrade").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MeteredUpgrade {
    type Rejection = NoSocket;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, NoSocket> {
        let Some(ticket) = head.extensions.get::<Ticket>().cloned() else {
            // Only a request that passed a paywall comes here with an account.
            let walled = head.extensions.get::<Session>().is_some();
            return Err(if walled { NoSocket::Plain } else { NoSocket::Unlayered });
        };
        let socket = WebSocketUpgrade::from_request_parts(head, state).await;
        let socket = socket.map_err(|refused| NoSocket::Refused(refused.into_response()))?;
        Ok(Self { socket, ticket, patience: Patience::default() })
    }
}

/// Why a handler could not have its [`MeteredUpgrade`].
#[derive(Debug)]
#[non_exhaustive]
pub enum NoSocket {
    /// The request is paid for and asks for no socket, or brings its credential along where it should come as a frame.
    Plain,
    /// No [`MeteredSocket`](crate::tower::MeteredSocket) is layered on the route.
    Unlayered,
    /// It is no request for a WebSocket of today.
    Refused(Response),
}

impl IntoResponse for NoSocket {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(response) => response,
            Self::Plain => {
                let detail = "Open a WebSocket here, without a credential; send the credential as its first frame.";
                let kind = ProblemType::new("bad-request", "Upgrade Required", 426, false);
                let rejection = Rejection::new(kind, Reason::new("no-socket"), detail);
                let mut response = Http::refuse(&Refusal::from(rejection)).map(Body::from);
                response
                    .headers_mut()
                    .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                response
            }
            Self::Unlayered => {
                let error = "this handler takes `MeteredUpgrade`, and no metered socket is layered on its route";
                tracing::error!("{error}");
                let rejection = Rejection::internal(error).reason(Reason::OUR_FAULT);
                Http::refuse(&Refusal::from(rejection)).map(Body::from)
            }
        }
    }
}

/// axum's socket.
struct Axum(WebSocket);

impl Socket for Axum {
    async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.0.recv().await?.ok()? {
                Message::Text(text) => return Some(text.into()),
                Message::Binary(bytes) => return Some(bytes),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<(), SocketClosed> {
        self.0.send(Message::Text(text.into())).await.map_err(|_| SocketClosed::new())
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        if self.0.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // The client's own close ends the handshake.
        while let Some(Ok(_)) = self.0.recv().await {}
    }
}
