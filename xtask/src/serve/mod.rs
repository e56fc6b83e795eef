//! A paid API with the routes of the interop servers of other SDKs, for their clients and validators to pay.

mod cards;
mod routes;
mod sessions;

use std::sync::Arc;

use anyhow::Context;
use axum::{Json, Router, extract::Request, http::header, routing::get};
use mpp_core::store::{Memory, Store};
use mpp_server::Gate;
use mpp_tempo::{
    Chain, Key,
    chain::rpc::Rpc,
    charge::{
        Verifier,
        sponsor::{Policy, Sponsor},
    },
};
use mpp_testkit::devnet::{RECIPIENT, SPONSOR};
use serde_json::json;
use tokio::{net::TcpListener, signal::unix};

pub(crate) use self::cards::Account;
use self::{
    routes::{Route, Share},
    sessions::Tellers,
};
use crate::{console::Console, pay};

/// What seals the challenges of interop servers, ours and others, unless the environment says otherwise.
pub(crate) const SECRET: &str = "interop-secret-key-minimum-32-bytes!!";
/// Whose challenges they are: clients sign no proof for another realm than the host they asked.
pub(crate) const REALM: &str = "127.0.0.1";

/// Serves on 127.0.0.1 until SIGTERM, or an interrupt.
pub(crate) fn command(
    console: Console,
    rpc_url: &str,
    stripe: Option<&str>,
    port: u16,
) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let realm = env("MPP_REALM").unwrap_or_else(|| REALM.to_owned());
        let secret = env("MPP_SECRET_KEY").unwrap_or_else(|| SECRET.to_owned());
        let cards = match stripe {
            Some(url) => {
                let key = env("STRIPE_SECRET_KEY").context("STRIPE_SECRET_KEY is not set")?;
                Some(Account::simulated(url, &key)?)
            }
            None => None,
        };
        let app = app(rpc_url, &gate(&realm, &secret)?, cards.as_ref()).await?;
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

/// The whole API, settling on a node, and with an account by card too.
pub(crate) async fn app(
    rpc_url: &str,
    gate: &Gate,
    account: Option<&Account>,
) -> anyhow::Result<Router> {
    let (chain, rpc) = pay::chain_at(rpc_url).await?;
    // One account that sponsors has one budget, and so one store.
    let books: Arc<dyn Store> = Arc::new(Memory::volatile());
    let mut sold = Vec::new();
    for route in routes::routes()? {
        let seller = Arc::new(seller(&route, &chain, &rpc, &books)?);
        sold.push((route, seller));
    }
    let described = routes::described(sold.iter().map(|(route, _)| route));
    let health = json!({ "ok": true, "rpc": rpc_url, "chainId": chain.id });
    let mut app = Router::new()
        .route("/health", get(async move || Json(health)))
        .route("/openapi.json", get(async move || ([(header::CACHE_CONTROL, "max-age=300")], Json(described))))
        .route("/llms.txt", get(async || "# Interop\n\n> Paid routes for clients of other SDKs.\n\n[OpenAPI discovery](/openapi.json)\n"));
    let tellers = Tellers::new(&chain, &rpc, sponsor(&chain, &books)?)?;
    if let Some(account) = account {
        let chain = Arc::new(Verifier::new(&chain, RECIPIENT.address, rpc.clone())?);
        app = cards::sell(app, gate, &chain, account)?;
    }
    for (route, seller) in sold {
        if route.path == "/sponsored" {
            app = sessions::sell(app, gate, &tellers, (route.price, &seller))?;
            continue;
        }
        let paywall = gate.charge(route.price)?.via(&seller).layer()?;
        app = app.route(route.path, get(ok).layer(paywall));
    }
    Ok(app)
}

/// Who sells on a route, in its terms.
fn seller(
    route: &Route,
    chain: &Chain,
    rpc: &Arc<dyn Rpc>,
    books: &Arc<dyn Store>,
) -> anyhow::Result<Verifier> {
    let mut seller = Verifier::new(chain, RECIPIENT.address, rpc.clone())?.currency(route.token)?;
    for Share { to, amount, memo } in &route.shares {
        seller = match memo {
            Some(memo) => seller.share_with_memo(to, amount, memo)?,
            None => seller.share(to, amount)?,
        };
    }
    if !route.modes.is_empty() {
        seller = seller.modes(route.modes.iter().cloned());
    }
    if route.sponsored {
        seller = seller.sponsored_by(sponsor(chain, books)?)?;
    }
    Ok(seller)
}

fn sponsor(chain: &Chain, books: &Arc<dyn Store>) -> anyhow::Result<Sponsor> {
    let signer = Arc::new(SPONSOR.key.hex().parse::<Key>()?);
    // A bare development node simulates nothing: it then runs the calls alone.
    let policy = Policy { require_simulation: false, ..Policy::on(chain) };
    Ok(Sponsor::new(chain, signer, books.clone())?.policy(policy))
}

/// A gate that forgets with its process.
pub(crate) fn gate(realm: &str, secret: &str) -> anyhow::Result<Gate> {
    Ok(Gate::builder(Memory::volatile()).realm(realm).secret(secret).build()?)
}

async fn ok(request: Request) -> Json<serde_json::Value> {
    Json(json!({ "ok": true, "path": request.uri().path() }))
}
