//! Heads and bodies of HTTP: refusals, receipts, and where credentials are found and put.

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use mpp_core::{
    name::CredentialHeader,
    problem::{ProblemType, Reason, Rejection},
    transport::{Answer, Http, Refusal, read_credential as read},
};
use serde_json::{Map, Value, json};

use super::{challenge, credential, list, member, optional, problem, receipt};

/// The refusal that carries a challenge. Without an error it is bare: a head, and no problem.
pub(super) fn challenge_response(input: &Value) -> anyhow::Result<Value> {
    let error = optional(input, "error")?;
    let kind = error.map_or(Ok(ProblemType::PAYMENT_REQUIRED), problem::of_peer)?;
    let rejection = Rejection::new(kind, Reason::new("conformance"), kind.title().to_owned());
    let challenges = vec![challenge::read(member(input, "challenge")?)?];
    let mut response = Http::refuse(&Refusal { rejection, challenges });
    if error.is_none() {
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.body_mut().clear();
    }
    let body = body(&response)?;
    Ok(json!({ "status": response.status().as_u16(), "headers": fields(&response)?, "body": body }))
}

/// What of a problem body is the protocol's: words for people, and members of ours, are not.
fn body(response: &Response<Vec<u8>>) -> anyhow::Result<Value> {
    if response.body().is_empty() {
        return Ok(Value::Null);
    }
    let mut body: Map<String, Value> = serde_json::from_slice(response.body())?;
    body.retain(|name, _| ["type", "status", "challengeId"].contains(&name.as_str()));
    Ok(Value::Object(body))
}

pub(super) fn receipt_response(input: &Value) -> anyhow::Result<Value> {
    let status = member(input, "status")?.as_u64().context("`status` is not a number")?;
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status)?)?;
    if let Some(present) = optional(input, "cacheControl")? {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_str(present)?);
    }
    Http::put_receipt_in(response.headers_mut(), &receipt::read(member(input, "receipt")?)?);
    Ok(json!({ "status": status, "headers": fields(&response)? }))
}

/// Finds the one credential among the fields of a request, or says with what problem the request is refused.
pub(super) fn read_credential(input: &Value) -> anyhow::Result<Value> {
    let looks_in = optional(input, "looksIn")?.map(CredentialHeader::parse).transpose()?;
    Ok(match read(&headers(input)?, looks_in.as_ref()) {
        Ok(found) => json!({ "id": found.map(|credential| credential.challenge.id().clone()) }),
        Err(error) => {
            let Rejection { kind, .. } = error.into();
            json!({ "problem": { "type": kind.uri(), "status": kind.status } })
        }
    })
}

/// Which header a client puts the credential for a challenge in.
pub(super) fn place_credential(input: &Value) -> anyhow::Result<Value> {
    let mut headers = HeaderMap::new();
    Http::put_credential_in(&mut headers, &credential::read(input)?)?;
    Ok(json!({ "headers": Value::from_iter(headers.keys().map(HeaderName::as_str)) }))
}

/// What a client hears in a response.
pub(super) fn read_answer(input: &Value) -> anyhow::Result<Value> {
    let status = member(input, "status")?.as_u64().context("`status` is not a number")?;
    let status = StatusCode::from_u16(u16::try_from(status)?)?;
    let body = input.get("body").map(Value::to_string).unwrap_or_default();
    let answer = Http::read_head(status, &headers(input)?, Some(body.as_bytes()));
    Ok(match answer {
        Answer::Served(receipt) => json!({ "answer": "served", "receipt": receipt.is_some() }),
        Answer::Acknowledged(_) => json!({ "answer": "acknowledged" }),
        Answer::Required { challenges, .. } => {
            let ids = challenges.iter().map(|challenge| challenge.id().as_str());
            json!({ "answer": "required", "challenges": Value::from_iter(ids) })
        }
        _ => json!({ "answer": "troubled" }),
    })
}

/// Header fields given as pairs, since a name may come twice.
fn headers(input: &Value) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for field in list(input, "headers")? {
        let part = |index| field.get(index).and_then(Value::as_str).context("a field is a pair");
        let name = HeaderName::from_bytes(part(0)?.as_bytes())?;
        headers.append(name, HeaderValue::from_bytes(part(1)?.as_bytes())?);
    }
    Ok(headers)
}

fn fields(response: &Response<Vec<u8>>) -> anyhow::Result<Value> {
    let mut fields = Map::new();
    for (name, value) in response.headers() {
        fields.insert(name.as_str().to_owned(), value.to_str()?.into());
    }
    Ok(Value::Object(fields))
}
