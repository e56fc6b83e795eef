//! Webhooks: twice, late, out of order and forged, and what each of them is worth.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use mpp_core::{
    agreement::Recorded,
    renewer::{Notice, Renewer, Said},
    verifier::Verifier,
};
use mpp_stripe::webhook::{BadSignature, Webhook, WebhookError, WebhookSecret};
use serde_json::{Value, json};

use super::stage::{DAY, Now, Stage, VISA, WEEK, period, settled};

fn webhook(stage: &Stage) -> Webhook {
    let secret = WebhookSecret::new(stage.sim.webhook_secret()).unwrap();
    Webhook::new(secret, stage.shop.clone()).clock(Arc::new(Now(stage.sim.clone())))
}

async fn heard(stage: &Stage, event: &Value) -> Result<Option<Notice>, WebhookError> {
    let body = event.to_string();
    webhook(stage).read(&stage.sim.sign(&body, stage.sim.now()), body.as_bytes()).await
}

/// The events of a type, in order.
fn events(stage: &Stage, kind: &str) -> Vec<Value> {
    stage.sim.events().into_iter().filter(|event| event["type"] == kind).collect()
}

#[tokio::test]
async fn a_paid_invoice_is_the_charge_of_its_period() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    stage.sim.advance(WEEK + DAY);
    let paid = events(&stage, "invoice.paid");
    assert_eq!(paid.len(), 2);
    let notice = heard(&stage, &paid[1]).await.unwrap().unwrap();
    assert_eq!(
        (notice.place, notice.subscription),
        (stage.shop.settles_at().into_owned(), agreement.began.id.clone())
    );
    assert_eq!(notice.event, paid[1]["id"].as_str().unwrap());
    let Said::Charged { start, settlement } = notice.said else { panic!() };
    assert_eq!(start, period(&agreement, 1).start);
    // As the order of that period would have found it, and booked once.
    let order = stage.shop.renewal(&agreement, &period(&agreement, 1)).unwrap();
    assert_eq!(settled(stage.shop.settle(&order).await), settlement);
    let now = mpp_core::Timestamp::from_unix(stage.sim.now(), 0);
    let receipt = stage.receipt(&settlement);
    assert_eq!(agreement.record(1, receipt.clone(), &now), Recorded::New);
    assert_eq!(agreement.record(1, receipt, &now), Recorded::Known);
    assert_eq!(stage.taken(), 2 * 999);
}

#[tokio::test]
async fn events_twice_and_in_any_order_say_what_is_the_case() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    stage.sim.advance(2 * WEEK + DAY);
    let mut starts = Vec::new();
    let all = events(&stage, "invoice.paid");
    for event in all.iter().rev().chain(&all) {
        let Said::Charged { start, .. } = heard(&stage, event).await.unwrap().unwrap().said else {
            panic!()
        };
        starts.push(start);
    }
    let expected = [2, 1, 0, 0, 1, 2].map(|index| period(&agreement, index).start);
    assert_eq!(starts, expected);
}

#[tokio::test]
async fn a_decline_is_told_and_one_that_was_paid_since_is_a_charge() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    let good = stage.sim.objects("subscription")[0]["default_payment_method"].clone();
    let bad = stage.card("tok_chargeCustomerFail").await;
    let kept = &agreement.began.kept;
    let customer = kept["customer"].as_str().unwrap();
    stage.post(&format!("/v1/payment_methods/{bad}/attach"), &[("customer", customer)]).await;
    let path = format!("/v1/subscriptions/{}", kept["subscription"].as_str().unwrap());
    stage.post(&path, &[("default_payment_method", &bad)]).await;
    stage.sim.advance(WEEK + DAY);
    let failed = events(&stage, "invoice.payment_failed").remove(0);
    let said = heard(&stage, &failed).await.unwrap().unwrap().said;
    assert_eq!(said, Said::Declined { start: period(&agreement, 1).start });
    let invoice = failed["data"]["object"]["id"].as_str().unwrap();
    let form = [("payment_method", good.as_str().unwrap())];
    stage.post(&format!("/v1/invoices/{invoice}/pay"), &form).await;
    let said = heard(&stage, &failed).await.unwrap().unwrap().said;
    assert!(matches!(said, Said::Charged { .. }), "{said:?}");
}

#[tokio::test]
async fn an_end_is_told_when_it_is_said_and_when_it_comes() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let end = agreement.cancel().unwrap();
    stage.shop.cancel(&agreement, &end).await.unwrap();
    stage.sim.advance(WEEK);
    for kind in ["customer.subscription.updated", "customer.subscription.deleted"] {
        let event = events(&stage, kind).pop().unwrap();
        assert_eq!(
            heard(&stage, &event).await.unwrap().unwrap().said,
            Said::Ended(end.clone()),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn what_is_forged_late_or_too_long_is_not_read() {
    let stage = Stage::new().await;
    stage.subscribed(VISA).await;
    let event = events(&stage, "invoice.paid").remove(0);
    let (body, now, webhook) = (event.to_string(), stage.sim.now(), webhook(&stage));
    let read = async |signature: &str, body: &str| webhook.read(signature, body.as_bytes()).await;
    let good = stage.sim.sign(&body, now);
    assert!(read(&good, &body).await.unwrap().is_some());
    let calls = stage.sim.calls().len();
    let forged = [
        (good.clone(), body.replace("invoice.paid", "invoice.voided")),
        (good.replace("v1=", "v1=0"), body.clone()),
        (good.replace(&format!("t={now}"), &format!("t={}", now + 1)), body.clone()),
        (String::new(), body.clone()),
        (stage.sim.sign(&body, now - 301), body.clone()),
    ];
    for (signature, body) in forged {
        let error = read(&signature, &body).await.unwrap_err();
        assert!(matches!(error, WebhookError::Signature(_)), "{error:?}");
        assert_eq!(error.status(), 400);
        assert!(!format!("{error:?} {error}").contains(stage.sim.webhook_secret()));
    }
    let late = read(&stage.sim.sign(&body, now - 301), &body).await.unwrap_err();
    assert!(matches!(late, WebhookError::Signature(BadSignature::Late)));
    let long = "x".repeat(1024 * 1024 + 1);
    assert_eq!(read(&stage.sim.sign(&long, now), &long).await.unwrap_err().status(), 413);
    for bad in ["", "[]", "{}", "not json", r#"{"id":"../x"}"#] {
        assert_eq!(read(&stage.sim.sign(bad, now), bad).await.unwrap_err().status(), 400, "{bad}");
    }
    // Nobody asked Stripe anything for any of them.
    assert_eq!(stage.sim.calls().len(), calls);
}

#[tokio::test]
async fn what_is_not_ours_makes_no_notice() {
    let stage = Stage::new().await;
    // A subscription that the seller made by hand, of the same price.
    stage.subscribed(VISA).await;
    let price = stage.sim.objects("price")[0]["id"].as_str().unwrap().to_owned();
    let (card, customer) = stage.card_of_somebody("tok_visa").await;
    let form =
        [("customer", &*customer), ("items[0][price]", &price), ("default_payment_method", &card)];
    stage.post("/v1/subscriptions", &form).await;
    let paid = events(&stage, "invoice.paid");
    assert!(heard(&stage, &paid[0]).await.unwrap().is_some());
    assert_eq!(heard(&stage, &paid[1]).await.unwrap(), None);
    let with = |name: &str, value: Value| {
        let mut event = paid[0].clone();
        event[name] = value;
        event
    };
    for other in [
        with("livemode", json!(true)),
        with("account", json!("acct_other")),
        with("type", json!("invoice.created")),
        with("type", json!("charge.refunded")),
        with("data", json!({})),
    ] {
        assert_eq!(heard(&stage, &other).await.unwrap(), None, "{other}");
    }
}

#[tokio::test]
async fn a_charge_that_is_not_as_agreed_makes_no_notice() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    let path =
        format!("/v1/subscriptions/{}", agreement.began.kept["subscription"].as_str().unwrap());
    stage.post(&path, &[("metadata[mpp_terms]", "998 usd 1 week")]).await;
    let paid = events(&stage, "invoice.paid").remove(0);
    assert_eq!(heard(&stage, &paid).await.unwrap(), None);
    stage
        .post(
            &path,
            &[("metadata[mpp_terms]", "999 usd 1 week"), ("metadata[mpp_called_off]", "true")],
        )
        .await;
    assert_eq!(heard(&stage, &paid).await.unwrap(), None);
}

#[tokio::test]
async fn deliveries_of_the_simulator_reach_an_endpoint_and_are_taken() {
    type Shelf = (Webhook, Mutex<Vec<Notice>>);
    async fn take(State(shelf): State<Arc<Shelf>>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let signature = headers.get("stripe-signature").and_then(|v| v.to_str().ok());
        match shelf.0.read(signature.unwrap_or_default(), &body).await {
            Ok(notice) => {
                shelf.1.lock().unwrap().extend(notice);
                StatusCode::OK
            }
            Err(error) => StatusCode::from_u16(error.status()).unwrap(),
        }
    }
    let stage = Stage::new().await;
    stage.subscribed(VISA).await;
    stage.sim.advance(WEEK + DAY);
    let shelf: Arc<Shelf> = Arc::new((webhook(&stage), Mutex::default()));
    let routes = Router::new().route("/", post(take)).with_state(shelf.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move { axum::serve(listener, routes).await });
    let all = stage.sim.events().len();
    assert_eq!(stage.sim.deliver(&url).await.unwrap(), all);
    let charged = |shelf: &Shelf| {
        let notices = shelf.1.lock().unwrap();
        notices.iter().filter(|n| matches!(n.said, Said::Charged { .. })).count()
    };
    assert_eq!(charged(&shelf), 2);
    assert_eq!(stage.sim.deliver_again(&url).await.unwrap(), all);
    assert_eq!(charged(&shelf), 4);
    served.abort();
}
