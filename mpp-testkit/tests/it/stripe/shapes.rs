//! Every object has exactly the members that Stripe publishes, of the types that it publishes.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

use super::{Seller, billing::subscribed, charge};

/// The shapes of all kinds, as they were derived.
fn shapes() -> Map<String, Value> {
    let text = include_str!("../../../src/stripe/shapes.json");
    let read: Value = serde_json::from_str(text).expect("JSON");
    read["objects"].as_object().expect("an object").clone()
}

/// What differs between an object and its kind's shape.
fn differences(shapes: &Map<String, Value>, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    read_object(shapes, object, &mut found);
    found
}

/// An object that names its kind is read by that; another within one, by the shape that it stands in.
fn read_object(shapes: &Map<String, Value>, value: &Value, found: &mut Vec<String>) {
    let kind = value["object"].as_str().unwrap_or_default();
    if kind == "list" {
        let names =
            BTreeSet::from_iter(value.as_object().expect("an object").keys().map(String::as_str));
        if names != BTreeSet::from(["object", "data", "has_more", "url"]) {
            found.push(format!("a list has {names:?}"));
        }
        value["data"]
            .as_array()
            .expect("a list")
            .iter()
            .for_each(|value| read_object(shapes, value, found));
        return;
    }
    match shapes.get(kind).and_then(Value::as_object) {
        Some(shape) => members(shapes, kind, shape, "", value, found),
        None => found.push(format!("no shape of {kind:?}")),
    }
}

fn members(
    shapes: &Map<String, Value>,
    kind: &str,
    shape: &Map<String, Value>,
    prefix: &str,
    object: &Value,
    found: &mut Vec<String>,
) {
    let object = object.as_object().expect("an object");
    for (name, value) in object {
        let path = format!("{prefix}{name}");
        let Some(types) = shape.get(&path).and_then(Value::as_str) else {
            found.push(format!("{kind}.{path} is not published"));
            continue;
        };
        let is = type_of(value);
        if !types.trim_end_matches('?').split('|').any(|published| published == is) {
            found.push(format!("{kind}.{path} is {is}, and not {types}"));
        }
        let nested = format!("{path}.");
        if value["object"].is_string() {
            read_object(shapes, value, found);
        } else if value.is_object() && shape.keys().any(|known| known.starts_with(&nested)) {
            members(shapes, kind, shape, &nested, value, found);
        }
    }
    for (path, types) in shape {
        let here = path.strip_prefix(prefix).filter(|name| !name.contains('.'));
        let required = !types.as_str().is_some_and(|types| types.ends_with('?'));
        if let Some(name) = here.filter(|_| required)
            && !object.contains_key(name)
        {
            found.push(format!("{kind}.{path} is missing"));
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[tokio::test]
async fn every_object_has_exactly_the_published_members_and_types() {
    let seller = Seller::new().await;
    let shapes = shapes();
    let (_, subscription) = subscribed(&seller, "pm_card_visa").await;
    for card in [
        "pm_card_visa",
        "pm_card_processing",
        "pm_card_authenticationRequired",
        "pm_card_chargeDeclined",
    ] {
        seller.post("payment_intents", &charge(&seller.token(card))).await;
    }
    let token = seller.token("pm_card_visa");
    let mut rich = Vec::from(charge(&token));
    rich.extend([
        ("application_fee_amount", "100"),
        ("transfer_data[destination]", "acct_1"),
        ("transfer_data[amount]", "10"),
        ("hooks[inputs][tax][calculation]", "taxcalc_1"),
        ("description", "<b>joke</b>"),
        ("receipt_email", "a@example.com"),
    ]);
    let paid = seller.post("payment_intents", &rich).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    seller.post("refunds", &[("payment_intent", paid.text("/id")), ("amount", "100")]).await;
    let issue = [
        ("payment_method", "pm_card_visa"),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "5000"),
        ("seller_details[network_business_profile]", "profile_1"),
        ("shared_metadata[k]", "v"),
    ];
    assert_eq!(seller.post("shared_payment/issued_tokens", &issue).await.status, 200);
    seller.stripe.advance(Duration::from_secs(33 * 86_400));
    let path = format!("subscriptions/{}", subscription.text("/id"));
    let expanded = seller
        .get(&path, &[("expand[]", "latest_invoice.payments"), ("expand[]", "customer")])
        .await;
    assert_eq!(differences(&shapes, &expanded.body), [""; 0]);
    seller.delete(&path).await;

    let mut seen = BTreeSet::new();
    for kind in shapes.keys().chain([&"event".to_owned()]) {
        for object in seller.stripe.objects(kind) {
            assert_eq!(differences(&shapes, &object), [""; 0], "{object}");
            seen.insert(kind.clone());
            if kind == "event" {
                assert_eq!(differences(&shapes, &object["data"]["object"]), [""; 0]);
            }
        }
    }
    let within = BTreeSet::from(["plan", "subscription_item", "line_item"].map(str::to_owned));
    assert_eq!(BTreeSet::from_iter(shapes.keys().cloned()), &seen | &within);
}

#[tokio::test]
async fn a_member_more_or_less_is_seen() {
    let seller = Seller::new().await;
    let shapes = shapes();
    let paid = seller.post("payment_intents", &charge(&seller.token("pm_card_visa"))).await.body;
    for (change, what) in [
        ((|value| drop(value["latest_charge"].take())) as fn(&mut Value), None),
        (
            |value| value["amount"] = "5000".into(),
            Some("payment_intent.amount is string, and not integer"),
        ),
        (|value| value["charges"] = Value::Null, Some("payment_intent.charges is not published")),
        (
            |value| drop(value.as_object_mut().unwrap().remove("status")),
            Some("payment_intent.status is missing"),
        ),
    ] {
        let mut changed = paid.clone();
        change(&mut changed);
        assert_eq!(differences(&shapes, &changed), Vec::from_iter(what));
    }
}
