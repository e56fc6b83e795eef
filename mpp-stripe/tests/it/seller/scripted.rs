//! A Stripe that answers what a test wants, in turn: what the simulator never would.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response},
};
use mpp_stripe::{Api, SecretKey};
use serde_json::{Value, json};

pub(super) const KEY: &str = "sk_test_scripted";

/// An answer: the status, whether it is a replay, and the body.
pub(super) type Line = (u16, bool, String);

#[derive(Clone, Default)]
pub(super) struct Scripted {
    lines: Arc<Mutex<VecDeque<Line>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts it, and the API that speaks to it.
    pub(super) async fn start() -> (Self, Api) {
        let script = Self::default();
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let api = Api::new(&SecretKey::new(KEY).unwrap()).unwrap().at(&url).unwrap();
        (script, api)
    }

    pub(super) fn says(&self, lines: impl IntoIterator<Item = Line>) {
        *self.lines.lock().unwrap() = lines.into_iter().collect();
        self.asked.lock().unwrap().clear();
    }

    /// What was asked since: `POST /v1/payment_intents`.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Scripted>, request: Request<Body>) -> Response<Body> {
    let asked = format!("{} {}", request.method(), request.uri().path());
    script.asked.lock().unwrap().push(asked);
    let line = script.lines.lock().unwrap().pop_front();
    let (status, replayed, body) = line.unwrap_or((500, false, "the script is over".to_owned()));
    let mut response = Response::builder().status(status);
    if replayed {
        response = response.header("idempotent-replayed", "true");
    }
    response.body(Body::from(body)).unwrap()
}

/// A PaymentIntent of five dollars.
pub(super) fn intent(status: &str) -> Value {
    let received = if status == "succeeded" { 500 } else { 0 };
    json!({ "object": "payment_intent", "id": "pi_1", "amount": 500, "amount_received": received, "currency": "usd",
        "status": status, "client_secret": "pi_1_secret_hunter2" })
}

pub(super) fn error(members: Value) -> String {
    let mut error = members;
    error["message"] = "No such thing: spt_hunter2, of sk_test_hunter2, <b>pay</b>".into();
    json!({ "error": error }).to_string()
}
