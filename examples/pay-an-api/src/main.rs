//! Buys from a paid API, within limits, and says what became of the money: `pay-an-api <rpc url> <resource url>`.

use std::{env, sync::Arc, time::Duration};

use anyhow::Context;
use mpp_client::{Error, Event, Journal, Limits, ResponseExt, Wallet, paying};
use mpp_server::store::Redb;
use mpp_stripe::{Api, SecretKey, token::ApiTokens};
use mpp_tempo::{Chain, HttpRpc, Key, chain::rpc::Rpc, charge::Payer};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is a story")]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: PAYER_KEY=0x… pay-an-api <rpc url> <resource url>";
    let (rpc, url) = (env::args().nth(1).context(usage)?, env::args().nth(2).context(usage)?);
    let key: Key = env::var("PAYER_KEY").context(usage)?.parse()?;
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(&rpc)?);
    let chain = Chain::by_id(rpc.chain_id().await?);

    // At most a dollar a payment, fees included, and five dollars an hour to one host: after a restart too.
    let store = Arc::new(Redb::open("pay-an-api.redb").await?);
    let limits = Limits::usd("1")?.per_host("5", Duration::from_secs(3600))?;
    let limits = limits.kept_in(store.clone(), "pay-an-api")?;
    // Killed at any moment and started again, it shows what it has signed, and signs nothing else for it.
    let journal = Journal::open(store, "pay-an-api").await?;
    let wallet = Wallet::new(limits).payer(Payer::new(key, &chain, rpc)).journal(journal);
    // With a card of one's own: it is what pays, wherever it is taken.
    let wallet = match env::var("CARD") {
        Ok(card) => wallet.payer(cards(&card)?).prefer(["stripe", "tempo"]),
        Err(_) => wallet,
    };
    let wallet = wallet.on_event(|event| match event {
        Event::Allowed(quote) => {
            println!("paying up to {} base units by {}", quote.exposes.amount, quote.id);
        }
        Event::Adopted { .. } => println!("showing what was paid before"),
        _ => {}
    });
    let client = paying(reqwest::Client::builder(), wallet)?;

    match client.get(&url).send().await {
        Ok(response) => {
            println!(
                "{}, receipt {:?}",
                response.status(),
                response.receipt().map(|r| &r.reference)
            );
            println!("{}", response.text().await?);
        }
        Err(e) => match Error::from_reqwest(&e) {
            Some(why) => println!("not served: {why}; funds: {}", why.funds()),
            None => return Err(e.into()),
        },
    }
    Ok(())
}

/// Cards: through Stripe (`STRIPE_SECRET_KEY`), or a simulator of it besides (`STRIPE_API`, its address).
fn cards(card: &str) -> anyhow::Result<mpp_stripe::charge::Payer> {
    let api = Api::new(&SecretKey::from_env().context("set STRIPE_SECRET_KEY")?)?;
    let api = match env::var("STRIPE_API") {
        Ok(simulator) => api.at(&simulator)?,
        Err(_) => api,
    };
    Ok(mpp_stripe::charge::Payer::new(ApiTokens::new(api)).paying_with(card.parse()?))
}
