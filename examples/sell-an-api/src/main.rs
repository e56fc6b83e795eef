//! Sells jokes at one price by three methods, and shouting at a price by length: `sell-an-api <rpc url> <recipient>`.

use std::{env, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    http::request::Parts,
    routing::{get, post},
};
use mpp_core::problem::Rejection;
use mpp_server::{Gate, Paid, store::Redb};
use mpp_stripe::{Api, Currency, SecretKey, TEST_NETWORK};
use mpp_tempo::{Chain, HttpRpc, chain::rpc::Rpc, charge::Verifier};
use own_method::Booth;
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Order {
    text: String,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is a story")]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: sell-an-api <rpc url> <recipient address>";
    let (url, recipient) = (env::args().nth(1).context(usage)?, env::args().nth(2).context(usage)?);
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(&url)?);
    let chain = Chain::by_id(rpc.chain_id().await?);
    let tempo = Arc::new(Verifier::new(&chain, &recipient, rpc)?);
    let (stripe, coupons) = (Arc::new(cards()?), Arc::new(Booth("book-7/")));
    // What was paid outlives this process: killed at any moment, it goes on from its books when it is started again.
    let books = Redb::open("sell-an-api.redb").await?;
    let gate = Gate::builder(books).alone().realm("127.0.0.1").secret_from_env()?.build()?;

    // One price, however it is paid; a coupon is worth a joke. First named is first offered.
    let joke = gate.charge("0.50 usd")?.via(&tempo).via(&stripe);
    let joke = joke.via_at(&coupons, "1 coupon".parse()?).layer()?;
    // A price by request, a wrong order answered before anybody pays, and the challenge bound to the order. Nobody charges a
    // card a cent: of what costs less than 0.50, cards are not offered.
    let by_length = gate.charge_each(price_by_length).via(&tempo).via(&stripe).layer()?;
    let by_length = by_length.validate::<Json<Order>>(64 * 1024);
    let app = Router::new()
        .route("/joke", get(async |paid: Paid| format!("ha ({})", paid.method)).route_layer(joke))
        .route(
            "/shout",
            post(async |Json(order): Json<Order>| order.text.to_uppercase()).route_layer(by_length),
        );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("selling at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Cards: of one's own account (`STRIPE_SECRET_KEY`), or of a simulator's besides (`STRIPE_API`, its address).
fn cards() -> anyhow::Result<mpp_stripe::charge::Verifier> {
    let api = Api::new(&SecretKey::from_env().context("set STRIPE_SECRET_KEY")?)?;
    let api = match env::var("STRIPE_API") {
        Ok(simulator) => api.at(&simulator)?,
        Err(_) => api,
    };
    // In production, the seller's own profile.
    let profile = env::var("STRIPE_PROFILE").unwrap_or_else(|_| TEST_NETWORK.into());
    Ok(mpp_stripe::charge::Verifier::new(api, profile, Currency::USD)?)
}

/// A cent for each started kilobyte.
fn price_by_length(
    head: &Parts,
) -> impl Future<Output = Result<mpp_core::Price, Rejection>> + Send + use<> {
    let length =
        head.headers.get("content-length").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let cents = length.unwrap_or(0) / 1024 + 1;
    async move { format!("{}.{:02} usd", cents / 100, cents % 100).parse().map_err(Rejection::internal) }
}
