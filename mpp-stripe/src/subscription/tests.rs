//! Shapes on the wire: the vectors of the draft and of the reference, and what is no payload.

use mpp_core::{
    Challenge, Draft, Encoded, Method, Receipt, Request, binding::challenge_id, intent::Intent,
};
use serde_json::{Value, json};

use super::*;

const REQUEST: &str = "eyJhbW91bnQiOiIyOTk5IiwiY3VycmVuY3kiOiJ1c2QiLCJtZXRob2REZXRhaWxzIjp7Im5ldHdvcmtJZCI6InByb2ZpbGVfMSIsInBheW1lbnRNZXRob2RUeXBlcyI6WyJjYXJkIl19LCJwZXJpb2RDb3VudCI6IjEiLCJwZXJpb2RVbml0IjoibW9udGgifQ";
const ID: &str = "1jBu9USZiTKr4hhgUPk-GmL8ZIY9pZERuUoSYNWv02E";

fn request(json: &Value) -> serde_json::Result<Request<StripeSubscription>> {
    serde_json::from_value(json.clone())
}

#[test]
fn the_request_and_the_id_of_the_reference_are_ours() {
    let details = Details {
        network_id: "profile_1".into(),
        payment_method_types: vec!["card".into()],
        metadata: None,
    };
    let plan = "29.99 usd per month".parse::<mpp_core::intent::Plan>().unwrap();
    let amount = plan.per_period.in_unit("usd", 2).unwrap();
    let terms = mpp_core::intent::SubscriptionTerms::of(&plan, amount, "usd");
    let asked: Request<StripeSubscription> =
        Request { terms, details: Nested { method_details: details } };
    let encoded = Encoded::of(&asked).unwrap();
    assert_eq!(encoded.as_str(), REQUEST);
    let draft = Draft {
        realm: "api.example.com".parse().unwrap(),
        method: StripeSubscription::NAME,
        intent: Subscription::NAME,
        request: encoded,
        expires: Some("2025-01-15T12:05:00Z".parse().unwrap()),
        digest: None,
        header: None,
        description: None,
        opaque: None,
    };
    let id = challenge_id(b"test-vector-secret", &draft);
    assert_eq!(id.as_str(), ID);
    let read = Challenge::received(id, draft);
    assert_eq!(read.read::<StripeSubscription>().unwrap().request.terms.amount, amount);
}

#[test]
fn the_receipt_of_the_draft_is_read_and_names_the_subscription() {
    let json = json!({
        "method": "stripe", "reference": "in_1QabdK2eZvKYlo2C0L9n4321", "status": "success",
        "subscriptionId": "c3ViX3N0cmlwZV8wMQ", "stripeSubscription": "sub_1Qabd52eZvKYlo2CgP0Lm789",
        "timestamp": "2026-01-15T12:03:10Z"
    });
    let receipt: Receipt = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(receipt.extra["subscriptionId"], "c3ViX3N0cmlwZV8wMQ");
    assert_eq!(serde_json::to_value(&receipt).unwrap(), json);
}

#[test]
fn a_year_is_no_unit_and_the_drafts_example_of_one_cannot_be_read() {
    let of = |unit: &str| {
        request(&json!({
            "amount": "5000", "currency": "usd", "periodUnit": unit, "periodCount": "1",
            "methodDetails": { "networkId": "profile_1", "paymentMethodTypes": ["card"] }
        }))
    };
    assert!(of("week").is_ok());
    assert!(of("year").is_err());
}

#[test]
fn ids_that_could_mean_something_in_a_path_are_no_payload() {
    let read = |json: Value| serde_json::from_value::<Payload>(json);
    let draft =
        json!({ "paymentMethod": "pm_1Qabc32eZvKYlo2C7b8H1234", "customer": "cus_S7x1Pq5R9n2Lm4" });
    let payload = read(draft.clone()).unwrap();
    assert_eq!(format!("{payload:?}"), "Payload(..)");
    assert_eq!(serde_json::to_value(&payload).unwrap(), draft);
    for bad in ["", "pm_", "cus_1", "card_1", "pm_a/../b", "pm_a?b", "pm_a b", "PM_a"] {
        assert!(read(json!({ "paymentMethod": bad })).is_err(), "{bad}");
    }
    for bad in ["", "cus_", "pm_1", "cus_a/b", "cus_a&b"] {
        assert!(read(json!({ "paymentMethod": "pm_1", "customer": bad })).is_err(), "{bad}");
    }
}
