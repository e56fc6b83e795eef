//! Simulations of whole blocks: the node is killed by a Tempo transaction in one, so it is shown plain messages, and what
//! it answers is folded back.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{calls::quantity, fault::Fault, node::Node, trial::Trial};
use crate::devnet::TOKENS;

/// The topic of a token's `Transfer(address,address,uint256)`.
pub(super) const TRANSFER: &str =
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

pub(super) async fn tempo(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let blocks = eth(node, params).await?;
    let metadata = metadata(&blocks);
    Ok(json!({ "blocks": blocks, "tokenMetadata": metadata }))
}

/// Runs transactions of any type. Tempo transactions are charged no fees, and their gas limits not applied: one of
/// several calls answers the sum of their gas, each with the cost of a whole transaction, so an upper bound.
pub(super) async fn eth(node: &Node, params: &[Value]) -> Result<Value, Fault> {
    let payload = params.first().and_then(Value::as_object);
    let payload = payload.ok_or_else(|| Fault::params("no payload to simulate"))?;
    let block = params.get(1).filter(|block| !block.is_null());
    let block = block.cloned().unwrap_or_else(|| json!("latest"));
    if calls(payload).all(is_plain) {
        return node.call("eth_simulateV1", json!([payload, block])).await;
    }
    let mut plan = Plan::read(payload)?;
    loop {
        let blocks = node.call("eth_simulateV1", json!([plan.payload(payload), block])).await?;
        let folded = plan.fold(&blocks)?;
        // A transaction is all or nothing: what follows one that failed must not see what it did before it failed.
        if !plan.drop_half_done(&folded) {
            return Ok(folded);
        }
    }
}

pub(super) fn calls(payload: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let blocks = payload.get("blockStateCalls").and_then(Value::as_array).into_iter().flatten();
    blocks.filter_map(|block| block.get("calls")?.as_array()).flatten()
}

/// Whether the node knows what to do with a call: it lists no calls, and is of a type that was there before Tempo's.
fn is_plain(call: &Value) -> bool {
    let known = match call.get("type") {
        None | Some(Value::Null) => true,
        Some(kind) => matches!(kind.as_str(), Some("0x0" | "0x1" | "0x2")),
    };
    known && call.get("calls").is_none_or(Value::is_null)
}

/// Which messages stand for which transaction.
struct Plan {
    blocks: Vec<(Map<String, Value>, Vec<Planned>)>,
}

struct Planned {
    messages: Vec<Value>,
    /// What became of it in an earlier run, once its messages were taken out.
    failed: Option<Value>,
}

impl Plan {
    fn read(payload: &Map<String, Value>) -> Result<Self, Fault> {
        let blocks = payload.get("blockStateCalls").and_then(Value::as_array);
        let blocks =
            blocks.ok_or_else(|| Fault::params("no blockStateCalls"))?.iter().map(|block| {
                let mut rest = block.as_object().cloned().unwrap_or_default();
                let calls = rest.remove("calls").unwrap_or_default();
                let planned = calls.as_array().into_iter().flatten().map(Planned::read);
                Ok((rest, planned.collect::<Result<_, Fault>>()?))
            });
        Ok(Self { blocks: blocks.collect::<Result<_, Fault>>()? })
    }

    fn payload(&self, asked: &Map<String, Value>) -> Value {
        let blocks = self.blocks.iter().map(|(rest, planned)| {
            let messages: Vec<&Value> = planned.iter().flat_map(|one| &one.messages).collect();
            let mut block = rest.clone();
            block.insert("calls".into(), json!(messages));
            Value::Object(block)
        });
        let mut payload = asked.clone();
        payload.insert("blockStateCalls".into(), blocks.collect());
        // Plain messages have neither the nonces nor the fees of what they stand for.
        payload.insert("validation".into(), json!(false));
        Value::Object(payload)
    }

    fn fold(&self, answered: &Value) -> Result<Value, Fault> {
        let blocks = answered.as_array().filter(|blocks| blocks.len() == self.blocks.len());
        let blocks = blocks.ok_or_else(incomplete)?;
        let folded = blocks.iter().zip(&self.blocks).map(|(block, (_, planned))| {
            let ran = block.get("calls").and_then(Value::as_array).ok_or_else(incomplete)?;
            let mut at = 0;
            let calls = planned.iter().map(|one| {
                let span: Range<usize> = at..at + one.messages.len();
                at = span.end;
                match &one.failed {
                    Some(failed) => Ok(failed.clone()),
                    None => fold(ran.get(span).ok_or_else(incomplete)?),
                }
            });
            let calls = calls.collect::<Result<Value, Fault>>()?;
            let mut block = block.clone();
            block["calls"] = calls;
            Ok(block)
        });
        folded.collect()
    }

    /// Takes out the messages of the first transaction that failed after some of it was done. Whether there was one.
    fn drop_half_done(&mut self, folded: &Value) -> bool {
        for (index, (_, planned)) in self.blocks.iter_mut().enumerate() {
            for (place, one) in planned.iter_mut().enumerate() {
                let Some(result) = folded.pointer(&format!("/{index}/calls/{place}")) else {
                    continue;
                };
                if one.messages.len() > 1 && !succeeded(result) {
                    one.messages.clear();
                    one.failed = Some(result.clone());
                    return true;
                }
            }
        }
        false
    }
}

impl Planned {
    fn read(request: &Value) -> Result<Self, Fault> {
        let trial = Trial::read(request)?;
        let messages: Vec<Value> = trial.plain().collect();
        if messages.is_empty() {
            return Err(Fault::params(
                "a transaction without a call, or one that creates a contract",
            ));
        }
        Ok(Self { messages, failed: None })
    }
}

/// One result out of those of a transaction's calls: the last, or the first that failed.
fn fold(ran: &[Value]) -> Result<Value, Fault> {
    let failed = ran.iter().find(|call| !succeeded(call));
    let mut one = failed.or(ran.last()).cloned().ok_or_else(incomplete)?;
    let used: u64 = ran
        .iter()
        .map(|call| quantity(call.get("gasUsed").unwrap_or(&Value::Null)))
        .sum::<Result<_, _>>()?;
    let logs: Vec<&Value> = match failed {
        Some(_) => Vec::new(),
        None => ran.iter().filter_map(|call| call.get("logs")?.as_array()).flatten().collect(),
    };
    one["gasUsed"] = json!(format!("{used:#x}"));
    one["logs"] = json!(logs);
    Ok(one)
}

fn succeeded(call: &Value) -> bool {
    call.get("status").and_then(Value::as_str) == Some("0x1")
}

fn incomplete() -> Fault {
    Fault::unanswered("the node did not run all calls")
}

/// What the tokens are called that moved.
fn metadata(blocks: &Value) -> Value {
    let calls =
        blocks.as_array().into_iter().flatten().filter_map(|block| block.get("calls")?.as_array());
    let logs = calls.flatten().filter_map(|call| call.get("logs")?.as_array()).flatten();
    let moved =
        logs.filter(|log| log.pointer("/topics/0").and_then(Value::as_str) == Some(TRANSFER));
    let tokens = moved.filter_map(|log| log.get("address")?.as_str()).filter_map(|address| {
        let (name, token) = TOKENS.iter().find(|(_, token)| token.eq_ignore_ascii_case(address))?;
        let (initial, rest) = name.split_at(1);
        let name = format!("{}{rest}", initial.to_ascii_uppercase());
        let named = json!({ "name": name, "symbol": name, "decimals": "0x6", "currency": "USD" });
        Some(((*token).to_owned(), named))
    });
    Value::Object(tokens.collect())
}
