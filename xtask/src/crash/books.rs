//! What really happened, as the chain and the client tell it; and what of that must not have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use mpp_testkit::devnet::{Devnet, PATH_USD, PAYER, RECIPIENT};
use serde_json::{Value, json};

/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// What an order costs beside its number, in base units.
const BASE: u128 = 10_000;

/// What was asked for and what came of it, by order.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// How often each was asked for.
    pub(super) asked: BTreeMap<u64, u32>,
    /// Whose whole body a client read, and the transfer its receipt names.
    pub(super) delivered: BTreeMap<u64, Option<String>>,
    /// Whose credential got its response after an interruption.
    pub(super) redeemed: BTreeSet<u64>,
    /// Credentials that were served although they were delivered.
    pub(super) double_delivered: BTreeSet<u64>,
    /// Where processes died.
    pub(super) points: BTreeMap<String, u64>,
}

/// The sums, and what is wrong.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) payments: usize,
    pub(super) deliveries: usize,
    pub(super) lost: Vec<u64>,
    pub(super) double_settled: Vec<u64>,
    /// Delivered, and no transfer for it.
    pub(super) unpaid: Vec<u64>,
    /// Delivered with a receipt of something else.
    pub(super) misnamed: Vec<u64>,
    /// What the recipient got is not what the transfers sum up to.
    pub(super) unbalanced: bool,
}

impl Sums {
    pub(super) fn are_right(&self, books: &Books) -> bool {
        self.lost.is_empty()
            && self.double_settled.is_empty()
            && self.unpaid.is_empty()
            && self.misnamed.is_empty()
            && books.double_delivered.is_empty()
            && !self.unbalanced
    }
}

/// Every transfer from payer to recipient, by order.
pub(super) async fn transfers(chain: &Devnet) -> anyhow::Result<BTreeMap<u64, Vec<String>>> {
    let topic =
        |address: &str| format!("0x{:0>64}", address.trim_start_matches("0x").to_lowercase());
    let filter = json!({
        "fromBlock": "0x0", "toBlock": "latest", "address": PATH_USD,
        "topics": [TRANSFER, topic(PAYER.address), topic(RECIPIENT.address)],
    });
    let logs = chain.rpc("eth_getLogs", json!([filter])).await?;
    let mut found = BTreeMap::<u64, Vec<String>>::new();
    for log in logs.as_array().context("the chain's logs are no list")? {
        let text = |name: &str| log[name].as_str().with_context(|| format!("a log without {name}"));
        let amount = u128::from_str_radix(text("data")?.trim_start_matches("0x"), 16)?;
        let order = amount.checked_sub(BASE).context("a transfer for no order")?;
        let hash = text("transactionHash")?.to_lowercase();
        found.entry(u64::try_from(order)?).or_default().push(hash);
    }
    Ok(found)
}

impl Books {
    pub(super) async fn sum(&self, chain: &Devnet, before: u128) -> anyhow::Result<Sums> {
        let transfers = transfers(chain).await?;
        let moved: u128 =
            transfers.iter().map(|(order, t)| (BASE + u128::from(*order)) * t.len() as u128).sum();
        let got = chain.balance_of(PATH_USD, RECIPIENT.address).await?.checked_sub(before);
        let of = |wrong: &dyn Fn(u64, &Vec<String>) -> bool| {
            Vec::from_iter(transfers.iter().filter(|(o, t)| wrong(**o, t)).map(|(o, _)| *o))
        };
        let unpaid = self.delivered.keys().filter(|order| !transfers.contains_key(order));
        let misnamed = self.delivered.iter().filter(|(order, reference)| {
            let named = reference.as_ref().map(|r| r.to_lowercase());
            named.is_some_and(|n| transfers.get(order).is_some_and(|t| !t.contains(&n)))
        });
        Ok(Sums {
            payments: transfers.len(),
            deliveries: self.delivered.len(),
            lost: of(&|order, _| !self.delivered.contains_key(&order)),
            double_settled: of(&|_, transfers| transfers.len() > 1),
            unpaid: unpaid.copied().collect(),
            misnamed: misnamed.map(|(order, _)| *order).collect(),
            unbalanced: got != Some(moved),
        })
    }

    /// The tally, as `--json` prints it.
    pub(super) fn tally(&self, sums: &Sums, run: &Value) -> Value {
        let mut tally = json!({
            "kills": self.points.values().sum::<u64>(),
            "payments": sums.payments,
            "deliveries": sums.deliveries,
            "redeemed": self.redeemed.len(),
            "lost": sums.lost.len(),
            "double_settled": sums.double_settled.len(),
            "double_delivered": self.double_delivered.len(),
            "unpaid": sums.unpaid.len(),
            "misnamed": sums.misnamed.len(),
            "balanced": !sums.unbalanced,
            "points": self.points,
        });
        if let (Some(tally), Some(run)) = (tally.as_object_mut(), run.as_object()) {
            tally.extend(run.clone());
        }
        tally
    }
}
