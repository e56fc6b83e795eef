//! One payment by card: a paid API that takes cards beside the chain, a client that has a card, and what Stripe has of it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use axum::{Router, routing::get};
use mpp_client::{Event, Limits, ResponseExt, Wallet, choice::Pick, paying};
use mpp_core::{Challenge, Receipt, store::Memory, transport::read_challenges};
use mpp_server::{Gate, Paid};
use mpp_stripe::{
    Api, Currency, SecretKey, TEST_NETWORK,
    api::VERSION,
    charge::{Payer, Verifier},
    token::ApiTokens,
};
use mpp_tempo::{Chain, HttpRpc};
use mpp_testkit::{devnet::RECIPIENT, stripe::Simulator};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

use super::charge::decoded;
use crate::{console::Console, interop::Peer, serve::Account, workspace::Workspace};

const JOKE: &str = "Why did the agent cross the road? It had a card on the other side.";
const PRICE: &str = "5.00 usd";
const CENTS: u64 = 500;
/// Stripe's own test card.
const CARD: &str = "pm_card_visa";
/// The chain that is offered beside: Tempo's testnet, where nobody pays here.
const MODERATO: u64 = 42_431;

/// An account, and how it is asked for its books.
struct Stripe {
    account: Account,
    url: String,
    /// The key's text.
    secret: String,
    simulated: bool,
}

/// Runs it at a simulator; with STRIPE_SECRET_KEY, at Stripe itself in test mode.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    match std::env::var("STRIPE_SECRET_KEY").ok().filter(|key| !key.is_empty()) {
        Some(key) => real(workspace, console, key),
        None => simulated(console),
    }
}

/// Runs it at a simulator.
pub(super) fn simulated(console: Console) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let simulator = Simulator::start().await?;
        let (url, secret) = (simulator.url().to_owned(), simulator.secret_key().to_owned());
        console.say(format_args!("a simulated Stripe at {url}: no card is real, no money moves"));
        let account = Account::simulated(&url, &secret)?;
        let shown = run(console, &Stripe { account, url, secret, simulated: true }).await?;
        let made = simulator.payment_intents().len();
        ensure!(made == 1, "{made} PaymentIntents were made");
        console.object(&shown);
        Ok(true)
    })
}

/// Runs it at Stripe itself, through a program on this machine that speaks TLS to it.
fn real(workspace: &Workspace, console: Console, secret: String) -> anyhow::Result<bool> {
    let key = test_key(&secret)?;
    crate::runtime()?.block_on(async {
        let mut program = Command::new("node");
        program.arg(workspace.root.join("interop/node/stripe-forward.mjs"));
        let (_forwarding, ready) = Peer::start(program).await?;
        let url = ready["url"].as_str().context("it does not say where")?.to_owned();
        console.say("Stripe itself, in test mode: the card is Stripe's, no money moves");
        let account = Account { url: Some(url.clone()), key };
        let shown = run(console, &Stripe { account, url, secret, simulated: false }).await?;
        console.object(&shown);
        Ok(true)
    })
}

/// A key that moves no money.
fn test_key(secret: &str) -> anyhow::Result<SecretKey> {
    let key = SecretKey::new(secret).context("STRIPE_SECRET_KEY")?;
    ensure!(key.is_test(), "STRIPE_SECRET_KEY is a live key: a demo charges no real card");
    Ok(key)
}

async fn run(console: Console, stripe: &Stripe) -> anyhow::Result<Value> {
    let api = stripe.account.api()?;
    let url = sell(api.clone()).await?;
    console.say(format_args!("selling a joke for {PRICE} at {url}"));
    offers(console, &url).await?;

    let paid_for = Arc::new(Mutex::new(None));
    let client = paying(reqwest::Client::builder(), wallet(console, api, &paid_for)?)?;
    let response = client.get(&url).send().await?;
    let status = response.status();
    let receipt = response.receipt().cloned();
    let body = response.text().await?;
    ensure!(status.is_success() && body == JOKE, "the body did not arrive: {status} {body}");
    let receipt = receipt.context("no receipt came")?;
    let challenge: Challenge = paid_for
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .context("nothing was asked")?;

    console.say(format_args!("200 {body}"));
    console.say(format_args!("  receipt         {}", serde_json::to_string(&receipt)?));
    let made = payment_intent(stripe, &receipt).await?;
    console.say(format_args!(
        "  PaymentIntent   {} {} {} {}",
        made["id"], made["status"], made["amount"], made["currency"]
    ));
    console.say(format_args!("  its notes       {}", made["metadata"]));
    let dashboard = format!("https://dashboard.stripe.com/test/payments/{}", receipt.reference);
    if !stripe.simulated {
        console.say(format_args!("  see             {dashboard}"));
    }
    is_paid(&made, &receipt, &challenge)?;
    Ok(json!({
        "payment_intent": made["id"],
        "receipt": receipt,
        "amount": CENTS.to_string(),
        "currency": made["currency"],
        "simulated": stripe.simulated,
    }))
}

/// The seller: an axum API with one paid route, by chain or by card.
async fn sell(api: Api) -> anyhow::Result<String> {
    let card = Arc::new(Verifier::new(api, TEST_NETWORK, Currency::USD)?);
    // Offered, and never asked: who has a card alone pays nothing there.
    let nowhere = Arc::new(HttpRpc::new("http://127.0.0.1:9")?);
    let chain = Chain::by_id(MODERATO);
    let chain = mpp_tempo::charge::Verifier::new(&chain, RECIPIENT.address, nowhere)?;
    let gate =
        Gate::builder(Memory::volatile()).realm("127.0.0.1").secret(super::secret()).build()?;
    let paywall = gate.charge(PRICE)?.via(&Arc::new(chain)).via(&card).layer()?;
    let app = Router::new().route("/joke", get(async |_: Paid| JOKE).layer(paywall));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/joke", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// Shows what somebody is asked who pays nothing.
async fn offers(console: Console, url: &str) -> anyhow::Result<()> {
    let asked = reqwest::Client::builder().no_proxy().build()?.get(url).send().await?;
    let challenges = read_challenges(asked.headers());
    console.say(format_args!("{}, and {} ways to pay:", asked.status(), challenges.len()));
    for challenge in &challenges {
        console.say(format_args!("  {} {}", challenge.method_id(), challenge.request.as_str()));
    }
    ensure!(challenges.len() == 2, "a card and the chain were to be offered");
    Ok(())
}

/// The buyer: a card, and up to ten dollars a payment.
fn wallet(
    console: Console,
    api: Api,
    paid_for: &Arc<Mutex<Option<Challenge>>>,
) -> anyhow::Result<Wallet> {
    let payer = Payer::new(ApiTokens::new(api)).paying_with(CARD.parse()?);
    let asked = paid_for.clone();
    let wallet = Wallet::new(Limits::usd("10.00")?)
        .payer(payer)
        .on_challenge(move |choices| {
            if let Some(choice) = choices.first() {
                console.say("the client has a card, and takes this challenge:");
                if let Ok(shown) = decoded(&choice.challenge) {
                    console.say(format_args!("  {shown}"));
                }
                *asked.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(choice.challenge.clone());
            }
            Pick::Any
        })
        .on_event(move |event| {
            if let Event::Sent { challenge, .. } = event {
                console.say(format_args!(
                    "a token of {CARD} for this alone was made; credential sent: Payment <redacted>, answering {challenge}"
                ));
            }
        });
    Ok(wallet)
}

/// What Stripe has on its books under a receipt's reference.
async fn payment_intent(stripe: &Stripe, receipt: &Receipt) -> anyhow::Result<Value> {
    let Stripe { url, secret, .. } = stripe;
    let url = format!("{url}/v1/payment_intents/{}", receipt.reference);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.get(url).basic_auth(secret, Some("")).header("stripe-version", VERSION);
    let answer = request.send().await?.text().await?;
    serde_json::from_str(&answer).context("Stripe's answer")
}

/// That Stripe's books have the one payment that was asked for and receipted.
fn is_paid(made: &Value, receipt: &Receipt, challenge: &Challenge) -> anyhow::Result<()> {
    let is = |name: &str, value: Value| {
        ensure!(made[name] == value, "the payment's {name} is {} and not {value}", made[name]);
        Ok(())
    };
    is("id", json!(receipt.reference))?;
    is("status", json!("succeeded"))?;
    is("amount", json!(CENTS))?;
    is("amount_received", json!(CENTS))?;
    is("currency", json!("usd"))?;
    let named = &made["metadata"]["mpp_challenge_id"];
    ensure!(*named == challenge.id().as_str(), "the payment is of another challenge: {named}");
    ensure!(receipt.method.as_str() == "stripe", "the receipt is of {}", receipt.method);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_key_is_refused_and_not_repeated() {
        for bad in ["sk_live_abcdefg", "rk_live_abcdefg", "pk_test_abcdefg", "abcdefg"] {
            let said = format!("{:#}", test_key(bad).unwrap_err());
            assert!(!said.contains("abcdefg"), "{said}");
        }
        assert!(test_key("sk_test_abcdefg").is_ok() && test_key("rk_test_abcdefg").is_ok());
    }
}
