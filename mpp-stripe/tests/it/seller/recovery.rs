//! What was charged and not heard of is found again, and charged once.

use std::{sync::Arc, time::Duration};

use mpp_core::{Charge, problem::Reason, verifier::Verifier as _};
use mpp_server::{Offers, Route};
use mpp_stripe::{
    Currency, TEST_NETWORK,
    charge::{Connect, Options, Verifier, reason},
};
use mpp_testkit::stripe::Fault;
use serde_json::{Value, json};

use super::{
    scripted::{Line, Scripted, error, intent},
    stage::{Shop, Stage, UNKNOWN, USED, VISA, Why},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn unheard(stage: &Stage, fault: Fault) -> (Shop, mpp_core::Credential) {
    let shop = stage.shop();
    let shown = shop.pay(VISA).await;
    stage.sim.next(fault);
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    (shop, shown)
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_found_by_its_key_in_the_next_life() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::AnswerLost).await;
    // Reconfigured meanwhile: what is on the books is sent as it was.
    let other = stage.verifier().options(Options::new().metadata("since", "then")).unwrap();
    let shop = shop.again(other);
    stage.sim.advance(Duration::from_secs(600));
    shop.gate.recover().await.unwrap();
    let receipt = shop.delivers(&shown).await;
    assert_eq!(receipt.reference, stage.intents()[0]["id"]);
    assert_eq!(shop.refused(&shown).await, USED);
    assert_eq!((stage.intents().len(), stage.succeeded()), (1, 1));
    let calls = stage.sim.calls();
    let mut charges =
        calls.iter().filter(|c| c.method == "POST" && c.path == "/v1/payment_intents");
    let (first, again) = (charges.next().unwrap(), charges.next().unwrap());
    assert_eq!(first.form, again.form);
    for name in ["idempotency-key", "stripe-version", "stripe-account"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_slow_answer_that_nobody_waited_for_is_one_payment() {
    let stage = Stage::new().await;
    let impatient = stage.api().patience(Duration::from_millis(100));
    let verifier = Verifier::new(impatient, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    let shown = shop.pay(VISA).await;
    stage.sim.next(Fault::Slow(Duration::from_millis(800)));
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    // Its key is in use: that tells nothing yet.
    stage.sim.advance(Duration::from_secs(10));
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    stage.sim.advance(Duration::from_secs(10));
    shop.delivers(&shown).await;
    assert_eq!((stage.intents().len(), stage.succeeded()), (1, 1));
}

#[tokio::test]
async fn when_its_key_is_forgotten_a_charge_is_found_in_the_books_and_nothing_is_sent() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::AnswerLost).await;
    stage.sim.advance(25 * HOUR);
    let charges = stage.charges();
    assert_eq!(shop.delivers(&shown).await.reference, stage.intents()[0]["id"]);
    assert_eq!((stage.charges(), stage.succeeded()), (charges, 1));
}

#[tokio::test]
async fn when_its_key_is_forgotten_a_charge_that_was_never_heard_is_over() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::ConnectionLost).await;
    stage.sim.advance(25 * HOUR);
    assert_eq!(shop.refused(&shown).await, (402, reason::TOKEN_EXPIRED, 1));
    assert_eq!((stage.charges(), stage.intents().len()), (1, 0));
}

#[tokio::test]
async fn a_charge_that_a_search_does_not_show_yet_is_not_called_failed() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::AnswerLost).await;
    stage.sim.set_search_lag(100 * HOUR);
    stage.sim.advance(25 * HOUR);
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    stage.sim.set_search_lag(Duration::ZERO);
    stage.sim.advance(Duration::from_secs(60));
    shop.delivers(&shown).await;
    assert_eq!(stage.succeeded(), 1);
}

#[tokio::test]
async fn a_server_error_that_is_kept_under_the_key_ends_with_the_token() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::ServerErrorStored).await;
    stage.sim.advance(Duration::from_secs(60));
    assert_eq!(shop.refused(&shown).await, UNKNOWN, "its token may be charged yet");
    stage.sim.advance(HOUR);
    assert_eq!(shop.refused(&shown).await, (402, reason::TOKEN_EXPIRED, 1));
    assert_eq!(stage.intents().len(), 0);
}

#[tokio::test]
async fn a_charge_that_was_never_heard_and_whose_token_ended_is_not_taken() {
    let stage = Stage::new().await;
    let (shop, shown) = unheard(&stage, Fault::ConnectionLost).await;
    stage.sim.advance(HOUR);
    assert_eq!(shop.refused(&shown).await, (402, reason::TOKEN_EXPIRED, 1));
    assert_eq!(stage.intents().len(), 0);
}

fn says(status: u16, body: Value) -> Line {
    (status, false, body.to_string())
}

fn token(captured: u64, reason: Option<&str>, ends: i64) -> Line {
    says(
        200,
        json!({ "object": "shared_payment.granted_token", "id": "spt_1",
        "usage_details": { "amount_captured": { "currency": "usd", "value": captured } },
        "deactivated_at": reason.map(|_| ends), "deactivated_reason": reason,
        "usage_limits": { "currency": "usd", "expires_at": ends, "max_amount": 500 } }),
    )
}

fn found(challenge: &str, statuses: &[&str]) -> Line {
    let data = Vec::from_iter(statuses.iter().map(|status| {
        let mut intent = intent(status);
        intent["metadata"] = json!({ "mpp_challenge_id": challenge });
        intent
    }));
    says(200, json!({ "object": "search_result", "data": data }))
}

/// Fails as one payment, or is asked after again; `None` is paid.
type Case = (&'static str, Vec<Line>, Option<Why>);

/// What Stripe says when it is asked after a charge that it may have heard, and what follows.
fn table(id: &str, now: i64) -> Vec<Case> {
    let (alive, dead) = (now + 300, now - 3600);
    let refuses = |code: &str| {
        (
            400,
            false,
            error(json!({ "type": "invalid_request_error", "code": code,
        "param": "shared_payment_granted_token" })),
        )
    };
    let used = || refuses("shared_payment_token_consumed");
    let declined = || {
        (
            402,
            false,
            error(json!({ "type": "card_error", "code": "card_declined",
        "payment_intent": intent("requires_payment_method") })),
        )
    };
    let missing = || {
        (404, false, error(json!({ "type": "invalid_request_error", "code": "resource_missing" })))
    };
    let failed = |reason| Some((402, reason, 1));
    let replayed = |body: Value| (200, true, body.to_string());
    let denied = (401, false, error(json!({ "type": "invalid_request_error" })));
    vec![
        (
            "replayed, succeeded then and now",
            vec![replayed(intent("succeeded")), says(200, intent("succeeded"))],
            None,
        ),
        (
            "replayed, processing then and succeeded now",
            vec![replayed(intent("processing")), says(200, intent("succeeded"))],
            None,
        ),
        (
            "replayed, processing then and canceled now",
            vec![replayed(intent("processing")), says(200, intent("canceled"))],
            failed(reason::CANCELED),
        ),
        ("replayed, and not found", vec![replayed(intent("succeeded")), missing()], Some(UNKNOWN)),
        ("never heard, and taken now", vec![says(200, intent("succeeded"))], None),
        ("our key is revoked", vec![denied], Some(UNKNOWN)),
        (
            "refused, and the token untouched",
            vec![refuses("whatever"), token(0, None, alive), found(id, &[])],
            failed(reason::TOKEN_REFUSED),
        ),
        (
            "refused, and the token charged by it",
            vec![used(), token(500, Some("consumed"), now), found(id, &["succeeded"])],
            None,
        ),
        (
            "refused, the token charged and nothing found",
            vec![used(), token(500, Some("consumed"), now), found(id, &[])],
            Some(UNKNOWN),
        ),
        (
            "refused, the token held and nothing found",
            vec![used(), token(0, Some("consumed"), now), found(id, &[])],
            Some(UNKNOWN),
        ),
        (
            "refused, the token held and the charge dead",
            vec![
                used(),
                token(0, Some("consumed"), now),
                found(id, &["canceled"]),
                says(200, intent("canceled")),
            ],
            failed(reason::CANCELED),
        ),
        (
            "refused, and another's of the same letters found",
            vec![
                used(),
                token(500, Some("consumed"), now),
                found(&id.to_lowercase(), &["succeeded"]),
            ],
            Some(UNKNOWN),
        ),
        ("refused, and the token unreadable", vec![used(), says(200, json!({}))], Some(UNKNOWN)),
        ("refused, and the token not shown", vec![used(), says(500, json!({}))], Some(UNKNOWN)),
        (
            "refused, and the search fails",
            vec![used(), token(0, None, alive), says(500, json!({}))],
            Some(UNKNOWN),
        ),
        (
            "no such token, ever",
            vec![refuses("resource_missing"), missing(), found(id, &[])],
            failed(reason::TOKEN_UNKNOWN),
        ),
        (
            "no such token any more",
            vec![refuses("resource_missing"), missing(), found(id, &["succeeded"])],
            Some(UNKNOWN),
        ),
        (
            "declined",
            vec![declined(), token(0, None, alive), found(id, &[])],
            failed(Reason::DECLINED),
        ),
        (
            "declined, and found declined",
            vec![declined(), token(0, None, alive), found(id, &["requires_payment_method"])],
            failed(Reason::DECLINED),
        ),
        (
            "declined, and an open one found",
            vec![
                declined(),
                token(0, None, alive),
                found(id, &["processing", "canceled"]),
                says(200, intent("processing")),
                says(200, intent("canceled")),
            ],
            failed(reason::CANCELED),
        ),
        (
            "an error, and the token alive",
            vec![says(500, json!({})), token(0, None, alive), found(id, &[])],
            Some(UNKNOWN),
        ),
        (
            "an error, and the token dead",
            vec![says(500, json!({})), token(0, Some("expired"), dead), found(id, &[])],
            failed(reason::TOKEN_EXPIRED),
        ),
        (
            "an error behind a charge",
            vec![
                says(500, json!({})),
                token(500, Some("consumed"), dead),
                found(id, &["succeeded"]),
            ],
            None,
        ),
    ]
}

#[tokio::test]
async fn every_second_answer_means_what_the_table_says() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    let cases = table("", 0).len();
    for n in 0..cases {
        let shown = shop.answer(&format!("spt_{n}")).await;
        script.says([says(503, json!({}))]);
        assert_eq!(shop.refused(&shown).await, UNKNOWN);
        stage.sim.advance(Duration::from_secs(10));
        let (case, lines, ends) = table(shown.challenge.id().as_str(), stage.sim.now()).remove(n);
        let said = lines.len();
        script.says(lines);
        match (shop.serve(&shown).await, ends) {
            (Ok(permit), None) => assert_eq!(permit.receipt().unwrap().reference, "pi_1", "{case}"),
            (Err(why), Some(wanted)) => assert_eq!(why, wanted, "{case}"),
            (heard, wanted) => panic!("{case}: {heard:?}, and not {wanted:?}"),
        }
        assert_eq!(script.asked().len(), said, "{case}: {:?}", script.asked());
    }
}

#[tokio::test]
async fn the_token_of_a_connected_account_is_asked_for_as_the_platform_too() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let options = Options::new().connect(Connect::new().account("acct_1"));
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let verifier = verifier.options(options).unwrap().clock(Arc::new(stage.clock()));
    let shop = stage.selling("5 usd".parse().unwrap(), verifier);
    let shown = shop.answer("spt_1").await;
    script.says([says(503, json!({}))]);
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    stage.sim.advance(24 * HOUR);
    let missing = json!({ "type": "invalid_request_error", "code": "resource_missing" });
    script.says([
        (404, false, error(missing)),
        token(500, Some("consumed"), stage.sim.now()),
        found(shown.challenge.id().as_str(), &["succeeded"]),
    ]);
    assert_eq!(shop.delivers(&shown).await.reference, "pi_1");
}

#[tokio::test]
async fn nothing_is_sent_under_a_key_that_may_be_forgotten() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    type Late = fn(&str, i64) -> Vec<Line>;
    let cases: [(&str, Late, Option<Why>); 5] = [
        (
            "charged",
            |id, now| vec![token(500, Some("consumed"), now), found(id, &["succeeded"])],
            None,
        ),
        (
            "charged and not found",
            |id, now| vec![token(500, Some("consumed"), now), found(id, &[])],
            Some(UNKNOWN),
        ),
        (
            "dead",
            |id, now| vec![token(0, Some("expired"), now - 3600), found(id, &[])],
            Some((402, reason::TOKEN_EXPIRED, 1)),
        ),
        ("alive", |id, now| vec![token(0, None, now + 3600), found(id, &[])], Some(UNKNOWN)),
        (
            "not known any more",
            |id, _| {
                vec![
                    (
                        404,
                        false,
                        error(
                            json!({ "type": "invalid_request_error", "code": "resource_missing" }),
                        ),
                    ),
                    found(id, &[]),
                ]
            },
            Some(UNKNOWN),
        ),
    ];
    for (n, (case, lines, ends)) in cases.into_iter().enumerate() {
        let shown = shop.answer(&format!("spt_{n}")).await;
        script.says([says(503, json!({}))]);
        assert_eq!(shop.refused(&shown).await, UNKNOWN);
        stage.sim.advance(24 * HOUR);
        script.says(lines(shown.challenge.id().as_str(), stage.sim.now()));
        match (shop.serve(&shown).await, ends) {
            (Ok(_), None) => {}
            (Err(why), Some(wanted)) => assert_eq!(why, wanted, "{case}"),
            (heard, wanted) => panic!("{case}: {heard:?}, and not {wanted:?}"),
        }
        assert!(script.asked().iter().all(|asked| asked.starts_with("GET ")), "{case}");
    }
}

#[tokio::test]
async fn a_pass_over_the_books_asks_the_account_that_was_charged() {
    let (one, two) = (Stage::new().await, Stage::new().await);
    let first = one.shop();
    // Another account on the same gate: in test mode both are on the network `internal`.
    let second = two.verifier();
    assert_ne!(second.settles_at(), one.verifier().settles_at());
    let offers = Offers::<Charge>::of("5 usd".parse().unwrap()).via(&Arc::new(second));
    let route = Route::from(offers.into_vec().unwrap());
    first.gate.recovers(&route);
    let shop = Shop { stage: two.clone(), gate: first.gate.clone(), route };
    let shown = shop.pay(VISA).await;
    two.sim.next(Fault::AnswerLost);
    assert_eq!(shop.refused(&shown).await, UNKNOWN);
    assert_eq!(two.succeeded(), 1);
    one.sim.advance(Duration::from_secs(60));
    two.sim.advance(Duration::from_secs(60));
    shop.gate.recover().await.unwrap();
    shop.delivers(&shown).await;
}
