//! The sponsor: fees of others are paid by [`SPONSOR`], in PathUSD.

use mpp_tempo::{
    Key,
    chain::{PATH_USD, transaction::Signed},
};
use serde_json::{Value, json};

use super::fault::Fault;
use crate::devnet::SPONSOR;

/// Signs what awaits a sponsor, in either of its forms, and answers the form that nodes take.
pub(super) fn sign_raw_transaction(params: &[Value]) -> Result<Value, Fault> {
    let raw = params.first().and_then(Value::as_str).and_then(bytes);
    let raw = raw.ok_or_else(|| Fault::params("no raw transaction"))?;
    let signed = Signed::decode(&raw).map_err(|error| Fault::params(error.to_string()))?;
    let signed =
        signed.sponsored(PATH_USD, &key()?).map_err(|error| Fault::params(error.to_string()))?;
    Ok(json!(hex(&signed.encode())))
}

pub(super) fn key() -> Result<Key, Fault> {
    SPONSOR.key.hex().parse().map_err(|_| Fault::unanswered("the sponsor has no key"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    format!("0x{}", alloy::primitives::hex::encode(bytes))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    alloy::primitives::hex::decode(text.strip_prefix("0x")?).ok()
}
