//! A Stripe of one payment, which remembers what it was asked first.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What it is to answer.
pub(super) struct Till {
    body: Value,
    replayed: bool,
}

/// It, on a port of this machine.
pub(super) struct Open {
    url: String,
    heard: Arc<Mutex<Option<Heard>>>,
    serving: JoinHandle<()>,
}

/// What it was asked.
pub(super) struct Heard {
    pub(super) path: String,
    headers: HeaderMap,
    /// The pairs of the form, in their order.
    pub(super) form: Vec<(String, String)>,
}

impl Heard {
    /// A header, if there was one.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Till {
    /// One that answers every call with this PaymentIntent, over this amount. What may move yet can be called off.
    pub(super) fn answering(told: &Value, amount: u128, currency: &str) -> anyhow::Result<Self> {
        let status = told["status"].as_str().context("a payment has a status")?;
        let amount = u64::try_from(amount)?;
        let received = if status == "succeeded" { amount } else { 0 };
        let body = json!({
            "object": "payment_intent", "id": told["id"], "status": status,
            "amount": amount, "amount_received": received, "currency": currency,
        });
        Ok(Self { body, replayed: told["replayed"] == true })
    }

    /// Opens it.
    pub(super) async fn open(self) -> anyhow::Result<Open> {
        let heard = Arc::<Mutex<Option<Heard>>>::default();
        let (till, notes) = (Arc::new(self), heard.clone());
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = till.answer(uri.path().ends_with("/cancel"));
            let call = Heard { path: uri.path().to_owned(), headers, form: form(&body) };
            notes.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(call);
            async move { answer }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Open { url, heard, serving })
    }

    fn answer(&self, called_off: bool) -> Response {
        let mut body = self.body.clone();
        if called_off {
            body["status"] = "canceled".into();
        }
        let mut response = axum::Json(body).into_response();
        if self.replayed {
            let value = axum::http::HeaderValue::from_static("true");
            response.headers_mut().insert("idempotent-replayed", value);
        }
        response
    }
}

impl Open {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Closes it, and says what it was asked first.
    pub(super) fn close(self) -> Option<Heard> {
        self.serving.abort();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The pairs of a form: a query in a body.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let Ok(mut url) = Url::parse("http://form.invalid/") else { return Vec::new() };
    url.set_query(std::str::from_utf8(body).ok());
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
