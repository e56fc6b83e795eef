//! The client: a wallet with a journal, which asks for orders as it is told and says what came of each.

use std::sync::Arc;

use anyhow::Context;
use mpp_client::{Error, Journal, Limits, ResponseExt, Wallet, paying};
use mpp_core::store::Key;
use mpp_stripe::{
    Api, SecretKey,
    token::{ApiTokens, PaymentMethod},
};
use mpp_tempo::{Chain, HttpRpc, Key as Signer, charge::Payer};
use mpp_testkit::devnet::{BETA_USD, Options, PAYER};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    Args, Rail, say, seller, stores,
    tripwire::{Fuse, Naming, Tripwire},
};

/// Asks until standard input ends, or the fuse is hit.
pub(crate) async fn run(
    args: Args,
    mut told: mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<()> {
    let fuse = Fuse::default();
    let store = stores::open(&args.store).await?;
    let store = Arc::new(Tripwire::new(store, fuse.clone(), Naming::Written(name)));
    let most = if args.broke { "0" } else { "100" };
    let limits = Limits::usd(most)?
        .per_host("100000", std::time::Duration::from_secs(3600))?
        .in_all("100000", std::time::Duration::from_secs(3600))?
        .kept_in(store.clone(), "buyer")?;
    let journal = Journal::open(store.clone(), "buyer").await?;
    let wallet = Wallet::new(limits).journal(journal);
    let wallet = match args.rail {
        Rail::Tempo => wallet.payer(tempo(&args)?),
        Rail::Stripe => wallet.payer(stripe(&args)?),
    };
    let client = paying(reqwest::Client::builder(), wallet)?;
    say(&json!({ "ready": true, "delivered": delivered(&*store).await? }));
    while let Some(line) = told.recv().await {
        let mut words = line.splitn(2, ' ');
        match (words.next(), words.next()) {
            (Some("arm"), Some(point)) => fuse.arm(point),
            (Some("pay"), Some(what)) => {
                let (kind, order) = what.split_once(' ').context("pay KIND ORDER")?;
                let url = format!("http://127.0.0.1:{}/{kind}/{order}", args.port);
                let (client, fuse, order) = (client.clone(), fuse.clone(), order.parse()?);
                tokio::spawn(async move { say(&ask(&client, &fuse, &url, order).await) });
            }
            _ => {}
        }
    }
    Ok(())
}

fn tempo(args: &Args) -> anyhow::Result<Payer> {
    let chain = Chain::by_id(Options::default().chain_id);
    let key = PAYER.key.hex().parse::<Signer>()?;
    let payer = Payer::new(key, &chain, Arc::new(HttpRpc::new(&args.rpc)?));
    Ok(payer.fees_in(BETA_USD)?)
}

fn stripe(args: &Args) -> anyhow::Result<mpp_stripe::charge::Payer> {
    let key = SecretKey::new(args.key.as_deref().context("whose account is it")?)?;
    let tokens = ApiTokens::new(Api::new(&key)?.at(&args.rpc)?);
    let card = PaymentMethod::parse("pm_card_visa")?;
    Ok(mpp_stripe::charge::Payer::new(tokens).paying_with(card))
}

async fn ask(client: &ClientWithMiddleware, fuse: &Fuse, url: &str, order: u64) -> Value {
    let sent = client.post(url).body(format!("order {order}")).send().await;
    let response = match sent {
        Ok(response) => response,
        Err(e) => {
            let funds = Error::from_reqwest(&e).map(|e| format!("{:?}", e.funds()));
            return json!({ "order": order, "error": e.to_string(), "funds": funds });
        }
    };
    fuse.pass("answered");
    let status = response.status();
    let verdict = response.verdict().cloned();
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(e) => return json!({ "order": order, "error": e.to_string() }),
    };
    if !status.is_success() {
        return json!({ "order": order, "status": status.as_u16(), "error": String::from_utf8_lossy(&body) });
    }
    if body != seller::body(order) {
        return json!({ "order": order, "error": "a success with another body" });
    }
    let reference = verdict.as_ref().and_then(|v| v.receipt()).map(|r| r.reference.clone());
    let credential = verdict.and_then(|v| v.unfinished().credential().to_token().ok());
    json!({ "order": order, "delivered": true, "reference": reference, "credential": credential })
}

/// The orders whose journal says that their bodies were read to the end.
async fn delivered(store: &dyn mpp_core::store::Store) -> anyhow::Result<Vec<u64>> {
    let (prefix, mut after, mut orders) = (Key::of(&["journal"])?, None, Vec::new());
    loop {
        let page = store.scan(&prefix, after.as_ref(), 256).await?;
        let Some((last, _)) = page.last() else { return Ok(orders) };
        after = Some(last.clone());
        for (_, record) in page {
            let record: Value = serde_json::from_slice(&record.value).unwrap_or_default();
            if record["state"] == "delivered" {
                let resource = record.to_string();
                let order = resource
                    .split(['/', '"'])
                    .filter_map(|part| part.parse::<u64>().ok())
                    .next_back();
                orders.extend(order);
            }
        }
    }
}

/// The named writes of a journal.
fn name(_: &Key, record: &Value) -> Option<&'static str> {
    match record["state"].as_str()? {
        "intent" => Some("intent"),
        "signed" => Some("signed"),
        "sent" => Some("sent"),
        "settled" => Some("receipt"),
        "delivered" => Some("read"),
        _ => None,
    }
}
