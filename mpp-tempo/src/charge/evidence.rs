//! The order to the chain: a signed transaction that was checked, from which everything about it is read again.

use std::{fmt, num::NonZeroU64};

use alloy::primitives::{Address, B256, Bytes};
use mpp_core::credential::Source;
use serde::{Deserialize, Serialize};

use crate::chain::{
    did::Did,
    parse_hex,
    rpc::Log,
    signature::SignatureError,
    tip20::{self, Expected, MemoRule, NotTransfer, Transfer, Unmatched},
    transaction::{Call, DecodeError, FeePayer, Signed, Transaction},
};

/// A checked payment: the bytes that move the money, and what they say.
///
/// Written down as the bytes alone, so that what is sent, what is looked for and who paid cannot come apart in a store.
/// Secret at rest: whoever has it can take the payment to the chain.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Evidence {
    signed: Signed,
    payer: Address,
    token: Address,
    transfer: Transfer,
    valid_before: NonZeroU64,
    spends: String,
}

impl Evidence {
    pub(super) fn new(signed: Signed) -> Result<Self, NoEvidence> {
        let transaction = &signed.transaction;
        let ([Call { to: token, data, .. }], Some(valid_before), FeePayer::Sender) =
            (transaction.calls.as_slice(), transaction.valid_before, transaction.fee_payer)
        else {
            return Err(NoEvidence::Shape);
        };
        let (token, transfer) = (*token, Transfer::decode(data)?);
        let payer = signed.sender()?;
        let spends = format!("{:#x}", transaction.expiring_nonce_hash(payer));
        Ok(Self { signed, payer, token, transfer, valid_before, spends })
    }

    /// What the chain remembers the payment by, in one spelling, however it was signed.
    pub(super) fn spends(&self) -> &str {
        &self.spends
    }

    pub(super) fn raw(&self) -> Bytes {
        self.signed.encode().into()
    }

    pub(super) fn hash(&self) -> B256 {
        self.signed.hash()
    }

    pub(super) fn chain_id(&self) -> u64 {
        self.signed.transaction.chain_id
    }

    pub(super) fn transaction(&self) -> &Transaction {
        &self.signed.transaction
    }

    /// Who signed it.
    pub(super) fn sender(&self) -> Address {
        self.payer
    }

    pub(super) fn valid_before(&self) -> u64 {
        self.valid_before.get()
    }

    pub(super) fn payer(&self) -> Source {
        let did = Did { chain_id: self.chain_id(), address: self.payer };
        Source::new(did.to_string())
    }

    /// Whether a receipt's logs show this very transfer, by this payer.
    pub(super) fn is_shown_by(&self, logs: &[Log]) -> Result<(), Unmatched> {
        let Transfer { to, amount, memo } = self.transfer;
        let memo = memo.map_or(MemoRule::Any, MemoRule::Exactly);
        tip20::match_logs(self.token, Some(self.payer), &[Expected { to, amount, memo }], logs)
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("hash", &self.hash()).finish_non_exhaustive()
    }
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

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Written {
    transaction: String,
}

impl From<Evidence> for Written {
    fn from(evidence: Evidence) -> Self {
        Self { transaction: evidence.raw().to_string() }
    }
}

impl TryFrom<Written> for Evidence {
    type Error = NoEvidence;

    fn try_from(written: Written) -> Result<Self, NoEvidence> {
        let raw = parse_hex(&written.transaction).ok_or(NoEvidence::Hex)?;
        Self::new(Signed::decode(&raw)?)
    }
}
