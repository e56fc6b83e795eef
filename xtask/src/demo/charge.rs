//! One payment for one request: a paid API, a client that pays it, and what that did to both accounts.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use axum::{Router, routing::get};
use mpp_client::{Event, Limits, ResponseExt, Wallet, choice::Pick, paying};
use mpp_core::{Challenge, Receipt, store::Memory};
use mpp_server::{Gate, Paid};
use mpp_tempo::{Chain, HttpRpc, Key, chain::rpc::Rpc, charge};
use mpp_testkit::devnet::{BETA_USD, Devnet, PATH_USD, PAYER, RECIPIENT};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::console::Console;

const JOKE: &str = "Why did the agent cross the road? It got a 402 on this side.";
const PRICE: &str = "0.10 usd";
const PRICE_UNITS: u128 = 100_000;
/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// Runs it, and says whether the money moved exactly once and the body arrived.
pub(crate) fn command(console: Console) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        console.say("starting a local Tempo chain (the first time, npm installs it)");
        let chain = Devnet::start().await?;
        console.say(format_args!("  chain {} at {}", chain.chain_id(), chain.rpc_url()));
        let shown = run(console, &chain).await;
        chain.stop().await;
        console.object(&shown?);
        Ok(true)
    })
}

async fn run(console: Console, chain: &Devnet) -> anyhow::Result<Value> {
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(chain.rpc_url())?);
    let tempo = Chain::by_id(chain.chain_id());
    let url = sell(&tempo, rpc.clone()).await?;
    console.say(format_args!("selling a joke for {PRICE} at {url}"));

    let before = balances(chain).await?;
    let paid_for = Arc::new(Mutex::new(None));
    let client = paying(reqwest::Client::builder(), wallet(console, &tempo, rpc, &paid_for)?)?;
    let response = client.get(&url).send().await?;
    let status = response.status();
    let receipt = response.receipt().cloned();
    let body = response.text().await?;
    ensure!(status.is_success() && body == JOKE, "the body did not arrive: {status} {body}");
    let receipt = receipt.context("no receipt came")?;
    let after = balances(chain).await?;
    let challenge = paid_for
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .context("nothing was asked")?;

    console.say(format_args!("200 {body}"));
    console.say(format_args!("  receipt      {}", serde_json::to_string(&receipt)?));
    console.say(format_args!("  transaction  {}", receipt.reference));
    console.say(format_args!("  payer        {} -> {}", before.0, after.0));
    console.say(format_args!("  recipient    {} -> {}", before.1, after.1));
    moved_once(chain, &receipt, before, after).await?;
    Ok(json!({
        "challenge": decoded(&challenge)?,
        "receipt": receipt,
        "transaction": receipt.reference,
        "payer_before": before.0.to_string(),
        "payer_after": after.0.to_string(),
        "recipient_before": before.1.to_string(),
        "recipient_after": after.1.to_string(),
    }))
}

/// The seller: an axum API with one paid route.
async fn sell(tempo: &Chain, rpc: Arc<dyn Rpc>) -> anyhow::Result<String> {
    let verifier = Arc::new(charge::Verifier::new(tempo, RECIPIENT.address, rpc)?);
    let gate =
        Gate::builder(Memory::volatile()).realm("127.0.0.1").secret(super::secret()).build()?;
    let paywall = gate.charge(PRICE)?.via(&verifier).layer()?;
    let app = Router::new().route("/joke", get(async |_: Paid| JOKE).layer(paywall));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/joke", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// The buyer: up to a quarter a payment, with fees in another token, so that the payment token moves by the price alone.
fn wallet(
    console: Console,
    tempo: &Chain,
    rpc: Arc<dyn Rpc>,
    paid_for: &Arc<Mutex<Option<Challenge>>>,
) -> anyhow::Result<Wallet> {
    let payer =
        charge::Payer::new(PAYER.key.hex().parse::<Key>()?, tempo, rpc).fees_in(BETA_USD)?;
    let asked = paid_for.clone();
    let wallet = Wallet::new(Limits::usd("0.25")?)
        .payer(payer)
        .on_challenge(move |choices| {
            if let Some(choice) = choices.first() {
                console.say("402, and this challenge:");
                if let Ok(shown) = decoded(&choice.challenge) {
                    console.say(format_args!("  {shown}"));
                }
                *asked.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(choice.challenge.clone());
            }
            Pick::Any
        })
        .on_event(move |event| match event {
            Event::Allowed(quote) => console.say(format_args!(
                "the policy allows up to {} of {} to {}",
                quote.exposes.amount.to_decimal(6),
                quote.currency,
                quote.recipient.as_deref().unwrap_or("anyone"),
            )),
            Event::Sent { challenge, .. } => {
                console.say(format_args!(
                    "credential sent: Payment <redacted>, answering {challenge}"
                ));
            }
            _ => {}
        });
    Ok(wallet)
}

/// A challenge with what its request and `opaque` hold.
pub(super) fn decoded(challenge: &Challenge) -> anyhow::Result<Value> {
    let mut shown = serde_json::to_value(challenge)?;
    shown["request"] = challenge.request.decode()?;
    if let Some(members) = challenge.opaque.as_ref().and_then(|o| o.members()) {
        shown["opaque"] = serde_json::to_value(members)?;
    }
    Ok(shown)
}

async fn balances(chain: &Devnet) -> anyhow::Result<(u128, u128)> {
    let of = async |address| chain.balance_of(PATH_USD, address).await;
    Ok((of(PAYER.address).await?, of(RECIPIENT.address).await?))
}

/// Both accounts differ by the price, and the whole chain holds one transfer between them: the receipt's.
async fn moved_once(
    chain: &Devnet,
    receipt: &Receipt,
    before: (u128, u128),
    after: (u128, u128),
) -> anyhow::Result<()> {
    ensure!(
        before.0.checked_sub(after.0) == Some(PRICE_UNITS),
        "the payer did not pay exactly the price"
    );
    ensure!(
        after.1.checked_sub(before.1) == Some(PRICE_UNITS),
        "the recipient did not get exactly the price"
    );
    let topic =
        |address: &str| format!("0x{:0>64}", address.trim_start_matches("0x").to_lowercase());
    let filter = json!({
        "fromBlock": "0x0", "toBlock": "latest", "address": PATH_USD,
        "topics": [TRANSFER, topic(PAYER.address), topic(RECIPIENT.address)],
    });
    let logs = chain.rpc("eth_getLogs", json!([filter])).await?;
    let logs = logs.as_array().context("the chain's logs are no list")?;
    ensure!(logs.len() == 1, "{} transfers between payer and recipient", logs.len());
    ensure!(
        logs.first().is_some_and(|l| l["transactionHash"] == *receipt.reference),
        "the receipt names another transaction"
    );
    Ok(())
}
