//! What a signed transaction promises: the transfers of one payment, by one account, until a second of the chain's time.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256};

use super::asked::Asked;
use crate::chain::{
    parse_hex,
    rpc::Log,
    signature::SignatureError,
    tip20::{self, Expected, Unmatched},
    transaction::{DecodeError, FeePayer, Signed},
};

/// A transaction by what it must do and what the chain knows it by: the payer asks after its own, the server after theirs.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) hash: B256,
    pub(super) chain_id: u64,
    /// Who signed it.
    pub(super) payer: Address,
    pub(super) valid_before: NonZeroU64,
    token: Address,
    legs: Vec<Expected>,
}

impl Promise {
    /// Reads a transaction that ends, and that nobody has yet to sign: only then it is known by its hash. Who signed is told:
    /// finding that out is most of the work.
    pub(super) fn by(payer: Address, signed: &Signed, asked: &Asked) -> Result<Self, NoEvidence> {
        let transaction = &signed.transaction;
        let Some(valid_before) = transaction.valid_before else { return Err(NoEvidence::Shape) };
        if transaction.fee_payer == FeePayer::Awaited {
            return Err(NoEvidence::Shape);
        }
        Ok(Self {
            hash: signed.hash(),
            chain_id: transaction.chain_id,
            payer,
            valid_before,
            token: asked.token,
            legs: asked.legs.clone(),
        })
    }

    /// What the chain knows it by, and until when it can be mined.
    pub(super) fn known_by(&self) -> (B256, NonZeroU64) {
        (self.hash, self.valid_before)
    }

    /// Whether a receipt's logs show these very transfers, by this payer.
    pub(super) fn is_shown_by(&self, logs: &[Log]) -> Result<(), Unmatched> {
        tip20::match_logs(self.token, Some(self.payer), &self.legs, logs)
    }
}

/// Reads the hex that a signed transaction travels and is stored in.
pub(super) fn read(hex: &str) -> Result<Signed, NoEvidence> {
    let raw = parse_hex(hex).ok_or(NoEvidence::Hex)?;
    Ok(Signed::decode(&raw)?)
}

/// Why bytes are no order to the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEvidence {
    /// Not hex.
    #[error("the transaction is not written in hex")]
    Hex,
    /// No transaction.
    #[error(transparent)]
    Transaction(#[from] DecodeError),
    /// Nobody can have signed it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It never ends to be valid, or somebody has yet to sign it.
    #[error("the transaction does not end to be valid, or somebody has yet to sign it")]
    Shape,
    /// What was written down is not what this version writes.
    #[error("what was written down of the payment cannot be read")]
    Written,
}
