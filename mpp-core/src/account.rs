//! What a metered payer has: credit, what is spent of it, what is held. Pure arithmetic, under one swap of the store.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Amount,
    problem::{ProblemType, Reason, Rejection},
};

/// What a credential raises an account's credit to, or by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Credit {
    /// Leaves it (a bearer proof).
    #[default]
    Same,
    /// To this much in all (a cumulative voucher); never down.
    To(Amount),
    /// By this much (a top-up); once an order, see [`Account::credit_order`].
    Add(Amount),
}

impl Credit {
    /// Whether nothing changes.
    pub fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

/// A session's money as the server keeps it, in base units.
///
/// Invariant: `spent + held <= credit`. The method's own part rides in `kept` under the same swap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Account {
    /// What the payer signed or paid in, in all.
    pub credit: Amount,
    /// What was served.
    pub spent: Amount,
    /// What is reserved by meters that are running.
    pub held: Amount,
    /// How many units were served.
    pub units: u64,
    /// Set before a close settles; nothing is drawn from then on.
    pub closing: bool,
    /// The method's own: a descriptor, the best voucher.
    #[serde(default)]
    pub kept: Value,
    /// Orders already credited, so that one settled twice over a crash is credited once.
    #[serde(default)]
    pub orders: Vec<String>,
}

impl Account {
    /// What can still be drawn.
    pub fn available(&self) -> Amount {
        self.credit.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// Accepts and deducts in one step; the one way to a paid unit.
    ///
    /// The raise stands even where the balance is short, since the payer did sign it; the deduction does not.
    ///
    /// # Errors
    /// `session/channel-finalized` on a closing account; `session/insufficient-balance` with `requiredTopUp`.
    pub fn draw(
        &mut self,
        credit: Credit,
        kept: Option<Value>,
        units: u64,
        price: Amount,
    ) -> Result<(), Rejection> {
        if self.closing {
            let detail = "This channel is closed or closing.";
            return Err(Rejection::new(ProblemType::CHANNEL_FINALIZED, Reason::CLOSED, detail));
        }
        let before = self.credit;
        self.raise(credit)?;
        if let Some(kept) = kept.filter(|_| self.credit > before || self.kept.is_null()) {
            self.kept = kept;
        }
        let cost = price.checked_mul(units).ok_or_else(overflow)?;
        let short = cost.saturating_sub(self.available());
        if !short.is_zero() {
            let detail = format!("Insufficient balance: {short} more is required.");
            let mut r =
                Rejection::new(ProblemType::INSUFFICIENT_BALANCE, Reason::SHORT_BALANCE, detail);
            r.extra.insert("requiredTopUp".into(), Value::String(short.to_string()));
            return Err(r);
        }
        self.spent = self.spent.checked_add(cost).ok_or_else(overflow)?;
        self.units = self.units.saturating_add(units);
        Ok(())
    }

    /// Credits a settled order, once: an order seen before changes nothing.
    pub fn credit_order(&mut self, order: &str, credit: Credit) -> Result<(), Rejection> {
        if self.orders.iter().any(|seen| seen == order) {
            return Ok(());
        }
        self.raise(credit)?;
        self.orders.push(order.to_owned());
        Ok(())
    }

    fn raise(&mut self, credit: Credit) -> Result<(), Rejection> {
        self.credit = match credit {
            Credit::Same => self.credit,
            Credit::To(total) => self.credit.max(total),
            Credit::Add(more) => self.credit.checked_add(more).ok_or_else(overflow)?,
        };
        Ok(())
    }
}

fn overflow() -> Rejection {
    Rejection::failed("The amount is too large.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_order_is_credited_once() {
        let mut a = Account::default();
        for _ in 0..2 {
            a.credit_order("o1", Credit::Add(Amount::new(5))).unwrap();
        }
        a.credit_order("o2", Credit::Add(Amount::new(5))).unwrap();
        assert_eq!(a.credit, Amount::new(10));
    }

    #[test]
    fn a_short_draw_keeps_the_raise_and_says_what_is_missing() {
        let mut a = Account::default();
        let r = a.draw(Credit::To(Amount::new(3)), None, 1, Amount::new(5)).unwrap_err();
        assert_eq!(
            (r.extra["requiredTopUp"].as_str(), a.credit, a.spent),
            (Some("2"), Amount::new(3), Amount::ZERO)
        );
    }

    #[test]
    fn a_closing_account_is_not_drawn_on() {
        let mut a = Account { closing: true, credit: Amount::new(9), ..Account::default() };
        assert_eq!(
            a.draw(Credit::Same, None, 1, Amount::new(1)).unwrap_err().reason,
            Reason::CLOSED
        );
    }

    fn credit() -> impl Strategy<Value = Credit> {
        let amount = prop_oneof![0..1_000_u128, any::<u128>()].prop_map(Amount::new);
        prop_oneof![
            Just(Credit::Same),
            amount.clone().prop_map(Credit::To),
            amount.prop_map(Credit::Add)
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_spent_that_was_not_credited(steps in prop::collection::vec((credit(), 0..4_u64, 0..500_u128), 1..40)) {
            let mut a = Account::default();
            for (credit, units, price) in steps {
                let before = a.clone();
                let drawn = a.draw(credit, None, units, Amount::new(price)).is_ok();
                prop_assert!(a.spent <= a.credit && a.credit >= before.credit);
                prop_assert!(drawn || a.spent == before.spent);
            }
        }
    }
}
