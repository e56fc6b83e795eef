//! Why a payment was not co-signed, told apart by what may have happened.

use std::time::Duration;

use mpp_core::{
    problem::{ProblemType, Reason, Rejection},
    store::StoreError,
};

use super::reason::{SPONSOR_BUSY, SPONSOR_UNAVAILABLE, refusal};
use crate::{
    chain::{signer::SignerError, transaction},
    charge::reason as charged,
};

/// Why a payment was not co-signed, or why it cannot be told whether it was. For a log: the payer gets a [`Rejection`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Unsponsored {
    /// The budget is in use.
    #[error("the sponsor's budget is in use")]
    Full,
    /// Another payment of the same sender has not ended.
    #[error("another payment of the same sender has not ended")]
    Busy,
    /// The reservation was dropped, or taken over by another run for the same payment.
    #[error("the reservation is another's, or was dropped")]
    Lapsed,
    /// There is no time left to send it.
    #[error("the transaction ends too soon to be sent")]
    Ending,
    /// The transaction is not the one that was approved.
    #[error("the transaction is not the one that was approved")]
    NotApproved,
    /// It was co-signed with another signature of its sender: the chain takes one of the two.
    #[error("the same payment was co-signed with another signature of its sender")]
    Otherwise,
    /// It awaits no sponsor, or nobody can have signed it.
    #[error(transparent)]
    Transaction(#[from] transaction::SponsorError),
    /// The sponsor's signer did not sign, or not as the sponsor.
    #[error("the sponsor did not sign")]
    Signer(#[source] SignerError),
    /// The store does not answer, or what it holds does not read; nothing was signed by this run.
    #[error("the sponsor's books cannot be used")]
    Books(#[source] StoreError),
    /// It was signed, and whether that was written down is not known. The signature has not left.
    #[error("whether the sponsor's signature was written down is not known")]
    Unwritten(#[source] StoreError),
}

impl Unsponsored {
    /// The same, found by a run that has signed.
    pub(super) fn after_signing(self) -> Self {
        match self {
            Self::Books(cause) => Self::Unwritten(cause),
            other => other,
        }
    }

    /// Whether a signature may be on record, with which a later run goes on: what became of the payment is then open.
    /// Otherwise this run has signed nothing that anybody can use.
    #[cfg(test)]
    pub(crate) fn may_be_signed(&self) -> bool {
        matches!(self, Self::Unwritten(_) | Self::Otherwise)
    }
}

/// What the payer is told. None of these moved money; the same credential may be shown again wherever it is not said that
/// the transaction itself is no good.
impl From<Unsponsored> for Rejection {
    fn from(cause: Unsponsored) -> Self {
        match &cause {
            Unsponsored::Full | Unsponsored::Busy | Unsponsored::Lapsed => {
                later(SPONSOR_BUSY).because(cause)
            }
            Unsponsored::Signer(_) | Unsponsored::Books(_) => {
                later(SPONSOR_UNAVAILABLE).because(cause)
            }
            Unsponsored::Unwritten(_) | Unsponsored::Otherwise => Self::unknown(cause),
            Unsponsored::Ending => {
                let detail = "The transaction's validity ends too soon to be sponsored.";
                Self::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail).because(cause)
            }
            Unsponsored::NotApproved | Unsponsored::Transaction(_) => {
                let detail = "The transaction cannot be sponsored.";
                refusal(charged::BAD_SIGNATURE, detail).because(cause)
            }
        }
    }
}

/// Nothing was sent and nobody is invited to sign anew.
fn later(reason: Reason) -> Rejection {
    let detail = "The fee cannot be paid for you right now, and nothing was taken. Repeat this request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, reason, detail).retry_after(Duration::from_secs(2))
}
