//! Streams that a session pays for as they flow: events, sockets, and the address at which their accounts are managed.

mod events;
mod manage;
mod over_tcp;
mod sockets;
mod talks;
mod wire;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use futures_core::Stream;
use http_body_util::BodyExt;
use mpp_core::{
    Challenge, Credential, Receipt,
    store::Memory,
    transport::{PAYMENT_RECEIPT, read_challenges},
};
use mpp_server::{Gate, tower::Selling};
use mpp_testkit::bank::{self, Bank, Slip};
use serde_json::Value;
use tower::ServiceExt;

/// A seller of words at two coins each.
pub(super) struct Press {
    pub(super) gate: Gate,
    pub(super) bank: Bank,
}

impl Press {
    pub(super) fn new() -> Self {
        let gate = Gate::builder(Memory::volatile())
            .realm("press.example")
            .secret("a secret of at least thirty-two bytes")
            .recover_by_hand();
        Self { gate: gate.build().unwrap(), bank: Bank::new() }
    }

    pub(super) fn sells(&self, rate: &str) -> Selling<mpp_core::intent::Session> {
        self.gate.session(rate).unwrap().via(&Arc::new(self.bank.clone()))
    }
}

/// A payer in front of an application.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) app: Router,
    pub(super) path: &'static str,
}

impl Reader {
    pub(super) fn of(app: Router) -> Self {
        Self { app, path: "/words" }
    }

    pub(super) fn request(&self, method: &str) -> http::request::Builder {
        Request::builder().method(method).uri(self.path).header("host", "localhost")
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn challenge(&self) -> Challenge {
        let asked = self.send(self.request("GET").body(Body::empty()).unwrap()).await;
        assert_eq!(asked.status(), 402);
        read_challenges(asked.headers()).into_iter().next().unwrap()
    }

    pub(super) async fn answer(&self, slip: &Slip) -> Credential {
        bank::answer(&self.challenge().await, slip)
    }

    /// Shows a slip, by a method.
    pub(super) async fn show(&self, method: &str, slip: &Slip) -> Response<Body> {
        let credential = self.answer(slip).await.to_token().unwrap();
        let request = self.request(method).header("authorization", format!("Payment {credential}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Shows a slip that only manages the account.
    pub(super) async fn manage(&self, slip: &Slip) -> Receipt {
        let response = self.show("POST", slip).await;
        assert_eq!(response.status(), 204);
        receipt(&response)
    }
}

pub(super) fn receipt(response: &Response<Body>) -> Receipt {
    let token = response.headers().get(PAYMENT_RECEIPT).unwrap().to_str().unwrap();
    Receipt::from_token(token).unwrap()
}

/// The figures of a receipt, from wherever it was read: accepted, spent, units.
pub(super) fn figures(receipt: &Value) -> (u128, u128, u64) {
    let amount = |name: &str| receipt[name].as_str().unwrap().parse().unwrap();
    (amount("accepted"), amount("spent"), receipt["units"].as_u64().unwrap())
}

/// An open stream of events, read one by one.
pub(super) struct Events {
    body: Body,
    read: VecDeque<(String, String)>,
}

impl Events {
    pub(super) fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), read: VecDeque::new() }
    }

    /// The next event's name and data; none at the end.
    pub(super) async fn next(&mut self) -> Option<(String, String)> {
        while self.read.is_empty() {
            let frame = self.body.frame().await?.unwrap();
            let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
            self.read.extend(text.split_terminator("\n\n").map(event));
        }
        self.read.pop_front()
    }

    pub(super) async fn rest(mut self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn event(text: &str) -> (String, String) {
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in text.split('\n') {
        match line.split_once(": ") {
            Some(("event", value)) => name = value.to_owned(),
            Some(("data", value)) => data.push(value.to_owned()),
            other => panic!("no line of an event: {other:?}"),
        }
    }
    (name, data.join("\n"))
}

/// Words, and how often they were asked for.
#[derive(Clone, Default)]
pub(super) struct Words {
    words: VecDeque<String>,
    /// What happens once there are no more: an end, or nothing at all.
    hangs: bool,
    pub(super) asked: Arc<AtomicUsize>,
}

impl Words {
    pub(super) fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self { words: words.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    pub(super) fn numbered(many: usize) -> Self {
        Self { words: (0..many).map(|n| format!("w{n} ")).collect(), ..Self::default() }
    }

    /// After its words it says nothing any more, and does not end.
    pub(super) fn and_hangs(self) -> Self {
        Self { hangs: true, ..self }
    }

    pub(super) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Stream for Words {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.words.pop_front() {
            None if self.hangs => Poll::Pending,
            word => Poll::Ready(word),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.words.len(), Some(self.words.len()).filter(|_| !self.hangs))
    }
}
