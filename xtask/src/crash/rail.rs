//! The rail that seller and buyer trade on, and what it says was paid: the judge of the books.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::ValueEnum;
use mpp_testkit::{
    devnet::{Devnet, PATH_USD, PAYER, RECIPIENT},
    stripe::{Fault, Simulator},
};
use serde_json::json;

use super::plan::Dice;

/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// Which rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Paid {
    /// Transfers on a real local chain.
    #[default]
    Tempo,
    /// Cards, at a simulator of Stripe that loses some of its answers.
    Stripe,
}

/// A rail that runs.
pub(super) enum Rail {
    Tempo(Devnet),
    Stripe(Simulator),
}

impl Rail {
    pub(super) async fn start(paid: Paid) -> anyhow::Result<Self> {
        Ok(match paid {
            Paid::Tempo => Self::Tempo(Devnet::start().await?),
            Paid::Stripe => Self::Stripe(Simulator::start().await?),
        })
    }

    /// What a process is told of it.
    pub(super) fn args(&self) -> Vec<String> {
        let (rail, key) = match self {
            Self::Tempo(_) => ("tempo", None),
            Self::Stripe(stripe) => ("stripe", Some(stripe.secret_key())),
        };
        let key = key.into_iter().flat_map(|key| ["--key", key]);
        ["--rail", rail].into_iter().chain(key).map(str::to_owned).collect()
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::Tempo(chain) => chain.rpc_url(),
            Self::Stripe(stripe) => stripe.url(),
        }
    }

    /// What an order costs beside its number, in base units.
    fn base(&self) -> u128 {
        match self {
            Self::Tempo(_) => 10_000,
            Self::Stripe(_) => 100,
        }
    }

    pub(super) fn cost(&self, order: u64) -> u128 {
        self.base() + u128::from(order)
    }

    /// Every payment that the rail knows of, by order.
    pub(super) async fn payments(&self) -> anyhow::Result<BTreeMap<u64, Vec<String>>> {
        let mut found = BTreeMap::<u64, Vec<String>>::new();
        for (amount, name) in self.paid().await? {
            let order = amount.checked_sub(self.base()).context("a payment for no order")?;
            found.entry(u64::try_from(order)?).or_default().push(name);
        }
        Ok(found)
    }

    async fn paid(&self) -> anyhow::Result<Vec<(u128, String)>> {
        match self {
            Self::Tempo(chain) => transfers(chain).await,
            Self::Stripe(stripe) => {
                let mut paid = Vec::new();
                for intent in stripe.payment_intents() {
                    if intent["status"] == "succeeded" {
                        let amount = intent["amount"].as_u64().context("no amount")?;
                        let id = intent["id"].as_str().context("no id")?;
                        paid.push((amount.into(), id.to_lowercase()));
                    }
                }
                Ok(paid)
            }
        }
    }

    /// What the seller has.
    pub(super) async fn received(&self) -> anyhow::Result<u128> {
        match self {
            Self::Tempo(chain) => Ok(chain.balance_of(PATH_USD, RECIPIENT.address).await?),
            Self::Stripe(stripe) => {
                let got = |intent: &serde_json::Value| intent["amount_received"].as_u64();
                Ok(stripe.payment_intents().iter().filter_map(got).map(u128::from).sum())
            }
        }
    }

    /// One trouble of its own, now and then: a payment that was made, and whose answer nobody hears.
    pub(super) fn trouble(&self, dice: &mut Dice) {
        if let Self::Stripe(stripe) = self
            && dice.one_in(4)
        {
            stripe.next(Fault::AnswerLost);
        }
    }

    pub(super) async fn stop(self) {
        if let Self::Tempo(chain) = self {
            chain.stop().await;
        }
    }
}

/// Every transfer from payer to recipient.
async fn transfers(chain: &Devnet) -> anyhow::Result<Vec<(u128, String)>> {
    let topic =
        |address: &str| format!("0x{:0>64}", address.trim_start_matches("0x").to_lowercase());
    let filter = json!({
        "fromBlock": "0x0", "toBlock": "latest", "address": PATH_USD,
        "topics": [TRANSFER, topic(PAYER.address), topic(RECIPIENT.address)],
    });
    let logs = chain.rpc("eth_getLogs", json!([filter])).await?;
    let mut found = Vec::new();
    for log in logs.as_array().context("the chain's logs are no list")? {
        let text = |name: &str| log[name].as_str().with_context(|| format!("a log without {name}"));
        let amount = u128::from_str_radix(text("data")?.trim_start_matches("0x"), 16)?;
        found.push((amount, text("transactionHash")?.to_lowercase()));
    }
    Ok(found)
}
