//! Reads the JSON of a filled transaction.

use std::{num::NonZeroU64, str::FromStr};

use alloy::primitives::U256;
use mpp_tempo::chain::transaction::{Access, Call, FeePayer, Transaction};
use serde_json::{Map, Value};

/// The transaction, with a sponsor awaited or none. `None` where a field is malformed, and where the transaction carries
/// authorisations: their JSON is not read.
pub(super) fn transaction(object: &Map<String, Value>, sponsored: bool) -> Option<Transaction> {
    let given = |name: &str| object.get(name).filter(|value| !is_empty(value));
    if ["keyAuthorization", "authorizationList", "aaAuthorizationList"]
        .iter()
        .any(|name| given(name).is_some())
    {
        return None;
    }
    let number = |name: &str| given(name).map_or(Some(U256::ZERO), number);
    let small = |name: &str| u64::try_from(number(name)?).ok();
    let price = |name: &str| u128::try_from(number(name)?).ok();
    let listed = |name: &str| object.get(name).and_then(Value::as_array).into_iter().flatten();
    Some(Transaction {
        chain_id: small("chainId")?,
        max_priority_fee_per_gas: price("maxPriorityFeePerGas")?,
        max_fee_per_gas: price("maxFeePerGas")?,
        gas_limit: small("gas")?,
        calls: listed("calls").map(call).collect::<Option<_>>()?,
        access_list: listed("accessList").map(access).collect::<Option<_>>()?,
        nonce_key: number("nonceKey")?,
        nonce: small("nonce")?,
        valid_before: NonZeroU64::new(small("validBefore")?),
        valid_after: NonZeroU64::new(small("validAfter")?),
        fee_token: match given("feeToken") {
            Some(token) if !sponsored => Some(text(token)?),
            _ => None,
        },
        fee_payer: if sponsored { FeePayer::Awaited } else { FeePayer::Sender },
        authorizations: Vec::new(),
        key_authorization: None,
    })
}

fn call(object: &Value) -> Option<Call> {
    Some(Call {
        to: text(object.get("to")?)?,
        value: number(object.get("value")?)?,
        data: text(object.get("input")?)?,
    })
}

fn access(object: &Value) -> Option<Access> {
    let slots = object.get("storageKeys")?.as_array()?.iter().map(text).collect::<Option<_>>()?;
    Some(Access { address: text(object.get("address")?)?, slots })
}

fn number(value: &Value) -> Option<U256> {
    match value.as_str() {
        Some(text) => U256::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        None => value.as_u64().map(U256::from),
    }
}

fn text<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
