//! A receipt: the server's word that a payment was settled.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    encoded,
    error::Error,
    jcs::{self, JsonError},
    name::MethodName,
    time::Timestamp,
};

/// What `Payment-Receipt` carries on a success, and on nothing else (core draft, `Payment-Receipt`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The rail that was paid on.
    pub method: MethodName,
    /// The settlement's name on its rail: a transaction hash, a payment hash, a channel.
    pub reference: String,
    /// Always `success`: a receipt of anything else is refused.
    pub status: Status,
    /// When the server settled.
    pub timestamp: Timestamp,
    /// The caller's own name for the payment, where the request had one.
    #[serde(
        default,
        rename = "externalId",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub external_id: Option<String>,
    /// Members of the method or the intent, and members we do not know: kept, and written again.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The one status a receipt can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// The money moved, as was asked.
    #[default]
    #[serde(rename = "success")]
    Success,
}

impl Receipt {
    /// Reads the value of a `Payment-Receipt` header.
    pub fn from_token(token: &str) -> Result<Self, Error> {
        if token.len() > crate::credential::LONGEST_CREDENTIAL {
            return Err(encoded::EncodedError::TooLong {
                limit: crate::credential::LONGEST_CREDENTIAL,
            }
            .into());
        }
        let json = encoded::decode(token)?;
        jcs::refuse_duplicates(&json)?;
        let receipt: Self = serde_json::from_slice(&json).map_err(JsonError::Shape)?;
        // Who keeps a receipt puts it into something deeper: what is read here must be readable there.
        let deep = receipt.extra.values().any(|member| deeper_than(DEEPEST, member));
        if deep { Err(JsonError::Deep.into()) } else { Ok(receipt) }
    }

    /// Writes the value of a `Payment-Receipt` header.
    pub fn to_token(&self) -> Result<String, Error> {
        Ok(encoded::encode(&serde_json::to_vec(self).map_err(JsonError::Shape)?))
    }
}

/// A member that may be absent, and may not be null.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    String::deserialize(d).map(Some)
}

/// How deep a member may be nested.
const DEEPEST: u32 = 16;

fn deeper_than(levels: u32, value: &Value) -> bool {
    let Some(left) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(left, item)),
        Value::Object(members) => members.values().any(|member| deeper_than(left, member)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJtZXRob2QiOiJ0ZW1wbyIsInJlZmVyZW5jZSI6IjB4MTIzNCIsInN0YXR1cyI6InN1Y2Nlc3MiLCJ0aW1lc3RhbXAiOiIyMDI1LTAxLTIxVDEyOjAwOjAwLjAwMFoifQ";

    #[test]
    fn a_receipt_of_a_deployed_peer_round_trips() {
        let r = Receipt::from_token(TOKEN).unwrap();
        assert_eq!(
            (r.method.as_str(), &*r.reference, r.timestamp.as_str()),
            ("tempo", "0x1234", "2025-01-21T12:00:00.000Z")
        );
        assert_eq!(r.to_token().unwrap(), TOKEN);
    }

    #[test]
    fn unknown_members_are_kept() {
        let json = r#"{"method":"t","reference":"","status":"success","timestamp":"2026-01-01T00:00:00Z","spent":"7","list":[1]}"#;
        let r = Receipt::from_token(&encoded::encode(json.as_bytes())).unwrap();
        assert_eq!(r.extra["spent"], "7");
        assert_eq!(Receipt::from_token(&r.to_token().unwrap()).unwrap(), r);
    }

    #[test]
    fn what_is_nested_deeper_than_sixteen_is_no_receipt() {
        let read = |deep: String| {
            let json = r#"{"method":"t","reference":"","status":"success","timestamp":"2026-01-01T00:00:00Z","a":1,"deep":DEEP}"#;
            Receipt::from_token(&encoded::encode(json.replace("DEEP", &deep).as_bytes()))
        };
        let of = |open: &str, inner: &str, close: &str, levels: usize| {
            format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
        };
        for levels in [1, 15, 16, 17, 18, 100, 127, 128, 5000] {
            for deep in [of("[", "", "]", levels), of("{\"a\":", "{}", "}", levels - 1)] {
                assert_eq!(read(deep).is_ok(), levels <= 16, "{levels}");
            }
        }
        assert!(read(of("[0,", "[]", ",[]]", 15)).is_ok());
        assert!(read(of("[0,", "[]", ",[[]]]", 16)).is_err());
    }

    #[test]
    fn what_is_not_a_success_is_no_receipt() {
        for bad in [
            r#"{"method":"t","reference":"","status":"failed","timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"method":"t","reference":"","status":"Success","timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"reference":"","status":"success","timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"method":"t","status":"success","timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"method":"t","reference":"","status":"success","timestamp":"now"}"#,
            r#"{"method":"t","reference":5,"status":"success","timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"method":"t","reference":"","status":"success","timestamp":"2026-01-01T00:00:00Z","externalId":null}"#,
            r#"{"method":"t","reference":"a","reference":"b","status":"success","timestamp":"2026-01-01T00:00:00Z"}"#,
            "[]",
        ] {
            assert!(Receipt::from_token(&encoded::encode(bad.as_bytes())).is_err(), "{bad}");
        }
    }
}
