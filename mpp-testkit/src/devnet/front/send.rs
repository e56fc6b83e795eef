//! Transactions on their way to the node, and the receipts that come back.

use std::time::Duration;

use alloy::primitives::{hex, keccak256};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    fault::Fault, methods::Methods, node::Node, reserve, simulate::TRANSFER, trial::Trial,
};

/// What is between the start of a topic and the address in it.
const WORD: &str = "0x000000000000000000000000";

/// The contract that fees go to.
const FEE_MANAGER: &str = "feec000000000000000000000000000000000000";

/// Signed transactions all pass here, before the node sees them.
async fn forward(methods: &Methods, method: &str, raw: &str) -> Result<Value, Fault> {
    reserve::announce(methods, raw).await?;
    methods.node.call(method, json!([raw])).await
}

pub(super) async fn raw(methods: &Methods, params: &[Value]) -> Result<Value, Fault> {
    forward(methods, "eth_sendRawTransaction", first(params)?).await
}

/// Takes a second parameter, which the node does not: milliseconds until the sender no longer waits.
pub(super) async fn raw_sync(methods: &Methods, params: &[Value]) -> Result<Value, Fault> {
    let raw = first(params)?;
    let sent = forward(methods, "eth_sendRawTransactionSync", raw);
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
    Ok(corrected(receipt))
}

/// A transaction that the node signs for one of its accounts.
pub(super) async fn managed(
    methods: &Methods,
    method: &str,
    params: &[Value],
) -> Result<Value, Fault> {
    if params.first().is_some_and(Trial::is_listed) {
        return Err(Fault::params(
            "the node would sign a transaction without its calls: sign it yourself",
        ));
    }
    let _turn = methods.nonces.lock().await;
    methods.node.call(method, json!(params)).await
}

pub(super) async fn receipt(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let receipt = node.call("eth_getTransactionReceipt", json!(params)).await?;
    Ok(corrected(receipt))
}

pub(super) async fn block_receipts(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let mut receipts = node.call("eth_getBlockReceipts", json!(params)).await?;
    for receipt in receipts.as_array_mut().into_iter().flatten() {
        *receipt = corrected(receipt.take());
    }
    Ok(receipts)
}

/// A receipt that names who paid the fee, where the node's always names the sender.
fn corrected(mut receipt: Value) -> Value {
    if let Some(payer) = fee_payer(&receipt) {
        receipt["feePayer"] = json!(payer);
    }
    receipt
}

/// The account that the fee was taken from: a transaction's last log is its fee's, also where all else was reverted.
fn fee_payer(receipt: &Value) -> Option<String> {
    let topics = receipt.get("logs")?.as_array()?.last()?.get("topics")?;
    let topic = |index: usize| topics.get(index).and_then(Value::as_str);
    let to_fees = topic(0) == Some(TRANSFER) && topic(2)?.strip_prefix(WORD) == Some(FEE_MANAGER);
    let payer = topic(1)?.strip_prefix(WORD).filter(|_| to_fees)?;
    Some(format!("0x{payer}"))
}

fn first(params: &[Value]) -> Result<&str, Fault> {
    params.first().and_then(Value::as_str).ok_or_else(|| Fault::params("no raw transaction"))
}

fn hash(raw: &str) -> String {
    hex::decode(raw).map(|bytes| keccak256(bytes).to_string()).unwrap_or_default()
}
