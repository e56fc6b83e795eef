//! What the chain is told to do for an account.

use std::{borrow::Cow, fmt};

use mpp_core::{Amount, account::Proof};
use serde::{Deserialize, Serialize};

use super::deposit::{Deposit, NotDeposit};
use crate::chain::{dex::STABLECOIN_DEX, parse_address, parse_hex, transaction::Signed};

/// An order: a deposit that the payer signed, a close, or a collection. Secret at rest: whoever has it can carry it out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Order {
    pub(super) kind: Kind,
    name: String,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// The payer's transaction, to be sent.
    Deposit(Box<Deposit>),
    /// The channel's end, and the capture of what was spent; by the payer's last word, where there is one.
    Close(Option<Proof>),
    /// What a voucher of before is good for, the channel staying open.
    Collect(Proof),
}

impl Order {
    pub(super) fn of(kind: Kind) -> Self {
        let name = match &kind {
            Kind::Deposit(deposit) => format!("{:#x}", deposit.id),
            Kind::Close(_) => CLOSE.to_owned(),
            Kind::Collect(proof) => format!("settle/{}", proof.amount),
        };
        Self { kind, name }
    }

    /// The identity of a payer's transaction, which the chain takes once; of the others what they do.
    pub(super) fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

/// The name of every close.
const CLOSE: &str = "close";

/// An order is money: not shown.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An order at rest.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Written {
    Deposit {
        transaction: String,
        /// Where its tokens were exchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<String>,
    },
    Close {
        #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
        last: Option<Voucher>,
    },
    Settle(Voucher),
}

/// A voucher at rest.
#[derive(Serialize, Deserialize)]
struct Voucher {
    amount: Amount,
    signature: String,
}

impl From<Proof> for Voucher {
    fn from(Proof { amount, text }: Proof) -> Self {
        Self { amount, signature: text }
    }
}

impl From<Voucher> for Proof {
    fn from(Voucher { amount, signature }: Voucher) -> Self {
        Self { amount, text: signature }
    }
}

impl From<Order> for Written {
    fn from(order: Order) -> Self {
        match order.kind {
            Kind::Deposit(deposit) => {
                let calls = &deposit.signed.transaction.calls;
                let exchange = calls.get(1).map(|swap| swap.to.to_string());
                Self::Deposit { transaction: deposit.raw().to_string(), exchange }
            }
            Kind::Close(last) => Self::Close { last: last.map(Voucher::from) },
            Kind::Collect(proof) => Self::Settle(proof.into()),
        }
    }
}

impl TryFrom<Written> for Order {
    type Error = Unreadable;

    fn try_from(written: Written) -> Result<Self, Unreadable> {
        Ok(Self::of(match written {
            Written::Deposit { transaction, exchange } => {
                let deposit = read(&transaction, exchange.as_deref()).map_err(Unreadable)?;
                Kind::Deposit(Box::new(deposit))
            }
            Written::Close { last } => Kind::Close(last.map(Proof::from)),
            Written::Settle(voucher) => Kind::Collect(voucher.into()),
        }))
    }
}

fn read(transaction: &str, exchange: Option<&str>) -> Result<Deposit, NotDeposit> {
    let exchange = exchange.map_or(Ok(STABLECOIN_DEX), parse_address);
    let exchange = exchange.map_err(|_| NotDeposit::Calls)?;
    let raw = parse_hex(transaction).ok_or(NotDeposit::Hex)?;
    Ok(Deposit::read(Signed::decode(&raw)?, exchange)?.0)
}

/// What was written down of an order is not what this version writes.
#[derive(Debug, thiserror::Error)]
#[error("what was written down of the order cannot be read")]
struct Unreadable(#[source] NotDeposit);
