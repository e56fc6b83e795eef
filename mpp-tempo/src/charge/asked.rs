//! The transfers that a challenge asks for, in the chain's own types: what is signed, checked, and looked for in logs.

use alloy::primitives::{Address, B256, U256};
use mpp_core::{Amount, Challenge, Request};
use serde_json::Map;

use super::{Split, TempoCharge};
use crate::chain::{
    attribution::Attribution,
    parse_address, parse_hex,
    tip20::{Expected, MemoRule},
};

/// The most shares that a payment is split into (draft-tempo-charge, D-27).
pub const MAX_SPLITS: usize = 10;

/// The transfers of one token on one chain, all of them one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) chain_id: u64,
    pub(crate) token: Address,
    /// The recipient's first, then the shares of others, in the order of the request.
    pub(crate) legs: Vec<Expected>,
    /// The memo is one that the challenge fixes, not one that names it.
    pub(crate) fixed_memo: bool,
}

impl Asked {
    /// Reads a challenge's request. One without a memo of its own wants the memo that names the challenge (D-21).
    pub(crate) fn read(
        challenge: &Challenge,
        request: &Request<TempoCharge>,
    ) -> Result<Self, Unasked> {
        let mut legs = transfers(request)?;
        let Request { terms, details } = request;
        let details = &details.method_details;
        let token = parse_address(&terms.currency).map_err(|_| Unasked::Currency)?;
        let fixed_memo = details.memo.is_some();
        let named = Attribution::new(challenge.realm.as_str(), challenge.id().as_str());
        for (nth, leg) in legs.iter_mut().enumerate().filter(|(_, leg)| leg.memo == MemoRule::Any) {
            // One that names another challenge pays for that: a share of this payment is not the price of another (S7).
            leg.memo =
                if nth == 0 { MemoRule::Attributed(named) } else { MemoRule::Unclaimed(named) };
        }
        Ok(Self { chain_id: details.chain_id(), token, legs, fixed_memo })
    }

    /// Whether an account is among those who receive.
    pub(crate) fn pays(&self, account: Address) -> bool {
        self.legs.iter().any(|leg| leg.to == account)
    }

    /// What moves in all, in base units.
    pub(crate) fn total(&self) -> U256 {
        self.legs.iter().fold(U256::ZERO, |sum, leg| sum.saturating_add(leg.amount))
    }
}

/// The transfers that a request asks for: the recipient's, of what the others leave, then theirs in the order of the request.
///
/// A memo that the request does not fix is [`MemoRule::Any`] here. Of a challenge's request, a recipient's is then one that
/// names the challenge, and another's is none that names another challenge.
///
/// # Errors
/// [`Unasked`].
pub fn transfers(request: &Request<TempoCharge>) -> Result<Vec<Expected>, Unasked> {
    let Request { terms, details } = request;
    let details = &details.method_details;
    if terms.amount.is_zero() {
        return Err(Unasked::Zero);
    }
    let splits = details.splits.as_deref().unwrap_or_default();
    let primary = Split {
        amount: rest(terms.amount, splits)?,
        recipient: terms.recipient.clone().ok_or(Unasked::Recipient)?,
        memo: details.memo.clone(),
        extra: Map::new(),
    };
    std::iter::once(&primary).chain(splits).map(share).collect()
}

/// What the recipient gets once everyone else has their share: something.
pub(super) fn rest(amount: Amount, splits: &[Split]) -> Result<Amount, Unasked> {
    if splits.len() > MAX_SPLITS {
        return Err(Unasked::Splits);
    }
    let shares = splits.iter().try_fold(Amount::new(0), |sum, split| {
        if split.amount.is_zero() { None } else { sum.checked_add(split.amount) }
    });
    let rest = shares.and_then(|shares| amount.checked_sub(shares));
    rest.filter(|rest| !rest.is_zero()).ok_or(Unasked::Splits)
}

/// One share. Where it names no memo, any will do.
pub(super) fn share(split: &Split) -> Result<Expected, Unasked> {
    let memo = match &split.memo {
        Some(memo) => MemoRule::Exactly(parse_memo(memo).ok_or(Unasked::Memo)?),
        None => MemoRule::Any,
    };
    let to = parse_address(&split.recipient).map_err(|_| Unasked::Recipient)?;
    Ok(Expected { to, amount: U256::from(split.amount.get()), memo })
}

/// Why a challenge asks for nothing that this method can pay, sell or recognise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unasked {
    /// The currency is no address.
    #[error("the currency is not a token's address")]
    Currency,
    /// A recipient is absent, or no address.
    #[error("a recipient is not an address")]
    Recipient,
    /// A memo is not 32 bytes of hex.
    #[error("a memo is not 32 bytes of hex")]
    Memo,
    /// A zero amount asks for a proof of account, not for a transfer.
    #[error("the amount is zero")]
    Zero,
    /// There are more than ten shares, an empty one, or nothing is left for the recipient.
    #[error("the shares do not leave something for the recipient, or are too many")]
    Splits,
}

pub(super) fn parse_memo(text: &str) -> Option<B256> {
    parse_hex(text).and_then(|bytes| B256::try_from(bytes.as_ref()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(amount: u128) -> Split {
        let recipient = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65".to_owned();
        Split { amount: Amount::new(amount), recipient, memo: None, extra: Default::default() }
    }

    #[test]
    fn s7_shares_leave_something_for_the_recipient_and_are_at_most_ten() {
        let cases: [(&[u128], Option<u128>); 8] = [
            (&[], Some(100)),
            (&[99], Some(1)),
            (&[50, 50], None),
            (&[101], None),
            (&[0], None),
            (&[u128::MAX, 2], None),
            (&[1; 10], Some(90)),
            (&[1; 11], None),
        ];
        for (shares, left) in cases {
            let splits: Vec<_> = shares.iter().copied().map(split).collect();
            let rest = rest(Amount::new(100), &splits).ok();
            assert_eq!(rest.map(Amount::get), left, "{shares:?}");
        }
    }
}
