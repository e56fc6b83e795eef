//! What is posted to a proxy: a challenge in any of its forms, and a payment method.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{header, request::Parts},
};
use mpp_core::{
    Challenge, Credential, Encoded, Error, jcs,
    problem::{ProblemType, Reason, Rejection},
    transport::read_field,
};
use serde::Deserialize;
use serde_json::{Value, json, value::to_raw_value};

use super::refuse;
use crate::token::PaymentMethod;

/// A challenge has 16 KiB for its request and as much for what its server ties to it; pages post their Stripe object beside it.
const LONGEST: usize = 64 * 1024;
/// How long a body may take to arrive: it is a few KiB.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was posted, and nothing proven of it.
pub(super) struct Posted {
    /// The challenge, in the only form in which keys recognise one; its payload is empty.
    pub(super) credential: Credential,
    pub(super) payment_method: PaymentMethod,
}

/// Other members are not read: amount, currency and end stand in the challenge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    challenge: Value,
    payment_method: String,
}

impl Posted {
    pub(super) async fn read(head: &Parts, body: Body) -> Result<Self, Rejection> {
        if !is_json(head) {
            return Err(refuse::content_type());
        }
        let unread = |_| {
            let detail = "The body is over 64 KiB, or broke off.";
            Rejection::new(ProblemType::BODY_TOO_LARGE, Reason::BODY_TOO_LARGE, detail)
        };
        let bytes = tokio::time::timeout(PATIENCE, to_bytes(body, LONGEST)).await;
        let bytes = bytes.map_err(|_| refuse::slow())?.map_err(unread)?;
        let Members { challenge, payment_method } = serde_json::from_slice(&bytes)
            .map_err(|_| refuse::unreadable("The body has no challenge and paymentMethod."))?;
        let payment_method = PaymentMethod::parse(&payment_method)
            .map_err(|why| refuse::unreadable(format!("paymentMethod: {why}.")))?;
        let credential =
            answered(challenge).map_err(|_| refuse::unreadable("The challenge cannot be read."))?;
        Ok(Self { credential, payment_method })
    }
}

/// Forms post other types without asking; a page of another origin would have to ask first, and is not answered.
fn is_json(head: &Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

fn answered(challenge: Value) -> Result<Credential, Error> {
    match challenge {
        Value::String(field) => of_field(&field),
        Value::Object(mut members) => {
            if let Some(request @ Value::Object(_)) = members.get("request") {
                // As it was sealed, if it was: requests of ours are canonical.
                let encoded = Encoded::of(request)?;
                members.insert("request".to_owned(), encoded.as_str().into());
            }
            let credential = json!({ "challenge": members, "payload": {} });
            Credential::from_json(&jcs::to_vec(&credential)?)
        }
        _ => Err(Error::Missing("challenge")),
    }
}

/// One challenge of a field. It may hold others, of other methods.
fn of_field(field: &str) -> Result<Credential, Error> {
    let ours = |challenge: &Challenge| challenge.method.as_str() == "stripe";
    let mut challenges = read_field(field)?.into_iter().filter(ours);
    match (challenges.next(), challenges.next()) {
        (Some(challenge), None) => {
            let nothing = to_raw_value(&json!({})).map_err(jcs::JsonError::Shape)?;
            Credential::from_parts(challenge, None, nothing)
        }
        _ => Err(Error::Missing("challenge")),
    }
}
