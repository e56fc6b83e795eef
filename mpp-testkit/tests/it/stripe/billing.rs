//! Subscriptions, their invoices, and renewals by the simulator's clock.

use std::time::Duration;

use serde_json::Value;

use super::{Seller, Told};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A customer's card, by its id.
async fn customer(seller: &Seller, card: &str) -> (String, String) {
    let customer =
        seller.post("customers", &[("email", "a@example.com")]).await.text("/id").to_owned();
    let path = format!("payment_methods/{card}/attach");
    let method = seller.post(&path, &[("customer", &customer)]).await;
    assert_eq!(method.text("/customer"), customer);
    (customer, method.text("/id").to_owned())
}

async fn subscribe(seller: &Seller, customer: &str, method: &str, more: &[(&str, &str)]) -> Told {
    let price = [
        ("currency", "usd"),
        ("unit_amount", "1000"),
        ("recurring[interval]", "day"),
        ("product_data[name]", "Jokes"),
    ];
    let price = seller.post("prices", &price).await;
    let mut form = vec![
        ("customer", customer),
        ("items[0][price]", price.text("/id")),
        ("items[0][quantity]", "1"),
        ("default_payment_method", method),
        ("collection_method", "charge_automatically"),
        ("payment_behavior", "error_if_incomplete"),
        ("proration_behavior", "none"),
        ("expand[]", "latest_invoice.payments"),
    ];
    form.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
    form.extend(more);
    seller.post("subscriptions", &form).await
}

/// A customer with a subscription for 10.00 usd a day.
pub(crate) async fn subscribed(seller: &Seller, card: &str) -> (String, Told) {
    let (customer, method) = customer(seller, card).await;
    let subscription = subscribe(seller, &customer, &method, &[]).await;
    assert_eq!(subscription.status, 200, "{subscription:?}");
    (customer, subscription)
}

async fn invoices(seller: &Seller, subscription: &Told) -> Vec<Value> {
    let listed = seller.get("invoices", &[("subscription", subscription.text("/id"))]).await;
    listed.body["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_subscription_is_paid_for_when_it_is_made() {
    let seller = Seller::new().await;
    let (customer, made) = subscribed(&seller, "pm_card_visa").await;
    assert_eq!(made.text("/status"), "active");
    let item = &made.body["items"]["data"][0];
    let invoice = &made.body["latest_invoice"];
    assert_eq!(invoice["status"], "paid");
    assert_eq!(invoice["amount_paid"], 1_000);
    assert_eq!(invoice["customer"], customer);
    assert_eq!(invoice["parent"]["subscription_details"]["subscription"], made.body["id"]);
    let line = &invoice["lines"]["data"][0];
    assert_eq!(line["period"]["start"], item["current_period_start"]);
    assert_eq!(line["period"]["end"], item["current_period_end"]);
    let payment = &invoice["payments"]["data"][0];
    assert_eq!(payment["status"], "paid");
    let intent = payment["payment"]["payment_intent"].as_str().unwrap();
    let intent = seller.get(&format!("payment_intents/{intent}"), &[]).await;
    assert_eq!(
        (intent.text("/status"), intent.text("/customer")),
        ("succeeded", customer.as_str())
    );
}

#[tokio::test]
async fn what_cannot_be_paid_for_is_not_made() {
    let seller = Seller::new().await;
    let (customer, method) = customer(&seller, "pm_card_chargeCustomerFail").await;
    let told = subscribe(&seller, &customer, &method, &[]).await;
    assert_eq!((told.status, told.code()), (402, "card_declined"));
    let told = subscribe(&seller, &customer, "pm_card_visa", &[]).await;
    assert_eq!((told.status, told.code()), (400, "resource_missing"));
    let told = subscribe(&seller, &customer, &method, &[("trial_period_days", "3")]).await;
    assert_eq!(told.code(), "parameter_unknown");
    assert!(seller.stripe.objects("subscription").is_empty());
    assert!(seller.stripe.payment_intents().is_empty());

    let told =
        subscribe(&seller, &customer, &method, &[("payment_behavior", "allow_incomplete")]).await;
    assert_eq!(told.text("/status"), "incomplete");
    assert_eq!(told.text("/latest_invoice/status"), "open");
    seller.stripe.advance(DAY);
    assert_eq!(seller.stripe.objects("subscription")[0]["status"], "incomplete_expired");
}

#[tokio::test]
async fn a_card_that_is_declined_is_not_attached() {
    let seller = Seller::new().await;
    let customer = seller.post("customers", &[]).await;
    let form = [("customer", customer.text("/id"))];
    let told = seller.post("payment_methods/pm_card_chargeDeclined/attach", &form).await;
    assert_eq!((told.status, told.code()), (402, "card_declined"));
    assert!(seller.stripe.objects("payment_method").is_empty());
}

#[tokio::test]
async fn a_renewal_is_a_draft_for_an_hour_and_then_collected() {
    let seller = Seller::new().await;
    let (_, made) = subscribed(&seller, "pm_card_visa").await;
    seller.stripe.advance(DAY);
    let renewal = invoices(&seller, &made).await.remove(0);
    assert_eq!(
        (&renewal["status"], &renewal["billing_reason"]),
        (&"draft".into(), &"subscription_cycle".into())
    );
    let first_end = made.body["items"]["data"][0]["current_period_end"].clone();
    assert_eq!(renewal["lines"]["data"][0]["period"]["start"], first_end);
    assert_eq!(renewal["period_end"], first_end);
    assert_eq!(renewal["period_start"], made.body["items"]["data"][0]["current_period_start"]);
    seller.stripe.advance(HOUR);
    assert_eq!(invoices(&seller, &made).await[0]["status"], "paid");
    seller.stripe.advance(DAY * 3);
    let all = invoices(&seller, &made).await;
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|invoice| invoice["status"] == "paid"));
    assert_eq!(seller.stripe.payment_intents().len(), 5);
}

#[tokio::test]
async fn a_renewal_that_is_declined_stays_open_until_it_is_paid() {
    let seller = Seller::new().await;
    let (customer, made) = subscribed(&seller, "pm_card_visa").await;
    let path = format!("subscriptions/{}", made.text("/id"));
    let attach = [("customer", customer.as_str())];
    let bad = seller.post("payment_methods/pm_card_chargeCustomerFail/attach", &attach).await;
    let good = seller.post("payment_methods/pm_card_visa/attach", &attach).await;
    seller.post(&path, &[("default_payment_method", bad.text("/id"))]).await;
    seller.stripe.advance(DAY + HOUR);
    let open = invoices(&seller, &made).await.remove(0);
    assert_eq!((&open["status"], &open["attempt_count"]), (&"open".into(), &1.into()));
    assert_eq!(seller.get(&path, &[]).await.text("/status"), "past_due");

    let pay = format!("invoices/{}/pay", open["id"].as_str().unwrap());
    assert_eq!(seller.post(&pay, &[]).await.code(), "card_declined");
    let paid = seller.post(&pay, &[("payment_method", good.text("/id"))]).await;
    assert_eq!((paid.text("/status"), &paid.body["attempt_count"]), ("paid", &3.into()));
    assert_eq!(seller.get(&path, &[]).await.text("/status"), "active");
    assert_eq!(seller.post(&pay, &[]).await.code(), "invoice_already_paid");
    assert_eq!(seller.stripe.payment_intents().len(), 2);
}

#[tokio::test]
async fn a_renewal_whose_payment_is_processing_is_not_paid_twice() {
    let seller = Seller::new().await;
    let (customer, made) = subscribed(&seller, "pm_card_visa").await;
    let path = format!("subscriptions/{}", made.text("/id"));
    let slow =
        seller.post("payment_methods/pm_card_processing/attach", &[("customer", &customer)]).await;
    seller.post(&path, &[("default_payment_method", slow.text("/id"))]).await;
    seller.stripe.advance(DAY + HOUR);
    let open = invoices(&seller, &made).await.remove(0);
    assert_eq!(open["status"], "open");
    let pay = format!("invoices/{}/pay", open["id"].as_str().unwrap());
    assert_eq!(seller.post(&pay, &[]).await.code(), "invoice_payment_intent_processing");
    let intent = seller.stripe.payment_intents().pop().unwrap();
    seller.stripe.conclude(intent["id"].as_str().unwrap(), true).unwrap();
    assert_eq!(invoices(&seller, &made).await[0]["status"], "paid");
}

#[tokio::test]
async fn a_cancelled_subscription_is_not_renewed() {
    let seller = Seller::new().await;
    let (_, made) = subscribed(&seller, "pm_card_visa").await;
    let path = format!("subscriptions/{}", made.text("/id"));
    let ending = seller.post(&path, &[("cancel_at_period_end", "true")]).await;
    assert_eq!(
        (ending.text("/status"), &ending.body["cancel_at_period_end"]),
        ("active", &true.into())
    );
    seller.stripe.advance(DAY * 2);
    assert_eq!(seller.get(&path, &[]).await.text("/status"), "canceled");
    assert_eq!(invoices(&seller, &made).await.len(), 1);
    assert_eq!(seller.delete(&path).await.status, 404);

    let (_, other) = subscribed(&seller, "pm_card_visa").await;
    let path = format!("subscriptions/{}", other.text("/id"));
    assert_eq!(seller.delete(&path).await.text("/status"), "canceled");
    seller.stripe.advance(DAY * 2);
    assert_eq!(invoices(&seller, &other).await.len(), 1);
}

#[tokio::test]
async fn an_invoice_can_be_voided_or_given_up() {
    let seller = Seller::new().await;
    let (customer, made) = subscribed(&seller, "pm_card_visa").await;
    let bad = seller
        .post("payment_methods/pm_card_chargeCustomerFail/attach", &[("customer", &customer)])
        .await;
    let path = format!("subscriptions/{}", made.text("/id"));
    seller.post(&path, &[("default_payment_method", bad.text("/id"))]).await;
    for (act, status) in [("void", "void"), ("mark_uncollectible", "uncollectible")] {
        seller.stripe.advance(DAY + HOUR);
        let open = invoices(&seller, &made).await.remove(0);
        let path = format!("invoices/{}", open["id"].as_str().unwrap());
        assert_eq!(seller.post(&format!("{path}/{act}"), &[]).await.text("/status"), status);
        assert_eq!(seller.post(&format!("{path}/finalize"), &[]).await.status, 400);
    }
}

#[tokio::test]
async fn a_price_is_found_by_its_lookup_key() {
    let seller = Seller::new().await;
    let form = [
        ("currency", "usd"),
        ("unit_amount", "1000"),
        ("recurring[interval]", "month"),
        ("product_data[name]", "Jokes"),
        ("lookup_key", "jokes"),
    ];
    let price = seller.post("prices", &form).await;
    assert_eq!(seller.post("prices", &form).await.status, 400);
    let found = seller.get("prices", &[("lookup_keys[]", "jokes")]).await;
    assert_eq!(found.body["data"][0]["id"], price.body["id"]);
    let none = seller.get("prices", &[("lookup_keys[]", "other")]).await;
    assert_eq!(none.body["data"], Value::Array(Vec::new()));
}
