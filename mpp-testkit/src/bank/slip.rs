//! What payers show a teller of the made-up bank.

use mpp_core::{Amount, Challenge, Credential};
use serde::{Deserialize, Serialize};

use super::TabSession;

/// What a payer shows. A total's signature is [`sign`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Slip {
    /// Opens a tab with a deposit, and a first total.
    Open {
        /// The tab.
        tab: String,
        /// The deposit.
        deposit: Amount,
        /// The first total.
        total: Amount,
        /// Its signature.
        signature: String,
    },
    /// Adds to the deposit; `order` is the name of the slip, which is good once.
    TopUp {
        /// The tab.
        tab: String,
        /// The slip's own name.
        order: String,
        /// How much is added.
        more: Amount,
    },
    /// A new total.
    Voucher {
        /// The tab.
        tab: String,
        /// The total.
        total: Amount,
        /// Its signature.
        signature: String,
    },
    /// A last total.
    Close {
        /// The tab.
        tab: String,
        /// The total.
        total: Amount,
        /// Its signature.
        signature: String,
    },
}

impl Slip {
    pub(super) fn tab(&self) -> &str {
        match self {
            Self::Open { tab, .. }
            | Self::TopUp { tab, .. }
            | Self::Voucher { tab, .. }
            | Self::Close { tab, .. } => tab,
        }
    }
}

/// The signature of a total.
pub fn sign(tab: &str, total: u128) -> String {
    format!("{total} of {tab}, signed")
}

/// A slip that opens a tab.
pub fn open(tab: &str, deposit: u128, total: u128) -> Slip {
    let (deposit, signature) = (Amount::new(deposit), sign(tab, total));
    Slip::Open { tab: tab.into(), deposit, total: Amount::new(total), signature }
}

/// A slip that raises a total.
pub fn voucher(tab: &str, total: u128) -> Slip {
    Slip::Voucher { tab: tab.into(), total: Amount::new(total), signature: sign(tab, total) }
}

/// A slip that closes a tab.
pub fn close(tab: &str, total: u128) -> Slip {
    Slip::Close { tab: tab.into(), total: Amount::new(total), signature: sign(tab, total) }
}

/// A slip that adds to a deposit.
pub fn top_up(tab: &str, order: &str, more: u128) -> Slip {
    Slip::TopUp { tab: tab.into(), order: order.into(), more: Amount::new(more) }
}

/// Answers a challenge with a slip.
///
/// # Panics
/// Where the challenge is not one of this method.
pub fn answer(challenge: &Challenge, slip: &Slip) -> Credential {
    let demand = challenge.read::<TabSession>().expect("a challenge of the method tab");
    Credential::answer(&demand, None, slip).expect("a slip is an object")
}
