//! What a signed transaction promises: one transfer, by one account, until a second of the chain's time.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256};

use crate::chain::{
    parse_hex,
    rpc::Log,
    signature::SignatureError,
    tip20::{self, Expected, MemoRule, NotTransfer, Transfer, Unmatched},
    transaction::{Call, DecodeError, FeePayer, Signed},
};

/// A transaction by what it does and what the chain knows it by: the payer asks after its own, the server after theirs.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) hash: B256,
    pub(super) chain_id: u64,
    /// Who signed it.
    pub(super) payer: Address,
    pub(super) valid_before: NonZeroU64,
    token: Address,
    transfer: Transfer,
}

impl Promise {
    /// Reads a transaction that is one transfer which its sender pays for, and which ends.
    pub(super) fn of(signed: &Signed) -> Result<Self, NoEvidence> {
        let transaction = &signed.transaction;
        let ([Call { to: token, data, .. }], Some(valid_before), FeePayer::Sender) =
            (transaction.calls.as_slice(), transaction.valid_before, transaction.fee_payer)
        else {
            return Err(NoEvidence::Shape);
        };
        Ok(Self {
            hash: signed.hash(),
            chain_id: transaction.chain_id,
            payer: signed.sender()?,
            valid_before,
            token: *token,
            transfer: Transfer::decode(data)?,
        })
    }

    /// Whether a receipt's logs show this very transfer, by this payer.
    pub(super) fn is_shown_by(&self, logs: &[Log]) -> Result<(), Unmatched> {
        let Transfer { to, amount, memo } = self.transfer;
        let memo = memo.map_or(MemoRule::Any, MemoRule::Exactly);
        tip20::match_logs(self.token, Some(self.payer), &[Expected { to, amount, memo }], logs)
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
    /// Its call is no transfer.
    #[error(transparent)]
    Transfer(#[from] NotTransfer),
    /// Not one call that its sender pays for and that ends to be valid.
    #[error("the transaction is not one transfer that ends to be valid")]
    Shape,
}
