//! What a transaction may use and what it may pay for that: what the node says, never less than its calls one by one.

use std::num::NonZeroU64;

use alloy::primitives::Address;
use mpp_core::payer::PayError;

use super::{access::gas_to_authorize, together::together};
use crate::chain::{
    rpc::{Block, Rpc, RpcError, Trial},
    transaction::{ATTO_PER_UNIT, FeePayer, Transaction},
};

/// What a transaction may come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// In attodollars.
    budget: u128,
    /// In attodollars.
    per_gas: u128,
    most_gas: u64,
}

impl Caps {
    /// Of one that somebody's budget pays for, in base units of a dollar token.
    pub(crate) fn of(budget: u128, transaction: &Transaction) -> Self {
        if transaction.fee_payer == FeePayer::Awaited {
            return Self { budget: SPONSORED, per_gas: SPONSORED_PER_GAS, most_gas: SPONSORED_GAS };
        }
        let further = u64::try_from(transaction.calls.len().saturating_sub(1)).unwrap_or(u64::MAX);
        let most_gas = MOST_GAS
            .saturating_add(further.saturating_mul(MOST_PER_CALL))
            .saturating_add(for_key(transaction));
        Self { budget: budget.saturating_mul(ATTO_PER_UNIT), per_gas: u128::MAX, most_gas }
    }

    /// What to offer for so much gas: half as much again as the node says, where that is allowed.
    fn offer(&self, gas: u64, price: u128) -> Option<u128> {
        let affordable = (self.budget / u128::from(gas.max(1))).min(self.per_gas);
        (price <= affordable).then(|| price.saturating_add(price / 2).min(affordable))
    }

    /// A margin is cut before a payment is refused: what it was added to is rather too much already.
    fn limit(&self, needed: u64) -> Option<u64> {
        let wished = needed.saturating_add(needed / 5).max(LEAST_GAS);
        (needed <= self.most_gas).then_some(wished.min(self.most_gas))
    }

    /// Fills in gas and fees: what is needed, with a margin, at this price.
    pub(crate) fn fill_in(
        &self,
        transaction: Transaction,
        needed: u64,
        price: u128,
    ) -> Result<Transaction, PayError> {
        let dear = || {
            PayError::untouched(match transaction.fee_payer {
                FeePayer::Awaited => "the fee would be higher than sponsors pay",
                _ => {
                    "the fee would be higher than allowed: `max_fee`, or the limit that is left beside the price"
                }
            })
        };
        let gas_limit = self.limit(needed).ok_or_else(dear)?;
        let max_fee_per_gas = self.offer(gas_limit, price).ok_or_else(dear)?;
        let max_priority_fee_per_gas = max_fee_per_gas.min(TIP);
        Ok(Transaction { gas_limit, max_fee_per_gas, max_priority_fee_per_gas, ..transaction })
    }
}

/// A node that is asked what transactions of an account would use. Nothing is sent.
pub(crate) struct Gas<'a> {
    pub(crate) node: &'a dyn Rpc,
    pub(crate) from: Address,
    /// The later calls live on what the earlier ones bring, so that they cannot be tried alone.
    pub(crate) chained: bool,
}

impl Gas<'_> {
    /// What the calls use, and a key that is made known.
    pub(crate) async fn needed(&self, transaction: &Transaction) -> Result<u64, PayError> {
        let trial = Trial {
            from: Some(self.from),
            calls: transaction.calls.clone(),
            fee_token: transaction.fee_token,
            valid_before: transaction.valid_before.map(NonZeroU64::get),
            fee_payer: None,
        };
        Ok(needed(self.node, trial, self.chained).await?.saturating_add(for_key(transaction)))
    }

    /// What a unit of gas costs after a block, as that says itself; else as the node does.
    pub(crate) async fn price(&self, block: &Block) -> Result<u128, PayError> {
        match block.base_fee {
            // What is offered is half as much again: room for the tip, and for blocks that are dearer.
            Some(base_fee) => Ok(base_fee.max(TIP)),
            None => self.node.gas_price().await.map_err(|cause| {
                PayError::untouched("the node does not say what gas costs").because(cause)
            }),
        }
    }
}

/// What the calls use: as the node says of all of them, or of each of them, whichever is more. Nodes are known that answer
/// the same number whatever a list holds; one call alone is run by every node.
async fn needed(node: &dyn Rpc, trial: Trial, chained: bool) -> Result<u64, PayError> {
    let alone = |call| Trial { calls: vec![call], ..trial.clone() };
    let mut trials = vec![trial.clone()];
    if trial.calls.len() > 1 {
        trials.extend(trial.calls.iter().cloned().map(alone));
    }
    let said = together(trials.into_iter().map(|trial| node.estimate_gas(trial)).collect()).await;
    let mut said = said.into_iter();
    let whole = said.next().unwrap_or(Ok(u64::MAX)).map_err(unsaid)?;
    let mut sum = 0_u64;
    for one in said {
        let gas = match one {
            Err(RpcError::Refused(_)) if chained => UNTRIED,
            said => said.map_err(unsaid)?,
        };
        sum = sum.saturating_add(gas);
    }
    Ok(whole.max(sum))
}

/// No estimate counts what it takes to make an access key known.
fn for_key(transaction: &Transaction) -> u64 {
    transaction.key_authorization.as_ref().map_or(0, |raw| gas_to_authorize(raw))
}

fn unsaid(cause: RpcError) -> PayError {
    let detail = match cause {
        RpcError::Refused(_) => "the node says that the transaction would fail",
        _ => "the node does not say what the transaction would use",
    };
    PayError::untouched(detail).because(cause)
}

/// Only what is used is paid for. Some nodes run a server's trial of this transaction only with 771,000 or more.
const LEAST_GAS: u64 = 800_000;
/// No single transfer needs as much.
const MOST_GAS: u64 = 3_000_000;
/// Nor does a further call: what makes one dear is the first balance of an account, of some 250,000.
const MOST_PER_CALL: u64 = 600_000;
/// For a call that cannot be tried before those in front of it have been: a first balance and as much again.
const UNTRIED: u64 = 500_000;
/// In attodollars per unit of gas; within the highest fee, not beside it.
const TIP: u128 = 1_000_000_000;

/// What deployed sponsors pay for and no more: gas,
const SPONSORED_GAS: u64 = 2_000_000;
/// attodollars per unit of it,
const SPONSORED_PER_GAS: u128 = 100_000_000_000;
/// and attodollars in all.
const SPONSORED: u128 = 50_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_cut_before_a_payment_is_refused() {
        let caps = Caps { budget: u128::MAX, per_gas: u128::MAX, most_gas: 2_000_000 };
        for (needed, limit) in [
            (60_000, Some(800_000)),
            (700_000, Some(840_000)),
            (1_900_000, Some(2_000_000)),
            (2_000_000, Some(2_000_000)),
            (2_000_001, None),
            (u64::MAX, None),
        ] {
            assert_eq!(caps.limit(needed), limit, "{needed}");
        }
    }

    #[test]
    fn what_is_offered_is_within_the_budget_and_what_a_unit_may_cost() {
        let caps = Caps { budget: 1_000_000, per_gas: 120, most_gas: 0 };
        let cases =
            [(10_000, 60, Some(90)), (10_000, 90, Some(100)), (10_000, 101, None), (1, 121, None)];
        for (gas, price, offered) in cases {
            assert_eq!(caps.offer(gas, price), offered, "{gas} at {price}");
        }
    }
}
