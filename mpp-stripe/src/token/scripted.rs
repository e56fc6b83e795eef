//! Challenges as tests need them: the one of the published vectors, and what a test makes of it.

use mpp_core::{
    Challenge, Draft, Encoded, Method, Realm, Timestamp,
    binding::Keys,
    intent::{Charge, Intent},
};
use serde_json::{Value, json};

use crate::StripeCharge;

pub(crate) const SECRET: &str = "test-secret-key-test-secret-key-32";
pub(crate) const PROFILE: &str = "profile_1MqDcVKA5fEO2tZvKQm9g8Yj";
/// The end of [`vector`], in Unix seconds.
pub(crate) const END: i64 = 4_070_908_800;

/// The request of the vectors.
pub(crate) fn request() -> Value {
    json!({
        "amount": "5000", "currency": "usd", "externalId": "order-1",
        "methodDetails": {
            "metadata": { "plan": "pro" }, "networkId": PROFILE, "paymentMethodTypes": ["card"],
        },
    })
}

/// The challenge that mppx 0.11 makes of it.
pub(crate) fn vector() -> Challenge {
    asking(&request(), Some("2099-01-01T00:00:00.000Z"))
}

/// A challenge of any request.
pub(crate) fn asking(request: &Value, expires: Option<&str>) -> Challenge {
    Keys::new(SECRET).unwrap().seal(Draft {
        realm: Realm::parse("api.example.com").unwrap(),
        method: StripeCharge::NAME,
        intent: Charge::NAME,
        request: Encoded::of(request).unwrap(),
        expires: expires.map(|end| Timestamp::parse(end).unwrap()),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

/// The request with one member changed: a pointer, and what stands there instead. `null` takes it out.
pub(crate) fn with(pointer: &str, value: Value) -> Value {
    let mut request = request();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = request.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    request
}
