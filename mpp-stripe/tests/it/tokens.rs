//! Tokens from Stripe's API: how they are asked for, how often, and what became of them.

use std::time::Duration;

use mpp_core::payer::{Became, Funds, Payer as _};
use mpp_stripe::{
    StripeCharge,
    charge::{Payer, Payload},
};
use mpp_testkit::stripe::Fault;
use serde_json::json;

use crate::stage::{GRANT, Stage, everything, pay};

#[tokio::test]
async fn a_token_is_limited_to_what_was_asked() {
    let stage = Stage::new().await;
    let challenge = stage.challenge();
    let end = challenge.expires.as_ref().unwrap().unix_seconds();
    let payload = pay(&stage.payer("pm_card_visa"), &challenge).await.unwrap();
    let calls = stage.calls(GRANT);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    let form: Vec<(&str, &str)> = call.form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (end_text, network) = (end.to_string(), stage.sim.network_id());
    let asked = [
        ("payment_method", "pm_card_visa"),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "50"),
        ("usage_limits[expires_at]", &end_text),
        ("seller_details[network_id]", network),
        ("metadata[plan]", "pro"),
    ];
    assert_eq!(form, asked);
    assert_eq!(call.header("stripe-version"), Some("2026-07-29.preview"));
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    let tokens = stage.sim.objects("shared_payment.granted_token");
    let limits = json!({ "currency": "usd", "expires_at": end, "max_amount": 50 });
    assert_eq!((&tokens[0]["id"], &tokens[0]["usage_limits"]), (&json!(payload.spt), &limits));
}

#[tokio::test]
async fn a_test_helper_that_knows_no_seller_is_asked_once_more_without() {
    let stage = Stage::new().await;
    stage.sim.forget_seller_details();
    let payload = pay(&stage.payer("pm_card_visa"), &stage.challenge()).await.unwrap();
    let calls = stage.calls(GRANT);
    let [first, second] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(first.form[..4], second.form[..]);
    assert_eq!(first.form.len(), 6);
    assert_ne!(first.header("idempotency-key"), second.header("idempotency-key"));
    assert_eq!(stage.sim.objects("shared_payment.granted_token")[0]["id"], payload.spt);
}

#[tokio::test]
async fn one_challenge_is_given_one_token_however_often_it_is_paid() {
    let stage = Stage::new().await;
    let (payer, challenge) = (stage.payer("pm_card_visa"), stage.challenge());
    stage.sim.next(Fault::AnswerLost);
    let e = pay(&payer, &challenge).await.unwrap_err();
    // The token is there, and nobody has its id.
    assert_eq!((e.funds, stage.tokens()), (Funds::Untouched, 1));
    let first = pay(&payer, &challenge).await.unwrap();
    assert_eq!(first, pay(&payer, &challenge).await.unwrap());
    assert_eq!(stage.tokens(), 1);
    let other = stage.asking(json!({ "externalId": "another" }));
    assert_ne!(first.spt, pay(&payer, &other).await.unwrap().spt);
    assert_eq!(stage.tokens(), 2);
}

#[tokio::test]
async fn whatever_stripe_answers_nothing_is_at_stake_and_no_secret_is_told() {
    let stage = Stage::new().await;
    let key = stage.sim.secret_key().to_owned();
    let quoting = format!("<p>{key} spt_leaked</p>");
    let error = format!(
        r#"{{"error":{{"type":"invalid_request_error","code":"spt_leaked","message":"{key} spt_leaked"}}}}"#
    );
    let faults = [
        Fault::AnswerLost,
        Fault::ConnectionLost,
        Fault::ServerError,
        Fault::RateLimited,
        Fault::Garbage(200, quoting.clone()),
        Fault::Garbage(200, r#"{"id":"spt_leaked and more"}"#.to_owned()),
        Fault::Garbage(200, "[]".to_owned()),
        Fault::Garbage(400, quoting),
        Fault::Garbage(400, error),
        Fault::Garbage(402, String::new()),
        Fault::ServerErrorStored,
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        stage.sim.next(fault.clone());
        let challenge = stage.asking(json!({ "externalId": at.to_string() }));
        let e = pay(&stage.payer("pm_card_visa"), &challenge).await.unwrap_err();
        assert_eq!(e.funds, Funds::Untouched, "{fault:?}");
        let said = everything(&e);
        assert!(!said.contains("leaked") && !said.contains(&key), "{fault:?}: {said}");
    }
    // One call each: nothing is repeated behind anybody's back.
    assert_eq!(stage.calls(GRANT).len(), 11);
    let e = pay(&stage.payer("pm_nobodys"), &stage.challenge()).await.unwrap_err();
    assert!(everything(&e).contains("resource_missing"), "{}", everything(&e));
    assert_eq!(e.funds, Funds::Untouched);
}

#[tokio::test]
async fn a_token_is_open_until_it_was_captured_or_is_long_over() {
    let stage = Stage::new().await;
    let (payer, challenge) = (stage.payer("pm_card_visa"), stage.challenge());
    let demand = challenge.read::<StripeCharge>().unwrap();
    let became = async |payload: &Payload| payer.became(&demand, payload).await.unwrap();
    let unused = pay(&payer, &challenge).await.unwrap();
    assert_eq!(became(&unused).await, Became::Open);
    let used = pay(&payer, &stage.asking(json!({ "externalId": "used" }))).await.unwrap();
    charge(&stage, &used.spt).await;
    assert_eq!(became(&used).await, Became::Paid);
    let slow = stage.asking(json!({ "externalId": "slow" }));
    let slow = pay(&stage.payer("pm_card_processing"), &slow).await.unwrap();
    charge(&stage, &slow.spt).await;
    assert_eq!(became(&slow).await, Became::Open);
    const DAY: u64 = 24 * 60 * 60;
    for (later, of_unused) in
        [(301, Became::Open), (30 * DAY, Became::Open), (2 * DAY, Became::Dead)]
    {
        stage.advance(later);
        let all = (became(&unused).await, became(&used).await, became(&slow).await);
        assert_eq!(all, (of_unused, Became::Paid, Became::Open), "{later}");
    }
    let trusting = Payer::new(stage.issuer().held_for(Duration::ZERO));
    let newer = stage.asking(json!({ "externalId": "newer" }));
    let newer = pay(&payer, &newer).await.unwrap();
    assert_eq!(trusting.became(&demand, &newer).await.unwrap(), Became::Open);
    stage.advance(302);
    // Its end is noticed now, and past a second later.
    assert_eq!(trusting.became(&demand, &newer).await.unwrap(), Became::Open);
    stage.advance(1);
    assert_eq!(trusting.became(&demand, &newer).await.unwrap(), Became::Dead);
    let foreign = Payload { spt: "spt_unknown".to_owned(), external_id: None };
    let e = payer.became(&demand, &foreign).await.unwrap_err();
    assert_eq!(e.funds, Funds::Unknown);
    assert!(!everything(&e).contains("spt_unknown"));
}

/// As a seller does.
async fn charge(stage: &Stage, token: &str) {
    let form = format!(
        "amount=50&currency=usd&confirm=true&shared_payment_granted_token={token}&automatic_payment_methods%5Benabled%5D=true&automatic_payment_methods%5Ballow_redirects%5D=never"
    );
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = http
        .post(format!("{}/v1/payment_intents", stage.sim.url()))
        .bearer_auth(stage.sim.secret_key())
        .header("stripe-version", "2026-07-29.preview")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(call.send().await.unwrap().status(), 200);
}
