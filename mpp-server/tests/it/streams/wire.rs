//! A socket without a network: what a client says, and what it hears.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use mpp_server::{
    stream::Patience,
    tower::{MeteredSocket, Ticket},
    ws::{Code, Doorway, Socket, SocketClosed},
};
use mpp_testkit::bank::Slip;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

use super::{Press, Reader};

/// What a client hears.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Frame(Value),
    Closed(u16, &'static str),
    Gone,
}

/// The server's end.
pub(super) struct Wire {
    inbound: mpsc::UnboundedReceiver<Bytes>,
    outbound: mpsc::Sender<Heard>,
}

impl Socket for Wire {
    async fn receive(&mut self) -> Option<Bytes> {
        self.inbound.recv().await
    }

    async fn send(&mut self, text: String) -> Result<(), SocketClosed> {
        let frame = Heard::Frame(serde_json::from_str(&text).unwrap());
        self.outbound.send(frame).await.map_err(|_| SocketClosed::new())
    }

    async fn close(self, code: u16, reason: &'static str) {
        let _ = self.outbound.send(Heard::Closed(code, reason)).await;
    }
}

/// A client with a socket.
pub(super) struct Client {
    pub(super) reader: Reader,
    said: mpsc::UnboundedSender<Bytes>,
    heard: mpsc::Receiver<Heard>,
}

/// A place with a metered socket: an address to ask, and a door.
pub(super) struct Hall {
    pub(super) reader: Reader,
    layer: MeteredSocket,
}

impl Hall {
    pub(super) fn of(press: &Press) -> Self {
        let layer = press.sells("2 coin per word").socket().unwrap();
        let handler = axum::routing::get(async || "a plain answer");
        let app = axum::Router::new().route("/words", layer.clone().guard(handler));
        Self { reader: Reader::of(app), layer }
    }

    /// Knocks, and is let in.
    pub(super) async fn door(&self) -> Doorway {
        let found = Arc::new(Mutex::new(None));
        let keep = found.clone();
        let handler = service_fn(move |request: Request<Body>| {
            let ticket = request.extensions().get::<Ticket>().cloned();
            *keep.lock().unwrap() = ticket.map(Ticket::redeem);
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, std::convert::Infallible>(response) }
        });
        let response = self.layer.layer(handler).oneshot(knock()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        found.lock().unwrap().take().unwrap()
    }

    /// Opens a socket that serves `code`.
    pub(super) async fn enter(&self, code: Code) -> Client {
        self.enter_within(Patience::default(), code).await
    }

    pub(super) async fn enter_within(&self, patience: Patience, code: Code) -> Client {
        let (said, inbound) = mpsc::unbounded_channel();
        let (outbound, heard) = mpsc::channel(1);
        tokio::spawn(self.door().await.serve(Wire { inbound, outbound }, patience, code));
        Client { reader: self.reader.clone(), said, heard }
    }
}

/// A request for a socket, without a credential.
pub(super) fn knock() -> Request<Body> {
    let request = Request::get("/words").header("host", "localhost");
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    request.body(Body::empty()).unwrap()
}

impl Client {
    pub(super) fn say(&self, text: impl Into<String>) {
        let _ = self.said.send(text.into().into());
    }

    /// Shows a slip as a frame.
    pub(super) async fn show(&self, slip: &Slip) {
        let token = self.reader.answer(slip).await.to_token().unwrap();
        let authorization = format!("Payment {token}");
        self.say(json!({ "mpp": "authorization", "authorization": authorization }).to_string());
    }

    pub(super) async fn hear(&mut self) -> Heard {
        let heard = tokio::time::timeout(Duration::from_secs(300), self.heard.recv());
        heard.await.expect("something is heard").unwrap_or(Heard::Gone)
    }

    /// The next frame, which must be of a kind; its data.
    pub(super) async fn hear_kind(&mut self, kind: &str) -> Value {
        match self.hear().await {
            Heard::Frame(mut frame) if frame["mpp"] == kind => frame["data"].take(),
            other => panic!("{kind} was expected, not {other:?}"),
        }
    }

    /// An error frame of a status, and the close after it.
    pub(super) async fn hear_refusal(&mut self, status: u16) -> Value {
        let Heard::Frame(frame) = self.hear().await else { panic!("a frame") };
        assert_eq!(
            (&frame["mpp"], &frame["status"]),
            (&json!("payment-error"), &json!(status)),
            "{frame}"
        );
        assert_eq!(self.hear().await, Heard::Closed(1008, "payment refused"));
        frame["message"].clone()
    }

    /// Everything that is still heard.
    pub(super) async fn rest(mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            match self.hear().await {
                Heard::Gone => return all,
                heard => all.push(heard),
            }
        }
    }
}
