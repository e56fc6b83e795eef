//! A JSON-RPC error on its way to the caller: the node's own, or the front's.

use serde_json::{Value, json};

/// The error object of an answer.
#[derive(Debug)]
pub(super) struct Fault(pub(super) Value);

impl Fault {
    /// Parameters that are not what the method takes.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// A method that is kept from the node.
    pub(super) fn unknown(method: &str) -> Self {
        Self::new(-32601, format!("{method} is not passed on: the node would die of it"))
    }

    /// The node was not reached, or did not answer in time: whether it did as asked is not known.
    pub(super) fn unanswered(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    /// A call that reverted, with what it returned, in the words of the node's own reverts.
    pub(super) fn reverted(data: &str) -> Self {
        let message = match data.get(..10) {
            Some(selector) => format!("execution reverted: custom error {selector}"),
            None => "execution reverted".to_owned(),
        };
        Self(json!({ "code": 3, "message": message, "data": data }))
    }

    /// A transaction that was taken and not mined within the time its sender allows (EIP-7966).
    pub(super) fn unmined(hash: &str) -> Self {
        let message = "the transaction was taken, and was not mined within the time allowed";
        Self(json!({ "code": 4, "message": message, "data": hash }))
    }

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self(json!({ "code": code, "message": message.into() }))
    }
}
