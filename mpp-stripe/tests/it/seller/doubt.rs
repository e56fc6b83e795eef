//! Late, stale and garbled words of Stripe's: what cannot be told is unknown, and what can be told has an end.

use std::{sync::Arc, time::Duration};

use mpp_core::{Timestamp, time::Clock};
use mpp_server::permit::Ending;
use mpp_stripe::{
    Currency, TEST_NETWORK,
    charge::{Options, Verifier, reason},
};
use mpp_testkit::stripe::{Fault, Simulator};
use serde_json::{Value, json};

use super::{
    scripted::{Line, Scripted, error, intent},
    stage::{ELSEWHERE, Shop, Stage, UNKNOWN, USED, VISA, Why},
};

const HOUR: Duration = Duration::from_secs(3600);

fn says(status: u16, body: Value) -> Line {
    (status, false, body.to_string())
}

/// A token that was used up, and by which nothing is captured so far.
fn held(at: i64) -> Line {
    let usage = json!({ "amount_captured": { "currency": "usd", "value": 0 } });
    token(&usage, Some("consumed"), at)
}

fn token(usage: &Value, reason: Option<&str>, ends: i64) -> Line {
    says(
        200,
        json!({ "object": "shared_payment.granted_token", "id": "spt_1", "usage_details": usage,
        "deactivated_at": reason.map(|_| ends), "deactivated_reason": reason,
        "usage_limits": { "currency": "usd", "expires_at": ends, "max_amount": 500 } }),
    )
}

fn found(challenge: &str, status: &str) -> Line {
    let mut intent = intent(status);
    intent["metadata"] = json!({ "mpp_challenge_id": challenge });
    says(200, json!({ "object": "search_result", "data": [intent] }))
}

async fn scripted(stage: &Stage) -> (Scripted, Shop) {
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    (script, shop)
}

#[tokio::test]
async fn a_decline_beside_a_payment_intent_that_cannot_be_named_is_no_end() {
    let stage = Stage::new().await;
    let (script, shop) = scripted(&stage).await;
    let unnamed = [
        json!({ "object": "payment_intent", "id": "<pi>", "status": "processing" }),
        json!({ "object": "payment_intent", "status": "succeeded" }),
        json!("pi_1"),
    ];
    for (n, intent) in unnamed.into_iter().enumerate() {
        let shown = shop.answer(&format!("spt_{n}")).await;
        let body =
            json!({ "type": "card_error", "code": "card_declined", "payment_intent": intent });
        script.says([(402, false, error(body))]);
        assert_eq!(shop.refused(&shown).await, UNKNOWN, "{intent}");
    }
}

#[tokio::test]
async fn a_refusal_that_is_our_fault_leaves_no_payment_intent_open() {
    let stage = Stage::new().await;
    let (script, shop) = scripted(&stage).await;
    for (n, (now, wanted)) in [("canceled", Some(500)), ("succeeded", None)].into_iter().enumerate()
    {
        let shown = shop.answer(&format!("spt_{n}")).await;
        let body = json!({ "type": "invalid_request_error", "code": "charge_exceeds_source_limit",
            "payment_intent": intent("processing") });
        let lines = [(400, false, error(body)), says(200, intent("processing"))];
        script.says(lines.into_iter().chain([says(200, intent(now))]));
        assert_eq!(shop.serve(&shown).await.err().map(|why| why.0), wanted, "{now}");
    }
}

#[tokio::test]
async fn a_charge_that_was_called_off_ends_when_its_key_is_forgotten_too() {
    let stage = Stage::new().await;
    let (script, shop) = scripted(&stage).await;
    let canceled: Why = (402, reason::CANCELED, 1);
    // What a search shows may be of before: the PaymentIntent itself is read.
    for (n, searched) in ["canceled", "requires_payment_method"].into_iter().enumerate() {
        for (now, wanted) in [("canceled", Some(canceled)), ("succeeded", None)] {
            let shown = shop.answer(&format!("spt_{n}{now}")).await;
            script.says([says(503, json!({}))]);
            assert_eq!(shop.refused(&shown).await, UNKNOWN);
            stage.sim.advance(24 * HOUR);
            let id = shown.challenge.id().as_str().to_owned();
            let lines = [held(stage.sim.now()), found(&id, searched), says(200, intent(now))];
            script.says(lines);
            let heard = shop.serve(&shown).await;
            assert_eq!(heard.err(), wanted, "{searched}, {now}");
            assert!(script.asked().iter().all(|asked| asked.starts_with("GET ")));
        }
    }
}

#[tokio::test]
async fn a_token_that_does_not_say_what_was_taken_by_it_is_no_proof_that_nothing_was() {
    let stage = Stage::new().await;
    let (script, shop) = scripted(&stage).await;
    for (n, usage) in
        [json!({}), json!([]), json!({ "amount_captured": 500 })].into_iter().enumerate()
    {
        let shown = shop.answer(&format!("spt_{n}")).await;
        script.says([says(503, json!({}))]);
        assert_eq!(shop.refused(&shown).await, UNKNOWN);
        stage.sim.advance(24 * HOUR);
        let ended = stage.sim.now() - 3600;
        let none = says(200, json!({ "object": "search_result", "data": [] }));
        script.says([token(&usage, Some("expired"), ended), none]);
        assert_eq!(shop.refused(&shown).await, UNKNOWN, "{usage}");
    }
}

/// A clock that is two days ahead.
#[derive(Debug)]
struct Ahead(Arc<Simulator>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.now(), 0).plus(48 * HOUR)
    }
}

#[tokio::test]
async fn nothing_is_sent_under_a_key_whose_age_a_clock_that_was_ahead_hides() {
    let stage = Stage::new().await;
    let shop = stage.selling(
        "5 usd".parse().unwrap(),
        stage.verifier().clock(Arc::new(Ahead(stage.sim.clone()))),
    );
    let shown = shop.pay(VISA).await;
    stage.sim.next(Fault::AnswerLost);
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    stage.sim.advance(30 * HOUR);
    let shop = shop.again(stage.verifier());
    shop.gate.recover().await.unwrap();
    assert_eq!((stage.charges(), stage.succeeded()), (1, 1));
    shop.delivers(&shown).await;
}

#[tokio::test]
async fn what_another_ledger_took_on_other_terms_is_never_served_here() {
    let stage = Stage::new().await;
    let ours = stage.shop();
    let noted = |n: u32| Options::new().metadata("order", n.to_string());
    for (n, lost) in [(1, false), (2, true)] {
        let shown = ours.pay(VISA).await;
        ours.delivers(&shown).await;
        // Books that know nothing of it, of a seller who tells Stripe something else of every payment.
        let elsewhere = stage.with_another_ledger();
        let verifier = stage.verifier().options(noted(n)).unwrap();
        let theirs = elsewhere.selling("5 usd".parse().unwrap(), verifier);
        if lost {
            stage.sim.next(Fault::ConnectionLost);
            assert_eq!(theirs.refused(&shown).await, UNKNOWN);
            stage.sim.advance(Duration::from_secs(10));
        }
        assert_eq!(theirs.refused(&shown).await, ELSEWHERE, "{n}");
        // Nor when the key is forgotten, and the token says that it was charged.
        stage.sim.advance(24 * HOUR);
        theirs.gate.recover().await.unwrap();
        assert_eq!(theirs.refused(&shown).await.0, USED.0, "{n}");
    }
    assert_eq!(stage.succeeded(), 2);
}

#[tokio::test]
async fn work_that_was_done_before_its_money_was_in_doubt_is_handed_out_once_it_is_paid() {
    for fault in [Fault::AnswerLost, Fault::ConnectionLost, Fault::ServerError, Fault::RateLimited]
    {
        let stage = Stage::new().await;
        let shop = stage.shop();
        let shop = Shop { route: shop.route.clone().charge_on_success(), ..shop };
        let shown = shop.pay(VISA).await;
        let permit = shop.serve(&shown).await.unwrap();
        assert_eq!(stage.charges(), 0);
        stage.sim.next(fault.clone());
        assert!(permit.finish(Ending::Delivered).await.is_err(), "{fault:?}");
        stage.sim.advance(Duration::from_secs(10));
        // The handler runs again, and nothing is taken again.
        shop.delivers(&shown).await;
        assert_eq!(stage.succeeded(), 1, "{fault:?}");
        assert_eq!(shop.refused(&shown).await, USED);
    }
}

#[tokio::test]
async fn a_payload_of_no_shape_shows_no_token() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    for payload in [
        json!({ "spt": ["spt_hunter2"] }),
        json!({ "spt": "spt_hunter2 " }),
        json!({ "spt": { "spt_hunter2": 1 } }),
        json!({ "spt": 1, "externalId": "spt_hunter2" }),
        json!({ "spt": "spt_hunter2", "externalId": 7 }),
    ] {
        let mut shown = serde_json::to_value(&shop.pay(VISA).await).unwrap();
        shown["payload"] = payload.clone();
        let shown = mpp_core::Credential::from_json(shown.to_string().as_bytes()).unwrap();
        let refusal = shop.refusal(&shown).await;
        super::bad_input::holds_no_secret(&refusal, &payload.to_string());
        assert!(!format!("{refusal:?}").contains("hunter2"), "{payload}: {refusal:?}");
    }
}
