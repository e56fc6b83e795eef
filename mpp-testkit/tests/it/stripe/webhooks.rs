//! Events, as they are posted to a webhook endpoint.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;

use super::{Seller, billing::subscribed, charge};

type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// An endpoint that hears signatures and bodies, and answers each with the next status of a script; then with 200.
async fn endpoint(mut script: Vec<u16>) -> (String, Heard) {
    script.reverse();
    let (script, heard) = (Arc::new(Mutex::new(script)), Heard::default());
    let hears = heard.clone();
    let hear = async move |headers: HeaderMap, body: String| {
        let signature = headers["stripe-signature"].to_str().expect("a text").to_owned();
        hears.lock().expect("no panic").push((signature, body));
        let status = script.lock().expect("no panic").pop().unwrap_or(200);
        StatusCode::from_u16(status).expect("a status")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let app = Router::new().route("/hook", post(hear));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, heard)
}

#[tokio::test]
async fn every_event_is_delivered_signed_until_it_is_taken() {
    let seller = Seller::new().await;
    let (url, heard) = endpoint(vec![200, 500]).await;
    for card in ["pm_card_visa", "pm_card_chargeDeclined"] {
        seller.post("payment_intents", &charge(&seller.token(card))).await;
    }
    assert_eq!(seller.stripe.deliver(&url).await.unwrap(), 1);
    assert_eq!(seller.stripe.deliver(&url).await.unwrap(), 1);
    assert_eq!(seller.stripe.deliver(&url).await.unwrap(), 0);
    assert_eq!(seller.stripe.deliver_again(&url).await.unwrap(), 2);
    let heard = heard.lock().unwrap().clone();
    let types = Vec::from_iter(heard.iter().map(|(_, body)| {
        serde_json::from_str::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned()
    }));
    let (good, bad) = ("payment_intent.succeeded", "payment_intent.payment_failed");
    assert_eq!(types, [good, bad, bad, good, bad]);
    for (signature, body) in heard {
        let at = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap();
        assert_eq!(signature, seller.stripe.sign(&body, at.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_subscription_tells_its_life() {
    let seller = Seller::new().await;
    let (_, made) = subscribed(&seller, "pm_card_visa").await;
    seller.stripe.advance(Duration::from_secs(90_000));
    seller.delete(&format!("subscriptions/{}", made.text("/id"))).await;
    let events = seller.stripe.events();
    let types = Vec::from_iter(events.iter().map(|event| event["type"].as_str().unwrap()));
    assert_eq!(
        types,
        [
            "invoice.created",
            "invoice.finalized",
            "payment_intent.succeeded",
            "invoice.paid",
            "customer.subscription.created",
            "invoice.created",
            "customer.subscription.updated",
            "invoice.finalized",
            "payment_intent.succeeded",
            "invoice.paid",
            "customer.subscription.deleted",
        ]
    );
    assert_eq!(events[4]["data"]["object"]["status"], "active");
    assert!(events[4]["request"]["id"].as_str().unwrap().starts_with("req_"));
    assert!(events[7]["request"]["id"].is_null());
}
