//! What a metered payer has: credit, what is spent of it, what is held. Pure arithmetic, under one swap of the store.

mod raise;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Amount,
    problem::{ProblemType, Reason, Rejection},
};

pub use self::raise::{Credit, Proof, Raise};

/// A session's money as the server keeps it, in base units; `K` is what its method keeps beside it.
///
/// Invariant: `spent + held <= credit`, and `credit` is never more than the method's ceiling was when it was raised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Account<K = ()> {
    /// How far it is.
    #[serde(default)]
    pub state: State,
    /// What the payer signed or paid in, in all.
    pub credit: Amount,
    /// What was served.
    pub spent: Amount,
    /// What is reserved by meters that are running.
    #[serde(default, skip_serializing_if = "Amount::is_zero_ref")]
    pub held: Amount,
    /// How many units were served.
    pub units: u64,
    /// What proves the whole credit, where it is proven: the best voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Proofs of before that were better than what was collected then, smallest first: of those that were spent to their end the
    /// best can be collected while the newest is not yet earned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Proof>,
    /// The latest orders carried out, by name: one that is shown again is not carried out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<String>,
    /// The method's own: a descriptor, a deposit.
    pub kept: K,
}

/// How far an account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// Its rail is yet to say that it is there: nothing is drawn.
    Opening,
    /// It can be drawn on.
    #[default]
    Open,
    /// It is being closed: nothing is drawn from now on.
    Closing,
    /// It is closed, and its rail says so.
    Closed,
}

/// Proofs that an account keeps beside the best.
const EARLIER: usize = 3;

/// Order names that an account remembers.
const ORDERS: usize = 32;

impl<K> Account<K> {
    /// An account that its rail is yet to open.
    pub fn opening(kept: K) -> Self {
        Self { state: State::Opening, ..Self::of(kept) }
    }

    /// An account that is there, and of which nothing is known but what its method keeps.
    pub fn of(kept: K) -> Self {
        Self {
            state: State::Open,
            credit: Amount::ZERO,
            spent: Amount::ZERO,
            held: Amount::ZERO,
            units: 0,
            proof: None,
            earlier: Vec::new(),
            orders: Vec::new(),
            kept,
        }
    }

    /// What can still be drawn.
    pub fn available(&self) -> Amount {
        self.credit.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// Accepts a raise and deducts what is bought, in one step; the one way to a paid unit.
    ///
    /// The raise stands even where the balance is short, since the payer did sign it; the deduction does not. A raise that is
    /// refused leaves all as it was. `ceiling` is the most the credit may be, where its method has such: the deposit.
    ///
    /// # Errors
    /// `session/channel-finalized` on an account that is closing; what [`Account::raise`] refuses;
    /// `session/insufficient-balance` with `requiredTopUp`.
    pub fn draw(
        &mut self,
        raise: &Raise,
        ceiling: Option<Amount>,
        units: u64,
        price: Amount,
    ) -> Result<(), Rejection> {
        self.is_open()?;
        self.raise(raise, ceiling)?;
        self.spend(units, price)
    }

    /// Raises the credit to a total, never down.
    ///
    /// # Errors
    /// A total that is more than the ceiling, less than the credit, or more by less than the least step.
    pub fn raise(&mut self, raise: &Raise, ceiling: Option<Amount>) -> Result<(), Rejection> {
        let credit = raise.over(self.credit, ceiling)?;
        if credit == self.credit {
            return Ok(());
        }
        if let Some(old) = self.proof.take() {
            self.supersede(old);
        }
        self.credit = credit;
        let proof = raise.proof().map(str::to_owned);
        self.proof = proof.map(|text| Proof { amount: credit, text });
        Ok(())
    }

    /// Deducts what is bought from the credit that is there.
    ///
    /// # Errors
    /// As for [`Account::draw`].
    pub fn spend(&mut self, units: u64, price: Amount) -> Result<(), Rejection> {
        self.is_open()?;
        let cost = self.cost(units, price)?;
        self.spent = self.spent.checked_add(cost).ok_or_else(overflow)?;
        self.units = self.units.saturating_add(units);
        Ok(())
    }

    /// Sets units aside for a meter: as many as asked and covered, at least one.
    ///
    /// # Errors
    /// As for [`Account::draw`], where not one is covered.
    pub fn hold(&mut self, units: u64, price: Amount) -> Result<u64, Rejection> {
        self.is_open()?;
        let covered = match price.get() {
            0 => units,
            price => u64::try_from(self.available().get() / price).unwrap_or(u64::MAX).min(units),
        };
        let held = self.cost(covered.max(u64::from(units > 0)), price)?;
        self.held = self.held.checked_add(held).ok_or_else(overflow)?;
        Ok(covered)
    }

    /// Ends a hold: what was used of it is spent, the rest can be drawn again. On a closing account too.
    pub fn book(&mut self, held: Amount, used: Amount, units: u64) {
        self.held = self.held.saturating_sub(held);
        self.spent = self.spent.checked_add(used.min(held)).unwrap_or(self.credit).min(self.credit);
        self.units = self.units.saturating_add(units);
    }

    /// Gives back what was deducted for something that was not served; never below `floor`, what its rail has moved already.
    pub fn give_back(&mut self, units: u64, price: Amount, floor: Amount) {
        let cost = price.checked_mul(units).unwrap_or(self.spent);
        if self.state != State::Open || self.spent.saturating_sub(cost) < floor {
            return;
        }
        self.spent = self.spent.saturating_sub(cost);
        self.units = self.units.saturating_sub(units);
    }

    /// Keeps a proof that a better one follows: of those that are spent to their end the best alone, and few that are not yet.
    fn supersede(&mut self, old: Proof) {
        self.earlier.push(old);
        let spent = self.spent;
        let best = self.earlier.iter().rposition(|proof| proof.amount <= spent).unwrap_or(0);
        self.earlier.drain(..best);
        if self.earlier.len() > EARLIER {
            // The first two are spent to their end, or will be first.
            self.earlier.remove(2);
        }
    }

    /// The best proof of no more than what was spent: what may be collected while the account stays open.
    pub fn collectable(&self) -> Option<&Proof> {
        let proofs = self.proof.iter().chain(self.earlier.iter().rev());
        proofs.into_iter().find(|proof| proof.amount <= self.spent)
    }

    /// Whether an order of this name was carried out.
    pub fn has_done(&self, order: &str) -> bool {
        self.orders.iter().any(|done| done == order)
    }

    /// Credits a settled order, once: an order seen before changes nothing.
    ///
    /// # Errors
    /// More than 128 bits.
    pub fn credit_order(&mut self, order: &str, credit: Credit) -> Result<(), Rejection> {
        if self.has_done(order) {
            return Ok(());
        }
        if let Credit::Add(more) = credit {
            // What proves the credit of before proves it still.
            self.credit = self.credit.checked_add(more).ok_or_else(overflow)?;
        }
        if self.orders.len() >= ORDERS {
            self.orders.remove(0);
        }
        self.orders.push(order.to_owned());
        Ok(())
    }

    fn is_open(&self) -> Result<(), Rejection> {
        match self.state {
            State::Open => Ok(()),
            State::Opening => Err(Rejection::unknown("the account is still being opened")),
            State::Closing | State::Closed => Err(closed()),
        }
    }

    /// What units cost, if the balance covers that.
    fn cost(&self, units: u64, price: Amount) -> Result<Amount, Rejection> {
        let cost = price.checked_mul(units).ok_or_else(overflow)?;
        let short = cost.saturating_sub(self.available());
        if short.is_zero() { Ok(cost) } else { Err(insufficient(short)) }
    }
}

/// The account is closed or closing: `session/channel-finalized`.
pub fn closed() -> Rejection {
    let detail = "This channel is closed or closing.";
    Rejection::new(ProblemType::CHANNEL_FINALIZED, Reason::CLOSED, detail)
}

/// So much more has to be signed or paid in: `session/insufficient-balance`, with `requiredTopUp`.
pub fn insufficient(short: Amount) -> Rejection {
    let detail = format!("Insufficient balance: {short} more is required.");
    let mut r = Rejection::new(ProblemType::INSUFFICIENT_BALANCE, Reason::SHORT_BALANCE, detail);
    r.extra.insert("requiredTopUp".into(), Value::String(short.to_string()));
    r
}

fn overflow() -> Rejection {
    Rejection::failed("The amount is too large.")
}

#[cfg(test)]
mod tests;
