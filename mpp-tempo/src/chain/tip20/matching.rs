//! Decides whether what was asked to move, or what moved, is what was expected to.

use alloy::primitives::{Address, B256, U256};

use super::{Moved, NotTransfer, Transfer};
use crate::chain::{
    attribution::{Attribution, is_attribution},
    rpc::Log,
    transaction::Call,
};

/// A transfer that a payment must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Who must receive.
    pub to: Address,
    /// Base units, exactly.
    pub amount: U256,
    /// What its memo must be.
    pub memo: MemoRule,
}

/// What an expected transfer's memo must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoRule {
    /// This one, which the challenge fixes.
    Exactly(B256),
    /// One that belongs to the challenge.
    Attributed(Attribution),
    /// Any, or none, but not one that belongs to another challenge: a transfer pays for one thing.
    Unclaimed(Attribution),
    /// Any, or none.
    Any,
}

impl MemoRule {
    fn allows(&self, memo: Option<B256>) -> bool {
        match self {
            Self::Exactly(wanted) => memo == Some(*wanted),
            Self::Attributed(attribution) => memo.is_some_and(|memo| attribution.matches(&memo)),
            Self::Unclaimed(attribution) => {
                memo.is_none_or(|memo| !is_attribution(&memo) || attribution.matches(&memo))
            }
            Self::Any => true,
        }
    }

    /// Rules that fewer memos satisfy choose first; a set of memos is within the next or apart from it, so that
    /// choosing in this order never takes what a later rule needed.
    fn choosiness(&self) -> u8 {
        match self {
            Self::Exactly(_) => 0,
            Self::Attributed(_) => 1,
            Self::Unclaimed(_) => 2,
            Self::Any => 3,
        }
    }
}

/// Checks that calls are the expected transfers of a token, all of them and nothing else, in any order.
///
/// # Errors
/// [`Unmatched`].
pub fn match_calls(token: Address, expected: &[Expected], calls: &[Call]) -> Result<(), Unmatched> {
    let transfers = calls.iter().map(|call| {
        if call.to != token {
            return Err(Unmatched::Token);
        }
        if !call.value.is_zero() {
            return Err(Unmatched::Value);
        }
        Ok(Transfer::decode(&call.data)?)
    });
    let left = assign(expected, transfers.collect::<Result<_, _>>()?)?;
    if left.is_empty() { Ok(()) } else { Err(Unmatched::Extra) }
}

/// Checks that the expected transfers of a token are among calls, in any order: what else is called is its caller's own
/// business. A call with native value, a transfer in a spelling that no encoder writes, and one more transfer to somebody who
/// is paid already are still refused.
///
/// # Errors
/// [`Unmatched`].
pub fn find_calls(token: Address, expected: &[Expected], calls: &[Call]) -> Result<(), Unmatched> {
    let mut transfers = Vec::with_capacity(calls.len());
    for call in calls {
        if !call.value.is_zero() {
            return Err(Unmatched::Value);
        }
        match Transfer::decode(&call.data) {
            Ok(transfer) if call.to == token => transfers.push(transfer),
            Err(NotTransfer::Arguments) => return Err(NotTransfer::Arguments.into()),
            _ => {}
        }
    }
    let left = assign(expected, transfers)?;
    let paid_more = left.iter().any(|made| expected.iter().any(|wanted| wanted.to == made.to));
    if paid_more { Err(Unmatched::Extra) } else { Ok(()) }
}

/// Checks that a receipt's logs show the expected transfers of a token, each by a movement of its own.
///
/// Movements count if `payer` paid them; without one, whoever paid. Other logs are left alone: a receipt may tell
/// of more than this payment.
///
/// # Errors
/// [`Unmatched::Missing`].
pub fn match_logs(
    token: Address,
    payer: Option<Address>,
    expected: &[Expected],
    logs: &[Log],
) -> Result<(), Unmatched> {
    let counts =
        |moved: &Moved| moved.token == token && payer.is_none_or(|payer| payer == moved.from);
    let moved = logs.iter().filter_map(Moved::read).filter(counts);
    assign(expected, movements(moved)).map(drop)
}

/// Why calls or logs are not the expected transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmatched {
    /// A call goes to another contract.
    #[error("a call goes to another contract than the token")]
    Token,
    /// A call sends native value.
    #[error("a call sends native value")]
    Value,
    /// A call is no transfer.
    #[error(transparent)]
    Call(#[from] NotTransfer),
    /// No movement is left for an expected transfer.
    #[error("a transfer of the right amount and memo to the right account is missing")]
    Missing,
    /// There are more calls than expected transfers.
    #[error("there are more transfers than expected")]
    Extra,
}

/// Turns log entries into movements: a transfer with a memo is told twice, and is one.
fn movements(told: impl Iterator<Item = Moved>) -> Vec<Transfer> {
    let (memos, mut moved): (Vec<_>, Vec<_>) =
        told.partition(|entry| entry.transfer.memo.is_some());
    for entry in &memos {
        let plain = Moved { transfer: Transfer { memo: None, ..entry.transfer }, ..*entry };
        if let Some(twin) = moved.iter().position(|other| *other == plain) {
            moved.swap_remove(twin);
        }
    }
    moved.into_iter().chain(memos).map(|entry| entry.transfer).collect()
}

/// Gives each expected transfer a movement of its own, and returns the movements left over.
fn assign(expected: &[Expected], mut moved: Vec<Transfer>) -> Result<Vec<Transfer>, Unmatched> {
    let mut in_order: Vec<&Expected> = expected.iter().collect();
    in_order.sort_by_key(|wanted| wanted.memo.choosiness());
    for wanted in in_order {
        let fits = |found: &Transfer| {
            found.to == wanted.to && found.amount == wanted.amount && wanted.memo.allows(found.memo)
        };
        let found = moved.iter().position(fits).ok_or(Unmatched::Missing)?;
        moved.swap_remove(found);
    }
    Ok(moved)
}
