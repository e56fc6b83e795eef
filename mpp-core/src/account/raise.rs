//! What a credential does to a credit, and what proves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Amount,
    problem::{ProblemType, Reason, Rejection},
};

/// What a settled order does to an account's credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Credit {
    /// Leaves it: a deposit that is drawn on by vouchers.
    #[default]
    Same,
    /// Adds this much: a deposit that is the credit. Once an order, see
    /// [`Account::credit_order`](super::Account::credit_order).
    Add(Amount),
}

impl Credit {
    /// Whether nothing changes.
    pub(crate) fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

/// To what total a credential raises a credit, if it does. It can be shown any number of times, so it never says by how much.
/// Its signature was verified; what else must be true of it is seen under the swap.
#[derive(Clone, Default, PartialEq)]
pub struct Raise {
    total: Option<Amount>,
    least: Amount,
    proof: Option<String>,
}

impl fmt::Debug for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raise").field("total", &self.total).finish_non_exhaustive()
    }
}

impl Raise {
    /// None: a bearer's credential, which draws on what is there.
    pub fn none() -> Self {
        Self::default()
    }

    /// To a total (a cumulative voucher) that is proven by what the rail is shown later: a signature. `least` is the least step
    /// by which it may grow (`minVoucherDelta`), in base units; an equal total is always taken.
    pub fn proven(total: Amount, least: Amount, proof: impl Into<String>) -> Self {
        Self { total: Some(total), least, proof: Some(proof.into()) }
    }

    /// The total, in base units.
    pub fn total(&self) -> Option<Amount> {
        self.total
    }

    /// The least step by which it may grow, in base units.
    pub fn least(&self) -> Amount {
        self.least
    }

    /// What proves it. Worth that much to its payee.
    pub fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }

    /// The same, however small the step.
    pub fn by_any_step(&self) -> Self {
        Self { least: Amount::ZERO, ..self.clone() }
    }

    /// The credit after it.
    pub(super) fn over(
        &self,
        credit: Amount,
        ceiling: Option<Amount>,
    ) -> Result<Amount, Rejection> {
        let Some(total) = self.total else { return Ok(credit) };
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
