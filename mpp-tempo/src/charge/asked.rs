//! The transfer that a challenge asks for, in the chain's own types: what is signed, checked, and looked for in logs.

use alloy::primitives::{Address, B256, U256};
use mpp_core::{Challenge, Request};

use super::TempoCharge;
use crate::chain::{
    attribution::Attribution,
    parse_address, parse_hex,
    tip20::{Expected, MemoRule},
};

/// One transfer of one token on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) chain_id: u64,
    pub(crate) token: Address,
    pub(crate) expected: Expected,
}

impl Asked {
    /// Reads a challenge's request. One without a memo of its own wants the memo that names the challenge (D-21).
    pub(crate) fn read(
        challenge: &Challenge,
        request: &Request<TempoCharge>,
    ) -> Result<Self, Unasked> {
        let Request { terms, details } = request;
        let details = &details.method_details;
        if details.splits.as_ref().is_some_and(|splits| !splits.is_empty()) {
            return Err(Unasked::Splits);
        }
        if terms.amount.is_zero() {
            return Err(Unasked::Zero);
        }
        let token = parse_address(&terms.currency).map_err(|_| Unasked::Currency)?;
        let to = terms.recipient.as_deref().and_then(|text| parse_address(text).ok());
        let memo = match &details.memo {
            Some(memo) => MemoRule::Exactly(parse_memo(memo).ok_or(Unasked::Memo)?),
            None => MemoRule::Attributed(Attribution::new(
                challenge.realm.as_str(),
                challenge.id().as_str(),
            )),
        };
        let amount = U256::from(terms.amount.get());
        let expected = Expected { to: to.ok_or(Unasked::Recipient)?, amount, memo };
        Ok(Self { chain_id: details.chain_id(), token, expected })
    }
}

/// Why a challenge asks for nothing that this method can pay, sell or recognise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unasked {
    /// The currency is no address.
    #[error("the currency is not a token's address")]
    Currency,
    /// The recipient is absent, or no address.
    #[error("the recipient is not an address")]
    Recipient,
    /// The memo is not 32 bytes of hex.
    #[error("the memo is not 32 bytes of hex")]
    Memo,
    /// A zero amount asks for a proof of account, not for a transfer.
    #[error("the amount is zero")]
    Zero,
    /// The amount is to be shared among several.
    #[error("split payments are not supported")]
    Splits,
}

fn parse_memo(text: &str) -> Option<B256> {
    parse_hex(text).and_then(|bytes| B256::try_from(bytes.as_ref()).ok())
}
