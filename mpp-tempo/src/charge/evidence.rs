//! The order to the chain: a signed transaction that was checked, from which everything about it is read again.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes};
use mpp_core::credential::Source;
use serde::{Deserialize, Serialize};

use super::promise::{self, NoEvidence, Promise};
use crate::chain::{
    did::Did,
    transaction::{Signed, Transaction},
};

/// A checked payment: the bytes that move the money, and what they say.
///
/// Written down as the bytes alone, so that what is sent, what is looked for and who paid cannot come apart in a store.
/// Secret at rest: whoever has it can take the payment to the chain.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Evidence {
    signed: Signed,
    promise: Promise,
    spends: String,
}

impl Evidence {
    pub(super) fn new(signed: Signed) -> Result<Self, NoEvidence> {
        let promise = Promise::of(&signed)?;
        let spends = format!("{:#x}", signed.transaction.expiring_nonce_hash(promise.payer));
        Ok(Self { signed, promise, spends })
    }

    /// What the chain remembers the payment by, in one spelling, however it was signed.
    pub(super) fn spends(&self) -> &str {
        &self.spends
    }

    pub(super) fn raw(&self) -> Bytes {
        self.signed.encode().into()
    }

    pub(super) fn promise(&self) -> &Promise {
        &self.promise
    }

    pub(super) fn hash(&self) -> B256 {
        self.promise.hash
    }

    pub(super) fn transaction(&self) -> &Transaction {
        &self.signed.transaction
    }

    /// Who signed it.
    pub(super) fn sender(&self) -> Address {
        self.promise.payer
    }

    pub(super) fn payer(&self) -> Source {
        let did = Did { chain_id: self.promise.chain_id, address: self.promise.payer };
        Source::new(did.to_string())
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("hash", &self.hash()).finish_non_exhaustive()
    }
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
        Self::new(promise::read(&written.transaction)?)
    }
}
