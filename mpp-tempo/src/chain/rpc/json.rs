//! JSON-RPC texts: what is asked, and strict readings of what is answered. No I/O: any transport can use it.

use std::str::FromStr;

use alloy::primitives::{B256, Bytes, U256};
use serde_json::{Map, Value, json};

use super::{Block, Log, NodeError, Receipt, RpcError, Search, Told, Trial};
use crate::chain::transaction::{Call, EXPIRING};

/// The longest list of logs that is read.
const MAX_LOGS: usize = 4096;

/// What about an answer is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not a JSON object, or neither a result nor an error in it.
    #[error("the answer is no JSON-RPC response")]
    Response,
    /// The answer to some other request.
    #[error("the answer belongs to another request")]
    Id,
    /// More bytes than are read.
    #[error("the answer is too long")]
    TooLong,
    /// A member is missing or of another shape.
    #[error("the answer's {0} is missing or malformed")]
    Member(&'static str),
}

/// Writes a request.
pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Reads the answer to a request: its result, which may be `null`.
///
/// # Errors
/// [`RpcError::Refused`] for an error of the node's, [`RpcError::Malformed`] for anything unexpected.
pub(crate) fn result(id: u64, body: &[u8]) -> Result<Value, RpcError> {
    let mut answer: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Malformed::Response)?;
    let named = answer.get("id");
    let error = answer.get("error").filter(|error| !error.is_null());
    // A node that could not read a request does not know its id.
    let ours = named.and_then(Value::as_u64) == Some(id)
        || (error.is_some() && named.is_none_or(Value::is_null));
    if !ours {
        return Err(Malformed::Id.into());
    }
    if let Some(error) = error {
        let code =
            error.get("code").and_then(Value::as_i64).ok_or(Malformed::Member("error code"))?;
        let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return Err(RpcError::Refused(NodeError::new(code, text)));
    }
    Ok(answer.remove("result").ok_or(Malformed::Response)?)
}

/// Writes a trial as the object that `eth_call` and `eth_estimateGas` take.
///
/// One call stands at the top level, which every node runs; only several are a `calls` list.
pub(crate) fn trial(trial: &Trial) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.into(), value);
    if let Some(from) = trial.from {
        put("from", json!(format!("{from:#x}")));
    }
    match trial.calls.as_slice() {
        [only] => {
            put("to", json!(format!("{:#x}", only.to)));
            put("data", json!(only.data.to_string()));
            put("value", json!(format!("{:#x}", only.value)));
        }
        several => {
            put("calls", several.iter().map(call).collect());
        }
    }
    if let Some(token) = trial.fee_token {
        put("feeToken", json!(format!("{token:#x}")));
    }
    if let Some(valid_before) = trial.valid_before {
        put("type", json!("0x76"));
        put("nonceKey", json!(format!("{EXPIRING:#x}")));
        put("nonce", json!("0x0"));
        put("validBefore", json!(format!("{valid_before:#x}")));
    }
    if let Some(fee_payer) = trial.fee_payer {
        put("feePayer", json!(format!("{fee_payer:#x}")));
    }
    Value::Object(object)
}

/// Writes the parameters of a simulation of one trial, all of it, in a block of its own.
pub(crate) fn simulation(tried: &Trial) -> Value {
    let mut call = trial(tried);
    if let Some(object) = call.as_object_mut() {
        // Here nodes run lists, and a list alone: a single call is one too.
        for member in ["to", "data", "value"] {
            object.remove(member);
        }
        object.insert("calls".into(), tried.calls.iter().map(self::call).collect());
    }
    json!([{ "blockStateCalls": [{ "calls": [call] }], "validation": false }, "latest"])
}

/// Reads what a simulation of one trial came to.
///
/// # Errors
/// [`RpcError::Refused`] where it reverts, with the code of a revert; [`RpcError::Malformed`] for anything unexpected.
pub(crate) fn simulated(answer: &Value) -> Result<(), RpcError> {
    // Some nodes answer with the blocks alone, others with the tokens beside them.
    let blocks = answer.get("blocks").unwrap_or(answer);
    let call = blocks.get(0).and_then(|block| block.get("calls")).and_then(|calls| calls.get(0));
    if status(call.ok_or(Malformed::Member("calls"))?)? {
        return Ok(());
    }
    Err(RpcError::Refused(NodeError::new(super::REVERTED, "execution reverted")))
}

/// Writes a search for log entries.
pub(crate) fn search(search: &Search) -> Value {
    json!({
        "address": format!("{:#x}", search.address),
        "topics": search.topics.iter().map(|t| t.map(|t| t.to_string())).collect::<Vec<_>>(),
        "fromBlock": format!("{:#x}", search.from_block),
        "toBlock": format!("{:#x}", search.to_block),
    })
}

/// Reads what a search found.
///
/// # Errors
/// [`Malformed::Member`], and for more entries than are read.
pub(crate) fn told(answer: &Value) -> Result<Vec<Told>, Malformed> {
    let entries = answer.as_array().filter(|entries| entries.len() <= MAX_LOGS);
    let read = |entry: &Value| {
        Ok(Told {
            log: log(entry)?,
            transaction: member(entry, "transactionHash")?,
            block_number: quantity(entry, "blockNumber")?,
        })
    };
    entries.ok_or(Malformed::Member("logs"))?.iter().map(read).collect()
}

/// Reads a bare hash.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn hash(answer: &Value) -> Result<B256, Malformed> {
    as_hex(answer, "hash")
}

/// Reads a receipt; `null` is `None`.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn receipt(answer: &Value) -> Result<Option<Receipt>, Malformed> {
    if answer.is_null() {
        return Ok(None);
    }
    Ok(Some(Receipt {
        hash: member(answer, "transactionHash")?,
        success: status(answer)?,
        from: member(answer, "from")?,
        block_hash: member(answer, "blockHash")?,
        block_number: quantity(answer, "blockNumber")?,
        logs: logs(answer)?,
    }))
}

/// Reads of a receipt only what proves a payment: the transaction, whether it succeeded, and its logs.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn proof(receipt: &Value) -> Result<(B256, bool, Vec<Log>), Malformed> {
    Ok((member(receipt, "transactionHash")?, status(receipt)?, logs(receipt)?))
}

/// Reads a block; `null` is `None`.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn some_block(answer: &Value) -> Result<Option<Block>, Malformed> {
    if answer.is_null() { Ok(None) } else { block(answer).map(Some) }
}

/// Reads a block.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn block(answer: &Value) -> Result<Block, Malformed> {
    let base_fee = answer.get("baseFeePerGas").filter(|fee| !fee.is_null());
    Ok(Block {
        number: quantity(answer, "number")?,
        timestamp: quantity(answer, "timestamp")?,
        base_fee: base_fee.map(|_| quantity(answer, "baseFeePerGas")).transpose()?,
    })
}

/// Reads a bare quantity, such as a chain id.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn number<T: TryFrom<U256>>(answer: &Value) -> Result<T, Malformed> {
    as_number(answer, "quantity")
}

/// Reads bare bytes, such as a call's output.
///
/// # Errors
/// [`Malformed::Member`].
pub(crate) fn bytes(answer: &Value) -> Result<Bytes, Malformed> {
    as_hex(answer, "data")
}

fn call(call: &Call) -> Value {
    json!({ "to": format!("{:#x}", call.to), "data": call.data.to_string(), "value": format!("{:#x}", call.value) })
}

fn status(receipt: &Value) -> Result<bool, Malformed> {
    match quantity(receipt, "status")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::Member("status")),
    }
}

fn logs(receipt: &Value) -> Result<Vec<Log>, Malformed> {
    list(receipt, "logs")?.iter().map(log).collect()
}

fn log(entry: &Value) -> Result<Log, Malformed> {
    let topics = list(entry, "topics")?;
    if topics.len() > 4 {
        return Err(Malformed::Member("topics"));
    }
    Ok(Log {
        address: member(entry, "address")?,
        topics: topics.iter().map(|topic| as_hex(topic, "topics")).collect::<Result<_, _>>()?,
        data: member(entry, "data")?,
    })
}

fn list<'a>(object: &'a Value, name: &'static str) -> Result<&'a [Value], Malformed> {
    let items = object.get(name).and_then(Value::as_array).filter(|items| items.len() <= MAX_LOGS);
    items.map(Vec::as_slice).ok_or(Malformed::Member(name))
}

fn member<T: FromStr>(object: &Value, name: &'static str) -> Result<T, Malformed> {
    as_hex(object.get(name).ok_or(Malformed::Member(name))?, name)
}

fn quantity<T: TryFrom<U256>>(object: &Value, name: &'static str) -> Result<T, Malformed> {
    as_number(object.get(name).ok_or(Malformed::Member(name))?, name)
}

fn as_number<T: TryFrom<U256>>(value: &Value, name: &'static str) -> Result<T, Malformed> {
    let digits = hex_digits(value).filter(|digits| (1..=64).contains(&digits.len()));
    let number = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    number.and_then(|number| number.try_into().ok()).ok_or(Malformed::Member(name))
}

/// Alloy's parsers take hex without a prefix too; a node's answer has one.
fn as_hex<T: FromStr>(value: &Value, name: &'static str) -> Result<T, Malformed> {
    hex_digits(value).and_then(|digits| digits.parse().ok()).ok_or(Malformed::Member(name))
}

fn hex_digits(value: &Value) -> Option<&str> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)
}
