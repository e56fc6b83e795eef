//! A paid API with the routes of the interop servers of other SDKs, for their clients and validators to pay.

use std::sync::Arc;

use anyhow::Context;
use axum::{Json, Router, extract::Request, http::header, routing::get};
use mpp_core::{Price, store::Memory};
use mpp_server::Gate;
use mpp_tempo::{Chain, HttpRpc, chain::rpc::Rpc, charge::Verifier};
use mpp_testkit::devnet::{ALPHA_USD, PATH_USD, RECIPIENT};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal::unix};

use crate::console::Console;

const SECRET: &str = "interop-secret-key-minimum-32-bytes!!";

/// Serves on 127.0.0.1 until SIGTERM, or an interrupt.
pub(crate) fn command(console: Console, rpc_url: &str, port: u16) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
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

/// A route, as it is charged and as it is described.
struct Paid {
    path: &'static str,
    price: Price,
    units: u128,
    token: &'static str,
    seller: Arc<Verifier>,
}

async fn app(rpc_url: &str) -> anyhow::Result<Router> {
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(rpc_url)?);
    let chain_id =
        rpc.chain_id().await.with_context(|| format!("no chain answers at {rpc_url}"))?;
    let chain = Chain::by_id(chain_id);
    let seller = |token: &str| -> anyhow::Result<_> {
        Ok(Arc::new(Verifier::new(&chain, RECIPIENT.address, rpc.clone())?.currency(token)?))
    };
    let (dollars, alpha) = (seller(PATH_USD)?, seller(ALPHA_USD)?);
    let half = "0.5 usd".parse::<Price>()?.describe("pay in AlphaUSD").external_id("order-1");
    let cent = |path| -> anyhow::Result<_> {
        Ok(Paid {
            path,
            price: "0.01 usd".parse()?,
            units: 10_000,
            token: PATH_USD,
            seller: dollars.clone(),
        })
    };
    let routes = [
        cent("/charge")?,
        cent("/pull")?,
        Paid { path: "/alpha", price: half, units: 500_000, token: ALPHA_USD, seller: alpha },
    ];
    let described = described(&routes);
    let health = json!({ "ok": true, "rpc": rpc_url, "chainId": chain_id });
    let mut app = Router::new()
        .route("/health", get(async move || Json(health)))
        .route("/openapi.json", get(async move || ([(header::CACHE_CONTROL, "max-age=300")], Json(described))))
        .route("/llms.txt", get(async || "# Interop\n\n> Paid routes for clients of other SDKs.\n\n[OpenAPI discovery](/openapi.json)\n"));
    let gate = gate()?;
    for Paid { path, price, seller, .. } in routes {
        app = app.route(path, get(ok).layer(gate.charge(price)?.via(&seller).layer()?));
    }
    Ok(app)
}

/// What the routes cost, for crawlers; the 402 itself is what counts.
fn described(routes: &[Paid]) -> Value {
    let operation = |route: &Paid| {
        let mut offer = json!({
            "method": "tempo", "intent": "charge", "amount": route.units.to_string(), "currency": route.token,
        });
        if let Some(description) = &route.price.description {
            offer["description"] = json!(description);
        }
        json!({ "get": {
            "x-payment-info": { "offers": [offer] },
            "responses": { "200": { "description": "Paid" }, "402": { "description": "Payment Required" } },
        } })
    };
    let paths: serde_json::Map<_, _> =
        routes.iter().map(|r| (r.path.to_owned(), operation(r))).collect();
    json!({ "openapi": "3.1.0", "info": { "title": "Interop", "version": "1.0.0" }, "paths": paths })
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
