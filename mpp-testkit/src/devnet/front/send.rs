//! Transactions on their way to the node, and the receipts that come back.

use std::time::Duration;

use alloy::primitives::{hex, keccak256};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{fault::Fault, methods::Methods, node::Node, sponsor};

/// Signed transactions all pass here, before the node sees them.
async fn forward(node: &Node, method: &str, raw: &str) -> Result<Value, Fault> {
    node.call(method, json!([raw])).await
}

pub(super) async fn raw(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    forward(node, "eth_sendRawTransaction", first(params)?).await
}

/// Takes a second parameter, which the node does not: milliseconds until the sender no longer waits.
pub(super) async fn raw_sync(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let raw = first(params)?;
    let sent = forward(node, "eth_sendRawTransactionSync", raw);
    let receipt = match params.get(1) {
        None | Some(Value::Null) => sent.await?,
        Some(wait) => {
            let wait = wait
                .as_u64()
                .ok_or_else(|| Fault::params("the timeout is no number of milliseconds"))?;
            let receipt = timeout(Duration::from_millis(wait), sent).await;
            receipt.map_err(|_| Fault::unmined(&hash(raw)))??
        }
    };
    Ok(with_payer(receipt, Some(raw)))
}

/// A transaction that the node signs for one of its accounts.
pub(super) async fn managed(methods: &Methods, params: &[Value]) -> Result<Value, Fault> {
    let _turn = methods.nonces.lock().await;
    methods.node.call("eth_sendTransaction", json!(params)).await
}

pub(super) async fn receipt(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let receipt = node.call("eth_getTransactionReceipt", json!(params)).await?;
    corrected(node, receipt).await
}

pub(super) async fn block_receipts(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let mut receipts = node.call("eth_getBlockReceipts", json!(params)).await?;
    for receipt in receipts.as_array_mut().into_iter().flatten() {
        *receipt = corrected(node, receipt.take()).await?;
    }
    Ok(receipts)
}

/// A receipt that names who paid the fee. Only a Tempo transaction can have a sponsor.
async fn corrected(node: &Node, receipt: Value) -> Result<Value, Fault> {
    if receipt.get("type").and_then(Value::as_str) != Some("0x76") {
        return Ok(receipt);
    }
    let hash = receipt.get("transactionHash").cloned();
    let raw = node.call("eth_getRawTransactionByHash", json!([hash])).await?;
    Ok(with_payer(receipt, raw.as_str()))
}

fn with_payer(mut receipt: Value, raw: Option<&str>) -> Value {
    let sender = receipt.get("from").and_then(Value::as_str);
    if let Some(payer) = raw.zip(sender).and_then(|(raw, sender)| sponsor::payer(raw, sender)) {
        receipt["feePayer"] = json!(payer);
    }
    receipt
}

fn first(params: &[Value]) -> Result<&str, Fault> {
    params.first().and_then(Value::as_str).ok_or_else(|| Fault::params("no raw transaction"))
}

fn hash(raw: &str) -> String {
    hex::decode(raw).map(|bytes| keccak256(bytes).to_string()).unwrap_or_default()
}
