//! Whose challenge is it, and may it still be answered: the checks of a server before any method's own.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use mpp_core::{
    Realm, Receipt, Timestamp,
    binding::{Keys, Recognised},
    problem::{ProblemType, Reason, Rejection},
    receipt::Status,
};
use serde_json::{Map, Value, json};

use super::{challenge, credential, member, optional, text_of};

/// What the suite's no-op method calls every settlement, and when it says to have made it.
const REFERENCE: &str = "conformance-receipt";
const SETTLED: &str = "2026-01-29T12:00:00Z";

/// Shortest secret that a ring of keys takes, in bytes.
const SHORTEST_SECRET: usize = 32;

pub(super) fn challenge(input: &Value) -> anyhow::Result<Value> {
    let challenge = challenge::read(member(input, "challenge")?)?;
    Ok(json!({ "valid": ring(text_of(input, "secretKey")?)?.sealed(&challenge) }))
}

/// Whether a ring of keys takes a secret, and a second one beside it.
pub(super) fn keys(input: &Value) -> anyhow::Result<Value> {
    let keys = Keys::new(text_of(input, "secretKey")?)?;
    if let Some(previous) = optional(input, "previous")? {
        let keys = keys.and_previous(previous)?;
        if let Some(object) = input.get("challenge") {
            return Ok(json!({ "recognised": keys.sealed(&challenge::read(object)?) }));
        }
    }
    Ok(json!({}))
}

pub(super) fn expires(input: &Value) -> anyhow::Result<Value> {
    let now = Timestamp::parse(text_of(input, "now")?)?;
    let expires = optional(input, "expires")?.context("the challenge names no expiry")?;
    ensure!(!Timestamp::parse(expires)?.expired_at(&now), "the challenge expired at {expires}");
    Ok(json!({}))
}

/// A credential against a route, judged as a server does whose method has nothing to check.
pub(super) fn server(input: &Value) -> anyhow::Result<Value> {
    let route = Route::read(input)?;
    let credential = credential::read(member(input, "credential")?).map_err(|error| {
        let detail = format!("Credential is malformed: {error:#}.");
        Rejection::new(ProblemType::MALFORMED_CREDENTIAL, Reason::UNREADABLE, detail)
    });
    let verified = credential
        .and_then(|credential| route.keys.recognise(credential, &route.realm))
        .and_then(|recognised| route.admit(recognised));
    Ok(match verified {
        Ok(receipt) => json!({ "ok": true, "receipt": receipt }),
        Err(rejection) => json!({ "ok": false, "errorType": outcome(&rejection) }),
    })
}

struct Route<'a> {
    keys: Keys,
    realm: Realm,
    method: &'a str,
    intent: &'a str,
    request: mpp_core::Encoded,
    refusal: Option<&'a str>,
    now: Timestamp,
}

impl<'a> Route<'a> {
    fn read(input: &'a Value) -> anyhow::Result<Self> {
        // The route's own expiry is that of the challenge it would issue now: what was issued before ends at its own.
        optional(input, "expires")?.map(Timestamp::parse).transpose()?;
        Ok(Self {
            keys: ring(text_of(input, "secretKey")?)?,
            realm: Realm::parse(text_of(input, "realm")?)?,
            method: text_of(input, "method")?,
            intent: text_of(input, "intent")?,
            request: challenge::encoded(member(input, "request")?)?,
            refusal: optional(input, "verificationError")?.filter(|words| !words.is_empty()),
            now: now()?,
        })
    }

    fn admit(&self, recognised: Recognised) -> Result<Receipt, Rejection> {
        let refuse =
            |reason, detail| Err(Rejection::new(ProblemType::INVALID_CHALLENGE, reason, detail));
        let challenge = recognised.challenge();
        if challenge.method.as_str() != self.method || challenge.intent.as_str() != self.intent {
            return refuse(Reason::NOT_OFFERED, "This route is not paid this way.");
        }
        if challenge.request.canonical().ok().as_ref() != Some(&self.request) {
            return refuse(Reason::WRONG_TERMS, "This challenge asks for something else.");
        }
        let admitted = recognised.admit(&self.now)?;
        if let Some(words) = self.refusal {
            return Err(Rejection::failed(words.to_owned()));
        }
        Ok(Receipt {
            method: admitted.challenge().method.clone(),
            reference: REFERENCE.into(),
            status: Status::Success,
            timestamp: Timestamp::parse(SETTLED).map_err(Rejection::internal)?,
            external_id: None,
            extra: Map::new(),
        })
    }
}

fn outcome(rejection: &Rejection) -> &'static str {
    match rejection.kind {
        kind if kind == ProblemType::MALFORMED_CREDENTIAL => "malformed_credential",
        kind if kind == ProblemType::INVALID_CHALLENGE => "invalid_challenge",
        kind if kind == ProblemType::PAYMENT_EXPIRED => "payment_expired",
        kind if kind == ProblemType::VERIFICATION_FAILED => "verification_failed",
        _ => "unknown_error",
    }
}

/// The ring of one secret, which in vectors may be shorter than a ring takes.
///
/// HMAC fills a key that is shorter than its block with zeros: a short secret and the same secret with zeros behind it
/// are one key, so nothing about the ring is relaxed to read the suite's secrets.
pub(super) fn ring(secret: &str) -> anyhow::Result<Keys> {
    if secret.is_empty() {
        bail!("the secret is empty");
    }
    let mut secret = secret.as_bytes().to_vec();
    secret.resize(secret.len().max(SHORTEST_SECRET), 0);
    Ok(Keys::new(secret)?)
}

fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp::from_unix_millis(i64::try_from(since.as_millis())?))
}
