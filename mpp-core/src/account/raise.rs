//! What a credential does to a credit, and what proves it.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// By this much (a top-up); once an order, see [`Account::credit_order`](super::Account::credit_order).
    Add(Amount),
}

impl Credit {
    /// Whether nothing changes.
    pub fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

/// A raise, as its credential asks for it. Its signature was verified; what else must be true of it is seen under the swap.
#[derive(Clone, Default, PartialEq)]
pub struct Raise {
    /// To what, or by how much.
    pub credit: Credit,
    /// The least step by which a total may grow (`minVoucherDelta`), in base units; equal is always taken.
    pub least: Amount,
    /// What proves a total, to be shown to the rail: a signature.
    pub proof: Option<String>,
}

impl fmt::Debug for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raise").field("credit", &self.credit).finish_non_exhaustive()
    }
}

impl Raise {
    /// A raise that needs no proof.
    pub fn of(credit: Credit) -> Self {
        Self { credit, least: Amount::ZERO, proof: None }
    }

    /// A total that is proven.
    pub fn proven(total: Amount, least: Amount, proof: impl Into<String>) -> Self {
        Self { credit: Credit::To(total), least, proof: Some(proof.into()) }
    }

    /// The credit after it.
    pub(super) fn over(
        &self,
        credit: Amount,
        ceiling: Option<Amount>,
    ) -> Result<Amount, Rejection> {
        let total = match self.credit {
            Credit::Same => return Ok(credit),
            Credit::Add(more) => return credit.checked_add(more).ok_or_else(super::overflow),
            Credit::To(total) => total,
        };
        if ceiling.is_some_and(|ceiling| total > ceiling) {
            let detail = "The voucher is for more than the channel's deposit.";
            let kind = ProblemType::AMOUNT_EXCEEDS_DEPOSIT;
            return Err(Rejection::new(kind, Reason::OVER_DEPOSIT, detail));
        }
        let Some(step) = total.checked_sub(credit) else {
            let detail = "The voucher is for less than one that was accepted before.";
            let kind = ProblemType::VERIFICATION_FAILED;
            return Err(Rejection::new(kind, Reason::LOWER, detail));
        };
        if !step.is_zero() && step < self.least {
            let detail = "The voucher raises the total by less than the least step.";
            return Err(Rejection::new(ProblemType::DELTA_TOO_SMALL, Reason::SMALL_STEP, detail));
        }
        Ok(total)
    }
}

/// What proves a credit of so much: a voucher's amount and signature. Worth that much to its payee: not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The total, in base units.
    pub amount: Amount,
    /// The proof, as the method writes it.
    pub text: String,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("amount", &self.amount).finish_non_exhaustive()
    }
}
