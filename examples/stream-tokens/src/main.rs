//! Completions paid for by the token: `stream-tokens sell <rpc url>`, `stream-tokens ask <rpc url> <question>`.

use std::{env, sync::Arc};

use anyhow::{Context, bail};
use axum::{Json, Router, routing::post};
use mpp_client::{Limits, ResponseExt, SessionExt, Wallet, paying};
use mpp_server::{Gate, Session, sse::Sse, store::Redb};
use mpp_tempo::{Chain, HttpRpc, Key, chain::rpc::Rpc, session};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const AT: &str = "127.0.0.1:3000";
const USAGE: &str = "KEY=0x… stream-tokens (sell | ask) <rpc url> [<question>]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let (what, url) = (arguments.next().context(USAGE)?, arguments.next().context(USAGE)?);
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(&url)?);
    let chain = Chain::by_id(rpc.chain_id().await?);
    let key: Key = env::var("KEY").context(USAGE)?.parse()?;
    match what.as_str() {
        "sell" => sell(key, &chain, rpc).await,
        "ask" => ask(key, &chain, rpc, &arguments.next().context(USAGE)?).await,
        _ => bail!(USAGE),
    }
}

/// An endpoint in the shape that clients of completions know. What was served outlives this process, in its books.
#[expect(clippy::print_stdout, reason = "it is a story")]
async fn sell(key: Key, chain: &Chain, rpc: Arc<dyn Rpc>) -> anyhow::Result<()> {
    let teller = session::Teller::new(chain, &key.address().to_string(), Arc::new(key), rpc)?;
    let books = Redb::open("stream-tokens.redb").await?;
    let gate = Gate::builder(books).alone().realm("127.0.0.1").secret_from_env()?.build()?;
    let paywall = gate.session("0.0001 usd per token")?.via(&Arc::new(teller)).metered().layer()?;
    let app = Router::new().route("/v1/chat/completions", paywall.guard(post(complete)));
    println!("selling tokens at http://{AT}");
    Ok(axum::serve(TcpListener::bind(AT).await?, app).await?)
}

/// Each token is charged for before it is handed over; the payer is asked for more when its credit is used up.
async fn complete(session: Session, Json(asked): Json<Value>) -> Sse {
    session.sse_with(async move |tap| {
        for token in model(&asked["messages"][0]["content"]) {
            tap.charge(1).await?;
            tap.send(json!({ "choices": [{ "delta": { "content": token } }] }).to_string()).await?;
        }
        tap.send("[DONE]").await?;
        Ok(())
    })
}

/// It repeats what it was told, thirty times.
fn model(question: &Value) -> Vec<String> {
    let said = format!("{} ", question.as_str().unwrap_or_default()).repeat(30);
    said.split_whitespace().map(|word| format!("{word} ")).collect()
}

/// Asks, within a dollar, and gets back what was not spent.
#[expect(clippy::print_stdout, reason = "it is a story")]
async fn ask(key: Key, chain: &Chain, rpc: Arc<dyn Rpc>, question: &str) -> anyhow::Result<()> {
    let payer = session::Payer::new(key, chain, rpc).max_deposit("1.00")?;
    let client =
        paying(reqwest::Client::builder(), Wallet::new(Limits::usd("1.10")?).payer(payer))?;
    let url = format!("http://{AT}/v1/chat/completions");
    let body = json!({ "stream": true, "messages": [{ "role": "user", "content": question }] });
    let sent = client.post(&url).header("content-type", "application/json").body(body.to_string());
    let mut events = sent.send().await?.events()?;
    while let Some(event) = events.next().await {
        let chunk: Value = serde_json::from_str(&event?.data).unwrap_or_default();
        print!("{}", chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    let spent = events.receipt().and_then(|receipt| receipt.extra.get("spent")?.as_str());
    println!("\n\nspent {} base units", spent.unwrap_or("?"));
    let closed = client.close_session(&url).await?;
    println!("closed: {}", serde_json::to_string(&closed)?);
    Ok(())
}
