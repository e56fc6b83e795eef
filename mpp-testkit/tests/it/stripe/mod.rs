//! The Stripe simulator: what those who test against it rely on.

mod billing;
mod charges;
mod faults;
mod idempotency;
mod reading;
mod shapes;
mod webhooks;

use mpp_testkit::stripe::Simulator;
use reqwest::{Method, Response};
use serde_json::Value;

/// The version that peers send.
pub(crate) const PREVIEW: &str = "2026-07-29.preview";

/// A seller's client, as plain as it gets.
pub(crate) struct Seller {
    pub(crate) stripe: Simulator,
    http: reqwest::Client,
}

/// A status, whether it was replayed, and a body.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

impl Told {
    async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let replayed =
            response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let text = response.text().await.expect("a text");
        Self { status, replayed, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// A text in the body, by a JSON pointer.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} in {:?}", self.body))
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> &str {
        self.text("/error/code")
    }
}

impl Seller {
    pub(crate) async fn new() -> Self {
        Self {
            stripe: Simulator::start().await.expect("a free port"),
            http: reqwest::Client::new(),
        }
    }

    /// A request with everything said.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/{path}", self.stripe.url());
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        let encoded = pairs.extend_pairs(form).finish();
        let request = if method == Method::GET {
            self.http.get(format!("{url}?{encoded}"))
        } else {
            let kind = "application/x-www-form-urlencoded";
            self.http.request(method, url).header("content-type", kind).body(encoded)
        };
        request.basic_auth(self.stripe.secret_key(), Some("")).header("stripe-version", PREVIEW)
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Told {
        Told::read(self.request(Method::POST, path, form).send().await.expect("an answer")).await
    }

    /// Under an idempotency key. `None`: there was no answer.
    pub(crate) async fn keyed(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Option<Told> {
        let request = self.request(Method::POST, path, form).header("idempotency-key", key);
        Some(Told::read(request.send().await.ok()?).await)
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Told {
        Told::read(self.request(Method::GET, path, query).send().await.expect("an answer")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Told {
        Told::read(self.request(Method::DELETE, path, &[]).send().await.expect("an answer")).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Told {
        Told::read(request.send().await.expect("an answer")).await
    }

    /// A token for up to 50.00 usd.
    pub(crate) fn token(&self, payment_method: &str) -> String {
        self.stripe.token(payment_method, "usd", 5_000, self.stripe.now() + 600)
    }
}

/// What a seller sends for 50.00 usd.
pub(crate) fn charge(token: &str) -> [(&str, &str); 7] {
    [
        ("amount", "5000"),
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("automatic_payment_methods[enabled]", "true"),
        ("confirm", "true"),
        ("currency", "usd"),
        ("shared_payment_granted_token", token),
        ("metadata[machine_payment]", "true"),
    ]
}
