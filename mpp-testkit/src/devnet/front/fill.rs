//! `eth_fillTransaction`: what is missing from a Tempo transaction is filled in, and what is there is kept. With
//! `feePayer: true` the sponsor's signature is filled in as well, where it is wanted.

use mpp_tempo::chain::{PATH_USD, transaction::Transaction};
use serde_json::{Map, Value, json};

use super::{
    calls,
    fault::Fault,
    methods::Methods,
    node::Node,
    read,
    sponsor::{self, hex},
    trial::Trial,
};

pub(super) async fn fill_transaction(
    methods: &Methods,
    params: &[Value],
) -> Result<Option<Value>, Fault> {
    let node = &methods.node;
    let Some(request) = params.first().filter(|request| is_tempo(request)) else { return Ok(None) };
    let trial = Trial::read(request)?;
    let gas = match trial.common.get("gas") {
        None | Some(Value::Null) => {
            json!(format!("{:#x}", calls::estimate(node, &trial, &[]).await?))
        }
        Some(gas) => gas.clone(),
    };
    let mut transaction = filled(node, &trial, gas).await?;
    let sponsored = request.get("feePayer") == Some(&Value::Bool(true));
    let read = read::transaction(&transaction, sponsored);
    if sponsored && methods.sponsor_fills {
        let read = read
            .as_ref()
            .ok_or_else(|| Fault::params("not a transaction that is sponsored here"))?;
        transaction.extend(signed(read, &transaction)?);
    }
    // What the sender signs; the node's own is of the call it was shown. Authorisations cannot be written here.
    let raw = read.map(|read| hex(&read.signing_bytes()));
    Ok(Some(json!({ "raw": raw, "tx": transaction })))
}

fn is_tempo(request: &Value) -> bool {
    Trial::is_listed(request)
        || request.get("type").and_then(Value::as_str) == Some("0x76")
        || request.get("feePayer") == Some(&Value::Bool(true))
}

/// The transaction as asked for, with what the node says of the rest.
async fn filled(node: &Node, trial: &Trial, gas: Value) -> Result<Map<String, Value>, Fault> {
    let mut shown = trial.flat();
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("gas".into(), gas.clone());
        shown.remove("feePayer");
    }
    let mut answer = node.call("eth_fillTransaction", json!([shown])).await?;
    let answer = answer.get_mut("tx").map(Value::take).unwrap_or_default();
    let Value::Object(mut transaction) = answer else {
        return Err(Fault::unanswered("the node filled no transaction"));
    };
    let given = trial.common.iter().filter(|(name, value)| !value.is_null() && *name != "feePayer");
    transaction.extend(given.map(|(name, value)| (name.clone(), value.clone())));
    let calls = trial.calls.iter().map(
        |call| json!({ "to": call.to, "value": call.value, "input": call.data, "data": call.data }),
    );
    transaction.insert("calls".into(), calls.collect());
    transaction.insert("gas".into(), gas);
    transaction.insert("type".into(), json!("0x76"));
    Ok(transaction)
}

/// The sponsor's choice and signature. What the sender commits to is not touched.
fn signed(read: &Transaction, filled: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let sender = filled.get("from").and_then(Value::as_str).and_then(|from| from.parse().ok());
    let sender = sender.ok_or_else(|| Fault::params("no sender"))?;
    let sponsored = Transaction { fee_token: Some(PATH_USD), ..read.clone() };
    let signature = sponsor::key()?.sign(sponsored.fee_payer_hash(sender));
    let parity = u8::from(signature.odd_y());
    let mut fields = Map::new();
    fields.insert("feeToken".into(), json!(format!("{PATH_USD:#x}")));
    fields.insert(
        "feePayerSignature".into(),
        json!({
            "r": format!("{:#066x}", signature.r()),
            "s": format!("{:#066x}", signature.s()),
            "yParity": format!("{parity:#x}"),
            "v": format!("{parity:#x}"),
        }),
    );
    Ok(fields)
}
