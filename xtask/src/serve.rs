//! A paid API with the routes of the interop servers of other SDKs, for their clients and validators to pay.

use std::sync::Arc;

use anyhow::Context;
use axum::{Json, Router, extract::Request, routing::get};
use mpp_core::{Price, store::Memory};
use mpp_server::{Gate, tower::Paywall};
use mpp_tempo::{Chain, HttpRpc, chain::rpc::Rpc, charge::Verifier};
use serde_json::json;
use tokio::{net::TcpListener, signal::unix};

use crate::console::Console;

/// The second development account: what interop recipients are.
const RECIPIENT: &str = mpp_testkit::devnet::RECIPIENT.address;
const SECRET: &str = "interop-secret-key-minimum-32-bytes!!";

/// Serves on 127.0.0.1 until SIGTERM, or an interrupt.
pub(crate) fn command(console: Console, rpc_url: &str, port: u16) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = app(rpc_url).await?;
        console.object(&json!({ "url": url, "rpc": rpc_url }));
        console.say(format_args!("a paid API at {url}, settling on {rpc_url}; SIGTERM stops it"));
        axum::serve(listener, app).with_graceful_shutdown(told_to_stop()).await?;
        Ok(true)
    })
}

async fn told_to_stop() {
    let Ok(mut terminated) = unix::signal(unix::SignalKind::terminate()) else { return };
    let Ok(mut interrupted) = unix::signal(unix::SignalKind::interrupt()) else { return };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
}

async fn app(rpc_url: &str) -> anyhow::Result<Router> {
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(rpc_url)?);
    let chain_id = rpc.chain_id().await.with_context(|| format!("no chain answers at {rpc_url}"))?;
    let chain = Chain::by_id(chain_id);
    let tempo = Arc::new(Verifier::new(&chain, RECIPIENT, rpc.clone())?);
    let alpha = mpp_testkit::devnet::ALPHA_USD;
    let in_alpha = Arc::new(Verifier::new(&chain, RECIPIENT, rpc)?.currency(alpha)?);
    let gate = gate()?;
    let cent = || -> anyhow::Result<Paywall> { Ok(gate.charge("0.01 usd")?.via(&tempo).layer()?) };
    let half: Price = "0.5 usd".parse()?;
    let half = half.describe("pay in AlphaUSD").external_id("order-1");
    let half = gate.charge(half)?.via(&in_alpha).layer()?;
    let health = json!({ "ok": true, "rpc": rpc_url, "chainId": chain_id });
    Ok(Router::new()
        .route("/health", get(async move || Json(health)))
        .route("/charge", get(ok).layer(cent()?))
        .route("/pull", get(ok).layer(cent()?))
        .route("/alpha", get(ok).layer(half)))
}

fn gate() -> anyhow::Result<Gate> {
    let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let realm = env("MPP_REALM").unwrap_or_else(|| "127.0.0.1".to_owned());
    let secret = env("MPP_SECRET_KEY").unwrap_or_else(|| SECRET.to_owned());
    Ok(Gate::builder(Memory::volatile()).realm(&realm).secret(secret).build()?)
}

async fn ok(request: Request) -> Json<serde_json::Value> {
    Json(json!({ "ok": true, "path": request.uri().path() }))
}
