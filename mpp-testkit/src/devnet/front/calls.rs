//! `calls` are run: the node ignores them in `eth_call` and `eth_estimateGas`, and runs an empty creation instead.

use serde_json::{Value, json};

use super::{fault::Fault, node::Node, trial::Trial};

/// What the node's estimates do not know of: the signature, a passkey's being the dearest (2 kB of calldata and a
/// P-256 check), and the sponsor's.
const SIGNATURES: u64 = 45_000;

/// An access key that is authorised on the way, which the node's estimates leave out. One with every kind of scope and
/// limit was seen to cost 3.1 million.
const KEY_AUTHORIZATION: u64 = 4_300_000;

pub(super) async fn call(node: &Node, params: &[Value]) -> Result<Option<Value>, Fault> {
    let (Some(request), rest) = split(params) else { return Ok(None) };
    if !Trial::is_listed(request) {
        return Ok(None);
    }
    let trial = Trial::read(request)?;
    let checked = node.call("eth_call", json!(with(trial.flat(), rest))).await?;
    if trial.calls.len() == 1 {
        return Ok(Some(checked));
    }
    let ran = sequence(node, &trial, rest).await?;
    Ok(Some(ran.last().map_or(json!("0x"), |last| last.output.clone())))
}

pub(super) async fn estimate_gas(node: &Node, params: &[Value]) -> Result<Option<Value>, Fault> {
    let (Some(request), rest) = split(params) else { return Ok(None) };
    if !Trial::is_listed(request) {
        return Ok(None);
    }
    let gas = estimate(node, &Trial::read(request)?, rest).await?;
    Ok(Some(json!(format!("{gas:#x}"))))
}

/// Units of gas with which a transaction of these calls is mined: at least what it uses.
pub(super) async fn estimate(node: &Node, trial: &Trial, rest: &[Value]) -> Result<u64, Fault> {
    let mut flat = trial.flat();
    if let Some(flat) = flat.as_object_mut() {
        flat.remove("gas");
    }
    let whole = quantity(&node.call("eth_estimateGas", json!(with(flat, rest))).await?)?;
    let calls = if trial.calls.len() == 1 {
        0
    } else {
        // The whole was estimated of a call that does nothing. Each call by itself costs a whole transaction, so what
        // an idle one costs is taken off.
        let ran = sequence(node, trial, rest).await?;
        let idle = ran.first().map_or(0, |idle| idle.gas);
        ran.iter().skip(1).map(|call| call.gas.saturating_sub(idle)).sum()
    };
    let authorization = match trial.common.get("keyAuthorization") {
        None | Some(Value::Null) => 0,
        Some(_) => KEY_AUTHORIZATION,
    };
    Ok(whole.saturating_add(calls) + SIGNATURES + authorization)
}

struct Ran {
    gas: u64,
    output: Value,
}

/// Runs an idle call and then the calls, each on what those before it left, and answers all; the first that reverts
/// reverts all. The rest of a request's parameters are a block and changes to its state.
async fn sequence(node: &Node, trial: &Trial, rest: &[Value]) -> Result<Vec<Ran>, Fault> {
    let calls: Vec<Value> = std::iter::once(trial.idle()).chain(trial.plain()).collect();
    let given = |index: usize| rest.get(index).filter(|value| !value.is_null());
    let block = given(0).cloned().unwrap_or_else(|| json!("latest"));
    let mut simulated = json!({ "calls": calls });
    if let Some(state) = given(1) {
        simulated["stateOverrides"] = state.clone();
    }
    let payload = json!({ "blockStateCalls": [simulated] });
    let blocks = node.call("eth_simulateV1", json!([payload, block])).await?;
    let ran = blocks.pointer("/0/calls").and_then(Value::as_array);
    let ran = ran.filter(|ran| ran.len() == calls.len());
    ran.ok_or_else(|| Fault::unanswered("the node did not run all calls"))?
        .iter()
        .map(read)
        .collect()
}

fn read(call: &Value) -> Result<Ran, Fault> {
    let output = call.get("returnData").cloned().unwrap_or_else(|| json!("0x"));
    if call.get("status").and_then(Value::as_str) != Some("0x1") {
        return Err(Fault::reverted(output.as_str().unwrap_or("0x")));
    }
    let gas = quantity(call.get("gasUsed").unwrap_or(&Value::Null))?;
    Ok(Ran { gas, output })
}

/// A number of the node's.
pub(super) fn quantity(value: &Value) -> Result<u64, Fault> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| Fault::unanswered("the node answered no number where one belongs"))
}

fn split(params: &[Value]) -> (Option<&Value>, &[Value]) {
    params.split_first().map_or((None, &[]), |(request, rest)| (Some(request), rest))
}

fn with(first: Value, rest: &[Value]) -> Vec<Value> {
    std::iter::once(first).chain(rest.iter().cloned()).collect()
}
