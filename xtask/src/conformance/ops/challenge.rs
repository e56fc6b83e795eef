//! Challenges: header fields both ways, ids, and what `opaque` binds.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use mpp_core::{
    Challenge, Draft, Encoded, Realm, Timestamp, binding,
    challenge::ChallengeId,
    digest::Digest,
    jcs,
    name::{CredentialHeader, IntentName, MethodName},
    opaque::Opaque,
    transport::{grammar, read_field, write_challenge},
};
use serde_json::{Map, Value, json};

use super::{member, optional, text_of};

pub(super) fn parse(input: &Value) -> anyhow::Result<Value> {
    let challenges = read_field(text_of(input, "header")?)?;
    written(challenges.first().context("the field holds no Payment challenge")?)
}

pub(super) fn parse_list(input: &Value) -> anyhow::Result<Value> {
    let challenges = read_field(text_of(input, "header")?)?;
    ensure!(!challenges.is_empty(), "the field holds no Payment challenge");
    let challenges = challenges.iter().map(written).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({ "challenges": challenges }))
}

pub(super) fn format(input: &Value) -> anyhow::Result<Value> {
    let field = write_challenge(&read(input)?)?;
    Ok(json!({ "header": field.to_str()? }))
}

pub(super) fn id(input: &Value) -> anyhow::Result<Value> {
    let secret = text_of(input, "secretKey")?;
    ensure!(!secret.is_empty(), "the secret is empty");
    Ok(json!({ "id": binding::challenge_id(secret.as_bytes(), &draft(input)?) }))
}

/// The grammar alone: the parameters of every `Payment` challenge, understood or not.
pub(super) fn auth_params(input: &Value) -> anyhow::Result<Value> {
    let challenges = grammar::challenges_in_text(text_of(input, "header")?)?;
    let challenges = challenges
        .iter()
        .map(|params| Value::from_iter(params.iter().map(|(name, value)| json!([name, value]))));
    Ok(json!({ "challenges": Value::from_iter(challenges) }))
}

pub(super) fn opaque_bind(input: &Value) -> anyhow::Result<Value> {
    let nonce = text_of(input, "nonce")?.as_bytes();
    let nonce = nonce.try_into().context("a nonce has 16 bytes")?;
    Ok(json!({ "opaque": Opaque::bind(nonce, text_of(input, "scope")?).as_str() }))
}

pub(super) fn opaque_scope(input: &Value) -> anyhow::Result<Value> {
    let opaque = Opaque::parse(text_of(input, "opaque")?)?;
    Ok(json!({ "scope": opaque.scope(), "members": opaque.members() }))
}

/// A challenge from the ABI's object, in which the request is JSON and not yet encoded.
pub(super) fn read(object: &Value) -> anyhow::Result<Challenge> {
    Ok(Challenge::received(ChallengeId::parse(text_of(object, "id")?)?, draft(object)?))
}

pub(super) fn draft(object: &Value) -> anyhow::Result<Draft> {
    let some = |name| Ok::<_, anyhow::Error>(optional(object, name)?.filter(|t| !t.is_empty()));
    Ok(Draft {
        realm: Realm::parse(text_of(object, "realm")?)?,
        method: MethodName::parse(text_of(object, "method")?)?,
        intent: IntentName::parse(text_of(object, "intent")?)?,
        request: encoded(member(object, "request")?)?,
        expires: some("expires")?.map(Timestamp::parse).transpose()?,
        digest: some("digest")?.map(Digest::parse).transpose()?,
        description: some("description")?.map(Into::into),
        header: some("header")?.map(CredentialHeader::parse).transpose()?,
        opaque: match (some("opaque")?, object.get("meta")) {
            (Some(text), _) => Some(Opaque::parse(text)?),
            (None, Some(members @ Value::Object(_))) => {
                let members: BTreeMap<String, String> = serde_json::from_value(members.clone())?;
                Some(Opaque::of(&members)?)
            }
            (None, None | Some(Value::Null)) => None,
            (None, Some(_)) => bail!("`meta` is not an object"),
        },
    })
}

pub(super) fn encoded(request: &Value) -> anyhow::Result<Encoded> {
    ensure!(request.is_object(), "`request` is not an object");
    Ok(Encoded::of(request)?)
}

/// The ABI's object for a challenge.
pub(super) fn written(challenge: &Challenge) -> anyhow::Result<Value> {
    let json = challenge.request.json();
    jcs::refuse_duplicates(json)?;
    let request: Value = serde_json::from_slice(json)?;
    let mut object = Map::new();
    object.insert("id".into(), challenge.id().as_str().into());
    object.insert("realm".into(), challenge.realm.as_str().into());
    object.insert("method".into(), challenge.method.as_str().into());
    object.insert("intent".into(), challenge.intent.as_str().into());
    object.insert("request".into(), request);
    let mut optional = |name: &str, text: Option<&str>| {
        object.extend(text.map(|text| (name.to_owned(), Value::from(text))));
    };
    optional("expires", challenge.expires.as_ref().map(Timestamp::as_str));
    optional("digest", challenge.digest.as_ref().map(Digest::as_str));
    optional("description", challenge.description.as_deref());
    optional("opaque", challenge.opaque.as_ref().map(Opaque::as_str));
    optional("header", challenge.header.as_ref().map(CredentialHeader::as_str));
    Ok(Value::Object(object))
}
