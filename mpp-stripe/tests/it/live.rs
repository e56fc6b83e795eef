//! A live key: tokens are issued, to a named seller, and never without one.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
};
use mpp_core::payer::{Became, Funds, Payer as _};
use mpp_stripe::{
    Api, SecretKey, StripeCharge,
    charge::{Payer, Payload},
    token::{ApiTokens, PaymentMethod},
};
use serde_json::{Value, json};

use crate::stage::{Stage, everything, pay, serve};

type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// Gives one answer to everything, and remembers what it was asked: method and path, body.
async fn saying(status: u16, answer: Value) -> (Payer, Heard) {
    let heard = Heard::default();
    let hears = heard.clone();
    let app = Router::new().fallback(move |request: Request| async move {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        let line = format!("{} {}", head.method, head.uri);
        hears.lock().unwrap().push((line, String::from_utf8(body.to_vec()).unwrap()));
        let mut response = Response::new(Body::from(answer.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    });
    let at = serve(app).await;
    let api = Api::new(&SecretKey::new("rk_live_hush").unwrap()).unwrap();
    let issuer = ApiTokens::new(api.at(&format!("http://{at}")).unwrap());
    let payer = Payer::new(issuer).paying_with(PaymentMethod::parse("pm_1").unwrap());
    (payer, heard)
}

#[tokio::test]
async fn a_live_key_issues_a_token_to_the_sellers_profile() {
    let stage = Stage::new().await;
    let (payer, heard) = saying(200, json!({ "id": "spt_live", "status": "active" })).await;
    let challenge = stage.asking(json!({
        "methodDetails": { "networkId": "profile_1", "paymentMethods": ["card"], "metadata": { "a": "b" } },
    }));
    assert_eq!(pay(&payer, &challenge).await.unwrap().spt, "spt_live");
    let heard = heard.lock().unwrap();
    let [(line, form)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(line, "POST /v1/shared_payment/issued_tokens");
    let end = challenge.expires.as_ref().unwrap().unix_seconds();
    assert_eq!(
        *form,
        format!(
            "payment_method=pm_1&usage_limits%5Bcurrency%5D=usd&usage_limits%5Bmax_amount%5D=50&usage_limits%5Bexpires_at%5D={end}&seller_details%5Bnetwork_business_profile%5D=profile_1&shared_metadata%5Ba%5D=b"
        )
    );
}

#[tokio::test]
async fn a_live_token_is_never_asked_for_without_its_seller() {
    let stage = Stage::new().await;
    let error = json!({ "error": {
        "type": "invalid_request_error", "code": "parameter_unknown", "param": "seller_details",
        "message": "Received unknown parameter: seller_details",
    } });
    let (payer, heard) = saying(400, error).await;
    let e = pay(&payer, &stage.challenge()).await.unwrap_err();
    assert_eq!((e.funds, heard.lock().unwrap().len()), (Funds::Untouched, 1));
    assert!(!everything(&e).contains("hush"));
}

#[tokio::test]
async fn a_token_that_its_owner_has_to_confirm_first_is_not_shown() {
    let stage = Stage::new().await;
    let pending = json!({ "id": "spt_1", "status": "requires_action", "next_action": {} });
    let (payer, _) = saying(200, pending).await;
    let e = pay(&payer, &stage.challenge()).await.unwrap_err();
    assert_eq!(e.funds, Funds::Untouched);
    assert!(everything(&e).contains("confirm"), "{}", everything(&e));
}

#[tokio::test]
async fn an_issued_token_is_asked_after_where_it_was_issued() {
    let stage = Stage::new().await;
    let captured = json!({
        "id": "spt_1", "usage_details": { "amount_captured": { "currency": "usd", "value": 50 } },
    });
    let (payer, heard) = saying(200, captured).await;
    let challenge = stage.challenge();
    let demand = challenge.read::<StripeCharge>().unwrap();
    let payload = Payload { spt: "spt_1".to_owned(), external_id: None };
    assert_eq!(payer.became(&demand, &payload).await.unwrap(), Became::Paid);
    let heard = heard.lock().unwrap();
    assert_eq!(heard[0].0, "GET /v1/shared_payment/issued_tokens/spt_1");
}
