//! Credentials: the `Authorization` field, both ways.

use anyhow::{Context, bail};
use mpp_core::{Credential, credential::Source, encoded, jcs, transport::credential_from_field};
use serde_json::{Value, json};

use super::{challenge, member, text_of};

pub(super) fn parse(input: &Value) -> anyhow::Result<Value> {
    let field = text_of(input, "header")?;
    let credential = credential_from_field(field)?;
    let mut object = written(&credential.context("the field holds no Payment credential")?)?;
    if let (Some(members), Some(challenge)) = (legacy_opaque(field), object.get_mut("challenge")) {
        challenge["meta"] = members;
    }
    Ok(object)
}

/// What older peers echo in place of the text of `opaque`: the object inside, which they show as `meta`.
fn legacy_opaque(field: &str) -> Option<Value> {
    let json = encoded::decode(field.split_ascii_whitespace().last()?).ok()?;
    let credential: Value = serde_json::from_slice(&json).ok()?;
    credential.pointer("/challenge/opaque").filter(|opaque| opaque.is_object()).cloned()
}

pub(super) fn from_authorization(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "credential": parse(input)? }))
}

pub(super) fn format(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "header": format!("Payment {}", read(input)?.to_token()?) }))
}

/// A credential from the ABI's object.
pub(super) fn read(object: &Value) -> anyhow::Result<Credential> {
    let challenge = challenge::read(member(object, "challenge")?)?;
    let source = match object.get("source") {
        None | Some(Value::Null) => None,
        Some(Value::String(source)) => Some(Source::new(source)),
        Some(_) => bail!("`source` is not a string"),
    };
    let payload = serde_json::value::to_raw_value(member(object, "payload")?)?;
    Ok(Credential::from_parts(challenge, source, payload)?)
}

fn written(credential: &Credential) -> anyhow::Result<Value> {
    jcs::refuse_duplicates(credential.payload_json().as_bytes())?;
    let payload: Value = serde_json::from_str(credential.payload_json())?;
    let challenge = challenge::written(&credential.challenge)?;
    let mut object = json!({ "challenge": challenge, "payload": payload });
    if let (Some(source), Some(object)) = (&credential.source, object.as_object_mut()) {
        object.insert("source".into(), source.as_str().into());
    }
    Ok(object)
}
