//! What was co-signed, written down before it leaves, so that it is never signed again and always found again.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use mpp_core::{
    Timestamp,
    store::{Keep, Key, StoreError},
};
use serde::{Deserialize, Serialize};

use super::{policy::Approved, stored};
use crate::chain::{signature::Ecdsa, transaction::Signed};

/// How long a record outlives its transaction: longer than the chain can be asked what became of it.
const AFTERWARDS: Duration = Duration::from_secs(2 * 3600);

/// The form that is written.
const FORM: u64 = 1;

/// One sponsor's signature under one payment.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    v: u64,
    /// Whose book the reservation is in.
    #[serde(with = "stored::hex")]
    pub(super) sponsor: Address,
    #[serde(with = "stored::hex")]
    fee_token: Address,
    #[serde(with = "stored::hex")]
    signature: Bytes,
    /// The hash of the sponsored whole.
    #[serde(with = "stored::hex")]
    pub(super) hash: B256,
}

impl Record {
    pub(super) fn new(
        sponsor: Address,
        fee_token: Address,
        signature: Ecdsa,
        whole: &Signed,
    ) -> Self {
        let signature = Bytes::copy_from_slice(&signature.to_bytes());
        Self { v: FORM, sponsor, fee_token, signature, hash: whole.hash() }
    }

    /// The very transaction that was co-signed; `None` if this one bears another signature of its sender.
    pub(super) fn rebuild(&self, key: &Key, signed: &Signed) -> Result<Option<Signed>, StoreError> {
        let corrupt = |cause: Box<dyn std::error::Error + Send + Sync>| {
            StoreError::corrupt(key.as_str(), cause)
        };
        let signature = Ecdsa::parse(&self.signature).map_err(|e| corrupt(e.into()))?;
        let whole = signed.clone().sponsored_with(self.fee_token, signature);
        let whole = whole.map_err(|e| corrupt(e.into()))?;
        let sponsor = whole.sponsor().map_err(|e| corrupt(e.into()))?;
        if sponsor != Some(self.sponsor) {
            return Err(corrupt("the signature is not the sponsor's".into()));
        }
        Ok((whole.hash() == self.hash).then_some(whole))
    }

    pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<Self, StoreError> {
        stored::read(key, bytes, FORM)
    }

    pub(super) fn write(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        stored::write(key, self)
    }

    /// One entry per payment, whoever sponsors it: a payment is co-signed once, also after the sponsor has changed.
    pub(super) fn key(id: B256) -> Result<Key, StoreError> {
        Key::of(&["sponsored", &format!("{id:#x}")]).map_err(StoreError::unavailable)
    }

    pub(super) fn keep(approved: &Approved, since: Timestamp) -> Keep {
        let end = Timestamp::from_unix(approved.valid_before, 0);
        Keep::For { ttl: end.since(&since).saturating_add(AFTERWARDS), since }
    }
}
