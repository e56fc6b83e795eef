//! A request for a Tempo transaction, taken apart: its calls, and what they have in common.

use serde_json::{Map, Value, json};

use super::fault::Fault;

/// A call that does nothing: what it costs, every transaction costs.
const NOWHERE: &str = "0x000000000000000000000000000000000000dead";

/// What of a transaction only matters to who pays for it. A trial charges no fee.
const FEES: [&str; 3] = ["maxFeePerGas", "maxPriorityFeePerGas", "gasPrice"];

/// One call of a request, in the request's own texts.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) to: Value,
    pub(super) data: Value,
    pub(super) value: Value,
}

/// A request without its calls, and its calls.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) common: Map<String, Value>,
    pub(super) calls: Vec<Call>,
}

impl Trial {
    /// Takes a request apart. A call at its top level comes after those that are listed.
    pub(super) fn read(request: &Value) -> Result<Self, Fault> {
        let mut common =
            request.as_object().cloned().ok_or_else(|| Fault::params("no transaction"))?;
        let listed = common.remove("calls").unwrap_or_default();
        let top = Call::read(request);
        for name in ["to", "data", "input", "value"] {
            common.remove(name);
        }
        let mut calls: Vec<Call> =
            listed.as_array().into_iter().flatten().map(Call::read).collect();
        calls.extend((!top.to.is_null()).then_some(top));
        Ok(Self { common, calls })
    }

    /// Whether a request lists calls, which the node does not look at.
    pub(super) fn is_listed(request: &Value) -> bool {
        request.get("calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty())
    }

    /// The request with one call at its top level, where the node runs it with all checks of a Tempo transaction, and
    /// without fees. Of several calls none is run, only the checks.
    pub(super) fn flat(&self) -> Value {
        let mut flat = self.common.clone();
        for name in FEES {
            flat.remove(name);
        }
        let call = match self.calls.as_slice() {
            [only] => only.clone(),
            _ => Call::nothing(),
        };
        flat.insert("to".into(), call.to);
        flat.insert("data".into(), call.data);
        flat.insert("value".into(), call.value);
        Value::Object(flat)
    }

    /// Each call by itself, as a plain message that no node panics on.
    pub(super) fn plain(&self) -> impl Iterator<Item = Value> {
        self.calls.iter().map(|call| self.message(call))
    }

    /// A message of this sender that does nothing.
    pub(super) fn idle(&self) -> Value {
        self.message(&Call::nothing())
    }

    fn message(&self, call: &Call) -> Value {
        let mut message = json!({ "to": call.to, "input": call.data, "value": call.value });
        if let Some(from) = self.common.get("from").filter(|from| !from.is_null()) {
            message["from"] = from.clone();
        }
        message
    }
}

impl Call {
    fn read(object: &Value) -> Self {
        let given = |name: &str| object.get(name).filter(|value| !value.is_null()).cloned();
        let number = |value: &Value| !matches!(value.as_str(), Some("" | "0x"));
        Self {
            to: given("to").unwrap_or_default(),
            data: given("data").or_else(|| given("input")).unwrap_or_else(|| json!("0x")),
            // Some wallets write no value as no digits.
            value: given("value").filter(number).unwrap_or_else(|| json!("0x0")),
        }
    }

    fn nothing() -> Self {
        Self { to: json!(NOWHERE), data: json!("0x"), value: json!("0x0") }
    }
}
