//! What of an invoice or a subscription must be as agreed: each member that is not is found.

use std::num::NonZeroU64;

use mpp_core::{agreement::Cadence, intent::PeriodUnit};
use serde_json::{Value, json};

use super::{
    contract::{Contract, interval},
    invoice::{Agreed, Invoice},
};
use crate::Currency;

const SPAN: (i64, i64) = (1_768_478_590, 1_769_083_390);

fn agreed() -> Agreed<'static> {
    Agreed { subscription: "sub_1", customer: "cus_1", amount: 5000, currency: Currency::USD }
}

fn weekly() -> Cadence {
    Cadence { unit: PeriodUnit::Week, count: NonZeroU64::MIN }
}

/// The first invoice of a subscription, in the members that Stripe publishes.
fn paid() -> Value {
    let text = r#"{
        "id": "in_1", "object": "invoice", "status": "paid", "customer": "cus_1", "currency": "usd",
        "billing_reason": "subscription_create", "collection_method": "charge_automatically",
        "subtotal": 5000, "total": 5000, "amount_due": 5000, "amount_paid": 5000, "amount_remaining": 0,
        "amount_overpaid": 0, "amount_shipping": 0, "starting_balance": 0, "ending_balance": 0,
        "pre_payment_credit_notes_amount": 0, "post_payment_credit_notes_amount": 0, "discounts": [],
        "total_discount_amounts": [], "total_taxes": null, "total_pretax_credit_amounts": [],
        "automatic_tax": { "enabled": false },
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": "sub_1" } },
        "lines": { "has_more": false, "data": [{
            "amount": 5000, "currency": "usd", "quantity": 1, "discount_amounts": [], "discounts": [], "taxes": [],
            "pretax_credit_amounts": null, "period": { "start": START, "end": END },
            "parent": {
                "type": "subscription_item_details",
                "subscription_item_details": { "proration": false, "subscription": "sub_1", "subscription_item": "si_1" }
            }
        }] }
    }"#;
    let text = text.replace("START", &SPAN.0.to_string()).replace("END", &SPAN.1.to_string());
    serde_json::from_str(&text).unwrap()
}

fn contract() -> Value {
    json!({
        "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "billing_cycle_anchor": SPAN.0,
        "collection_method": "charge_automatically", "discounts": [], "default_tax_rates": [], "trial_end": null,
        "schedule": null, "pause_collection": null, "pending_update": null, "pending_invoice_item_interval": null,
        "billing_schedules": [], "automatic_tax": { "enabled": false }, "metadata": { "mpp_terms": "5000 usd 1 week" },
        "items": { "has_more": false, "data": [{
            "quantity": 1, "discounts": [], "tax_rates": [], "current_period_end": SPAN.1,
            "price": {
                "id": "price_1", "unit_amount": 5000, "currency": "usd", "billing_scheme": "per_unit",
                "transform_quantity": null,
                "recurring": { "interval": "week", "interval_count": 1, "usage_type": "licensed", "meter": null },
            },
        }] },
    })
}

/// An object with another value at a path.
fn with(mut object: Value, path: &str, value: Value) -> Value {
    *object.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
    object
}

#[test]
fn the_invoice_that_was_agreed_is_fit_whether_ids_are_expanded_or_not() {
    let fit = |body: Value| Invoice::read(body).unwrap().unfit(&agreed(), SPAN);
    assert_eq!(fit(paid()), None);
    assert_eq!(fit(with(paid(), "/customer", json!({ "id": "cus_1" }))), None);
    let path = "/parent/subscription_details/subscription";
    assert_eq!(fit(with(paid(), path, json!({ "id": "sub_1" }))), None);
    assert_eq!(fit(with(paid(), "/total_taxes", json!([{ "amount": 0 }]))), None);
}

#[test]
fn whatever_of_an_invoice_is_not_as_agreed_makes_it_unfit() {
    for (path, value) in [
        ("/status", json!("open")),
        ("/customer", json!("cus_2")),
        ("/customer", Value::Null),
        ("/currency", json!("eur")),
        ("/collection_method", json!("send_invoice")),
        ("/subtotal", json!(5100)),
        ("/total", json!(4999)),
        ("/total", json!("5000")),
        ("/amount_due", json!(4000)),
        ("/amount_paid", json!(4999)),
        ("/amount_paid", json!(0)),
        ("/amount_remaining", json!(1)),
        ("/amount_overpaid", json!(1)),
        ("/amount_shipping", json!(1)),
        ("/starting_balance", json!(-1000)),
        ("/ending_balance", json!(5)),
        ("/pre_payment_credit_notes_amount", json!(1)),
        ("/post_payment_credit_notes_amount", json!(5000)),
        ("/discounts", json!(["di_1"])),
        ("/total_discount_amounts", json!([{ "amount": 100 }])),
        ("/total_taxes", json!([{ "amount": 400 }])),
        ("/total_pretax_credit_amounts", json!([{ "amount": 400 }])),
        ("/automatic_tax/enabled", json!(true)),
        ("/parent/type", json!("quote_details")),
        ("/parent/subscription_details/subscription", json!("sub_2")),
        ("/parent", Value::Null),
        ("/lines/data", json!([])),
        ("/lines/has_more", json!(true)),
        ("/lines/data", json!([paid()["lines"]["data"][0], paid()["lines"]["data"][0]])),
        ("/lines/data/0/amount", json!(4999)),
        ("/lines/data/0/currency", json!("eur")),
        ("/lines/data/0/quantity", json!(2)),
        ("/lines/data/0/discounts", json!(["di_1"])),
        ("/lines/data/0/discount_amounts", json!([{ "amount": 1 }])),
        ("/lines/data/0/taxes", json!([{ "amount": 1 }])),
        ("/lines/data/0/pretax_credit_amounts", json!([{ "amount": 1 }])),
        ("/lines/data/0/parent/type", json!("invoice_item_details")),
        ("/lines/data/0/parent/subscription_item_details/proration", json!(true)),
        ("/lines/data/0/parent/subscription_item_details/subscription", json!("sub_2")),
        ("/lines/data/0/period/start", json!(SPAN.0 + 1)),
        ("/lines/data/0/period/end", json!(SPAN.1 + 1)),
        ("/lines/data/0/period/end", Value::Null),
    ] {
        let invoice = Invoice::read(with(paid(), path, value.clone())).unwrap();
        assert!(invoice.unfit(&agreed(), SPAN).is_some(), "{path} {value}");
    }
    let invoice = Invoice::read(paid()).unwrap();
    assert!(invoice.unfit(&agreed(), (SPAN.0, SPAN.1 + 604_800)).is_some());
}

#[test]
fn what_is_no_invoice_is_not_read() {
    for (path, value) in [
        ("/id", json!("pi_1")),
        ("/id", json!("in_../../x")),
        ("/id", Value::Null),
        ("/status", json!("deleted")),
        ("/status", Value::Null),
    ] {
        assert!(Invoice::read(with(paid(), path, value.clone())).is_none(), "{path} {value}");
    }
    for body in [json!([]), json!({}), json!("in_1"), Value::Null] {
        assert!(Invoice::read(body.clone()).is_none() && Contract::read(body).is_none());
    }
}

#[test]
fn whatever_of_a_subscription_is_broader_than_agreed_makes_it_unfit() {
    let unfit = |body: Value| Contract::read(body).unwrap().unfit(&agreed(), &weekly());
    assert_eq!(unfit(contract()), None);
    for (path, value) in [
        ("/id", json!("sub_2")),
        ("/customer", json!("cus_2")),
        ("/collection_method", json!("send_invoice")),
        ("/trial_end", json!(SPAN.1)),
        ("/schedule", json!("sub_sched_1")),
        ("/pause_collection", json!({ "behavior": "void" })),
        ("/pending_update", json!({ "expires_at": 1 })),
        ("/pending_invoice_item_interval", json!({ "interval": "day" })),
        ("/discounts", json!(["di_1"])),
        ("/default_tax_rates", json!([{ "id": "txr_1" }])),
        ("/automatic_tax/enabled", json!(true)),
        ("/items/has_more", json!(true)),
        ("/items/data", json!([])),
        ("/items/data/0/quantity", json!(2)),
        ("/items/data/0/discounts", json!(["di_1"])),
        ("/items/data/0/tax_rates", json!([{ "id": "txr_1" }])),
        ("/items/data/0/price/unit_amount", json!(4999)),
        ("/items/data/0/price/currency", json!("eur")),
        ("/items/data/0/price/billing_scheme", json!("tiered")),
        ("/items/data/0/price/transform_quantity", json!({ "divide_by": 2 })),
        ("/items/data/0/price/recurring/interval", json!("month")),
        ("/items/data/0/price/recurring/interval_count", json!(2)),
        ("/items/data/0/price/recurring/usage_type", json!("metered")),
        ("/items/data/0/price/recurring/meter", json!("mtr_1")),
        ("/items/data/0/price/recurring", Value::Null),
    ] {
        assert!(unfit(with(contract(), path, value.clone())).is_some(), "{path} {value}");
    }
}

#[test]
fn what_was_agreed_is_read_back_from_the_metadata_or_not_at_all() {
    let noted = |text: &str| {
        Contract::read(with(contract(), "/metadata/mpp_terms", json!(text))).unwrap().noted()
    };
    let read = noted("5000 usd 1 week").unwrap();
    assert_eq!((read.amount, read.currency, read.cadence), (5000, Currency::USD, weekly()));
    assert_eq!(read.text().as_deref(), Some("5000 usd 1 week"));
    for bad in [
        "",
        "5000",
        "5000 usd",
        "5000 usd 1",
        "5000 usd 1 year",
        "0 usd 1 week",
        "-1 usd 1 week",
        "5000 USD 1 week",
        "5000 usd 0 week",
        "5000 usd 1 week more",
    ] {
        assert!(noted(bad).is_none(), "{bad}");
    }
}

#[test]
fn no_period_is_longer_than_three_years() {
    for (unit, most) in [(PeriodUnit::Day, 1095), (PeriodUnit::Week, 156), (PeriodUnit::Month, 36)]
    {
        let of = |count| interval(&Cadence { unit, count: NonZeroU64::new(count).unwrap() });
        assert_eq!(of(most).map(|(_, count)| count), Some(most));
        assert!(of(most + 1).is_none() && of(u64::MAX).is_none());
    }
}
