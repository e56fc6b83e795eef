//! Receipts: the `Payment-Receipt` field, both ways.

use mpp_core::Receipt;
use serde_json::{Value, json};

use super::text_of;

pub(super) fn parse(input: &Value) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(Receipt::from_token(text_of(input, "header")?)?)?)
}

pub(super) fn format(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "header": read(input)?.to_token()? }))
}

pub(super) fn read(object: &Value) -> anyhow::Result<Receipt> {
    Ok(serde_json::from_value(object.clone())?)
}
