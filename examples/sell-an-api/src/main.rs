//! Sells jokes at one price, and translations at a price by length: `sell-an-api <rpc url> <recipient>`.

use std::{env, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    http::request::Parts,
    routing::{get, post},
};
use mpp_core::problem::Rejection;
use mpp_server::{Gate, Paid, store::Redb};
use mpp_tempo::{Chain, HttpRpc, chain::rpc::Rpc, charge::Verifier};
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
    // What was paid outlives this process: killed at any moment, it goes on from its books when it is started again.
    let books = Redb::open("sell-an-api.redb").await?;
    let gate = Gate::builder(books).alone().realm("127.0.0.1").secret_from_env()?.build()?;

    // One price for all.
    let joke = gate.charge("0.10 usd")?.via(&tempo).layer()?;
    // A price by request, a wrong order answered before anybody pays, and the challenge bound to the order.
    let by_length =
        gate.charge_each(price_by_length).via(&tempo).layer()?.validate::<Json<Order>>(16 * 1024);
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

/// A cent for each started kilobyte.
fn price_by_length(
    head: &Parts,
) -> impl Future<Output = Result<mpp_core::Price, Rejection>> + Send + use<> {
    let length =
        head.headers.get("content-length").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let cents = length.unwrap_or(0) / 1024 + 1;
    async move { format!("{}.{:02} usd", cents / 100, cents % 100).parse().map_err(Rejection::internal) }
}
