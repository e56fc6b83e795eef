//! The routes that are paid by card, and by card or chain.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use mpp_core::Price;
use mpp_server::Gate;
use mpp_stripe::{Api, Currency, SecretKey, TEST_NETWORK, charge};
use mpp_tempo::charge::Verifier;

use super::ok;

/// A Stripe account, and where its API is.
pub(crate) struct Account {
    /// `http://127.0.0.1:…` of a simulator; Stripe itself, where it is not said.
    pub(crate) url: Option<String>,
    /// Its secret key.
    pub(crate) key: SecretKey,
}

impl Account {
    /// The account of a simulator.
    pub(crate) fn simulated(url: &str, key: &str) -> anyhow::Result<Self> {
        let key = SecretKey::new(key).context("the simulator's key")?;
        Ok(Self { url: Some(url.to_owned()), key })
    }

    /// Its API.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        let api = Api::new(&self.key)?;
        Ok(match &self.url {
            Some(url) => api.at(url)?,
            None => api,
        })
    }

    fn seller(&self, currency: Currency) -> anyhow::Result<charge::Verifier> {
        Ok(charge::Verifier::new(self.api()?, TEST_NETWORK, currency)?)
    }
}

/// Adds all of them. `chain` is what the composed ones take by Tempo.
pub(super) fn sell(
    app: Router,
    gate: &Gate,
    chain: &Arc<Verifier>,
    account: &Account,
) -> anyhow::Result<Router> {
    let card = Arc::new(account.seller(Currency::USD)?);
    let yen = Arc::new(account.seller(Currency::parse("jpy")?)?);
    let noted = Arc::new(account.seller(Currency::USD)?.metadata("plan", "pro")?);
    let order = "1 usd".parse::<Price>()?.describe("a pro plan").external_id("order-1");
    let own = gate.charge("5 usd")?.via(&card).in_payment_authorization().layer()?;
    Ok(app
        .route("/card", gate.charge("5 usd")?.via(&card).layer()?.guard(get(ok)))
        .route("/dear", gate.charge("6 usd")?.via(&card).layer()?.guard(get(ok)))
        .route("/order", gate.charge(order)?.via(&noted).layer()?.guard(get(ok)))
        .route("/yen", gate.charge("500 jpy")?.via(&yen).layer()?.guard(get(ok)))
        .route("/auth", own.guard(get(ok)).layer(from_fn(guests)))
        .route("/either", gate.charge("1 usd")?.via(chain).via(&card).layer()?.guard(get(ok)))
        .route("/swapped", gate.charge("1 usd")?.via(&card).via(chain).layer()?.guard(get(ok)))
        .route("/cheap", gate.charge("0.1 usd")?.via(chain).via(&card).layer()?.guard(get(ok))))
}

/// The application's own guest list, which a payment is no way past.
async fn guests(request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    if shown.is_none_or(|shown| shown != "Bearer guest") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}
