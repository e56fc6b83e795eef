//! What really happened, as the rail and the client tell it; and what of that must not have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rail::Rail;

/// What was asked for and what came of it, by order.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// How often each was asked for.
    pub(super) asked: BTreeMap<u64, u32>,
    /// Whose whole body a client read, and the payment its receipt names.
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
    /// Delivered, and no payment for it.
    pub(super) unpaid: Vec<u64>,
    /// Delivered with a receipt of something else.
    pub(super) misnamed: Vec<u64>,
    /// What the seller got is not what the payments sum up to.
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

impl Books {
    pub(super) async fn sum(&self, rail: &Rail, before: u128) -> anyhow::Result<Sums> {
        let transfers = rail.payments().await?;
        let moved: u128 = transfers.iter().map(|(o, t)| rail.cost(*o) * t.len() as u128).sum();
        let got = rail.received().await?.checked_sub(before);
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
