//! What a payer hears for everything that Stripe can say, and what is charged meanwhile.

use std::sync::Arc;

use mpp_core::problem::{ProblemType, Reason};
use mpp_stripe::{
    Currency, TEST_NETWORK,
    charge::{Verifier, reason},
};
use mpp_testkit::stripe::Fault;
use serde_json::{Value, json};

use super::{
    scripted::{Line, Scripted, error, intent},
    stage::{ELSEWHERE, Stage, UNKNOWN, USED, VISA, Why},
};

const OUR_FAULT: Why = (500, Reason::OUR_FAULT, 0);
const DECLINED: Why = (402, Reason::DECLINED, 1);
const ACTION: Why = (402, Reason::ACTION_REQUIRED, 1);
const CANCELED: Why = (402, reason::CANCELED, 1);

#[tokio::test]
async fn s20_a_receipt_names_the_payment_intent_and_the_requests_external_id() {
    let stage = Stage::new().await;
    let shop = stage.selling(
        "5 usd".parse::<mpp_core::Price>().unwrap().external_id("order-1"),
        stage.verifier(),
    );
    let shown = super::stage::answer(&shop.challenge().await, &stage.token(VISA), Some("order-1"));
    let receipt = shop.delivers(&shown).await;
    assert_eq!(receipt.method.as_str(), "stripe");
    assert_eq!(receipt.reference, stage.intents()[0]["id"]);
    assert_eq!(receipt.external_id.as_deref(), Some("order-1"));
    let call =
        stage.sim.calls().into_iter().find(|call| call.path == "/v1/payment_intents").unwrap();
    let key = format!(
        "mpp_{}_{}",
        shown.challenge.id().as_str(),
        call.field("shared_payment_granted_token").unwrap()
    );
    assert_eq!(call.header("idempotency-key"), Some(&*key));
    assert_eq!(call.header("stripe-version"), Some("2026-07-29.preview"));
    assert_eq!(call.header("stripe-account"), None);
    assert_eq!(shop.refused(&shown).await, USED);
    assert_eq!(stage.charges(), 1);
}

#[tokio::test]
async fn s20_an_action_that_is_required_is_called_that_and_every_card_ends_as_the_table_says() {
    for (card, why, intents) in [
        ("pm_card_chargeDeclined", DECLINED, "requires_payment_method"),
        ("pm_card_chargeDeclinedInsufficientFunds", DECLINED, "requires_payment_method"),
        ("pm_card_authenticationRequired", ACTION, "canceled"),
        // It cannot be called off, and may move yet.
        ("pm_card_processing", UNKNOWN, "processing"),
    ] {
        let stage = Stage::new().await;
        let shop = stage.shop();
        let shown = shop.pay(card).await;
        assert_eq!(shop.refused(&shown).await, why, "{card}");
        assert_eq!(stage.intents()[0]["status"], intents, "{card}");
        assert_eq!((stage.intents().len(), stage.succeeded()), (1, 0), "{card}");
    }
}

#[tokio::test]
async fn a_decline_is_told_in_stripes_word_and_nothing_else() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let refusal = shop.refusal(&shop.pay("pm_card_chargeDeclinedInsufficientFunds").await).await;
    assert_eq!(refusal.rejection.kind, ProblemType::VERIFICATION_FAILED);
    assert_eq!(refusal.rejection.detail, "The payment was declined: insufficient_funds.");
    let refusal = shop.refusal(&shop.pay("pm_card_authenticationRequired").await).await;
    assert_eq!(refusal.rejection.kind, ProblemType::PAYMENT_ACTION_REQUIRED);
}

#[tokio::test]
async fn a_decline_in_no_word_of_stripes_list_is_a_decline_and_no_more() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    for word in ["4242424242424242", "CALL-5551234", "spt_hunter2", "call me", &"a".repeat(65)] {
        let shown = shop.pay(VISA).await;
        let said = json!({ "type": "card_error", "code": word, "decline_code": word });
        script.says([refuses(402, said)]);
        let refusal = shop.refusal(&shown).await;
        let told = &refusal.rejection.detail;
        let known = ["card_declined", "card_error"];
        assert!(
            known.iter().any(|w| **told == format!("The payment was declined: {w}.")),
            "{told}"
        );
        super::bad_input::holds_no_secret(&refusal, word);
    }
}

#[tokio::test]
async fn whoever_shows_a_stolen_card_is_not_told_that_it_is_known() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    for (n, code) in
        ["stolen_card", "lost_card", "fraudulent", "merchant_blacklist"].into_iter().enumerate()
    {
        let mut error = card_error("card_declined", "requires_payment_method");
        error["decline_code"] = code.into();
        script.says([refuses(402, error)]);
        let refusal = shop.refusal(&shop.answer(&format!("spt_{n}")).await).await;
        let told = &refusal.rejection;
        assert_eq!(told.reason, Reason::DECLINED);
        assert_eq!(told.detail, "The payment was declined: generic_decline.", "{code}");
    }
}

#[tokio::test]
async fn what_is_processing_is_asked_after_until_it_has_an_end() {
    for (succeeds, intents) in [(true, "succeeded"), (false, "requires_payment_method")] {
        let stage = Stage::new().await;
        let shop = stage.shop();
        let shown = shop.pay("pm_card_processing").await;
        assert_eq!(shop.refused(&shown).await, UNKNOWN);
        stage.sim.advance(std::time::Duration::from_secs(60));
        assert_eq!(shop.refused(&shown).await, UNKNOWN);
        let id = stage.intents()[0]["id"].as_str().unwrap().to_owned();
        stage.sim.conclude(&id, succeeds).unwrap();
        stage.sim.advance(std::time::Duration::from_secs(60));
        match succeeds {
            true => assert_eq!(shop.delivers(&shown).await.reference, id),
            false => assert_eq!(shop.refused(&shown).await, DECLINED),
        }
        assert_eq!(stage.intents().len(), 1);
        assert_eq!(stage.intents()[0]["status"], intents);
    }
}

#[tokio::test]
async fn every_failure_of_the_line_is_unknown_and_heals_into_one_payment() {
    for fault in [
        Fault::AnswerLost,
        Fault::ServerError,
        Fault::ConnectionLost,
        Fault::RateLimited,
        Fault::Garbage(400, "<html>spt_hunter2</html>".into()),
        Fault::Garbage(200, "[]".into()),
        Fault::Garbage(402, String::new()),
        Fault::Garbage(400, r#"{"error":"spt_hunter2"}"#.into()),
        Fault::Garbage(400, r#"{"error":{"type":7,"message":"spt_hunter2"}}"#.into()),
    ] {
        let stage = Stage::new().await;
        let shop = stage.shop();
        let shown = shop.pay(VISA).await;
        let case = format!("{fault:?}");
        stage.sim.next(fault);
        assert_eq!(shop.refused(&shown).await, UNKNOWN, "{case}");
        // Nothing is sent again behind anybody's back.
        assert_eq!(stage.charges(), 1, "{case}");
        stage.sim.advance(std::time::Duration::from_secs(10));
        shop.delivers(&shown).await;
        assert_eq!(shop.refused(&shown).await, USED, "{case}");
        assert_eq!((stage.intents().len(), stage.succeeded()), (1, 1), "{case}");
    }
}

fn says(status: u16, body: Value) -> Line {
    (status, false, body.to_string())
}

fn refuses(status: u16, members: Value) -> Line {
    (status, false, error(members))
}

fn replayed(body: Value) -> Line {
    (200, true, body.to_string())
}

fn with(intent: Value, member: &str, value: Value) -> Value {
    let mut intent = intent;
    intent[member] = value;
    intent
}

fn card_error(code: &str, status: &str) -> Value {
    json!({ "type": "card_error", "code": code, "payment_intent": intent(status) })
}

fn token_error(code: &str) -> Value {
    json!({ "type": "invalid_request_error", "code": code, "param": "shared_payment_granted_token" })
}

/// What Stripe says to the first charge and to what is asked after it, and what the payer hears.
fn table() -> Vec<(&'static str, Vec<Line>, Why, usize)> {
    let invalid = |code: &str, param: &str| json!({ "type": "invalid_request_error", "code": code, "param": param });
    let typed = |kind: &str| json!({ "type": kind });
    let token = |reason| (402, reason, 1);
    vec![
        ("replayed, succeeded", vec![replayed(intent("succeeded"))], ELSEWHERE, 1),
        ("replayed, processing", vec![replayed(intent("processing"))], ELSEWHERE, 1),
        ("replayed, canceled", vec![replayed(intent("canceled"))], CANCELED, 1),
        ("replayed, declined", vec![replayed(intent("requires_payment_method"))], DECLINED, 1),
        ("replayed, unreadable", vec![replayed(json!({}))], UNKNOWN, 1),
        ("less", vec![says(200, with(intent("succeeded"), "amount", json!(499)))], UNKNOWN, 1),
        (
            "less received",
            vec![says(200, with(intent("succeeded"), "amount_received", json!(499)))],
            UNKNOWN,
            1,
        ),
        (
            "another currency",
            vec![says(200, with(intent("succeeded"), "currency", json!("eur")))],
            UNKNOWN,
            1,
        ),
        ("no intent", vec![says(200, json!({ "object": "charge", "id": "ch_1" }))], UNKNOWN, 1),
        (
            "a strange id",
            vec![says(200, with(intent("succeeded"), "id", json!("pi_1/../x")))],
            UNKNOWN,
            1,
        ),
        (
            "processing, called off",
            vec![says(200, intent("processing")), says(200, intent("canceled"))],
            CANCELED,
            2,
        ),
        (
            "processing, and succeeds meanwhile",
            vec![
                says(200, intent("requires_capture")),
                refuses(400, invalid("payment_intent_unexpected_state", "intent")),
                says(200, with(intent("succeeded"), "currency", json!("eur"))),
            ],
            UNKNOWN,
            3,
        ),
        (
            "processing, cancel unheard",
            vec![says(200, intent("processing")), says(500, json!({}))],
            UNKNOWN,
            2,
        ),
        (
            "of no known status",
            vec![says(200, intent("pondering")), says(200, intent("pondering"))],
            UNKNOWN,
            2,
        ),
        (
            "action, called off",
            vec![says(200, intent("requires_action")), says(200, intent("canceled"))],
            ACTION,
            2,
        ),
        (
            "declined",
            vec![refuses(402, card_error("card_declined", "requires_payment_method"))],
            DECLINED,
            1,
        ),
        (
            "declined, and yet open",
            vec![
                refuses(402, card_error("card_declined", "processing")),
                says(200, intent("processing")),
                says(200, intent("canceled")),
            ],
            DECLINED,
            3,
        ),
        ("declined without an intent", vec![refuses(402, typed("card_error"))], DECLINED, 1),
        ("declined as a bad request", vec![refuses(400, typed("card_error"))], DECLINED, 1),
        (
            "authentication",
            vec![refuses(402, card_error("authentication_required", "requires_payment_method"))],
            ACTION,
            1,
        ),
        (
            "expired",
            vec![refuses(400, token_error("shared_payment_token_expired"))],
            token(reason::TOKEN_EXPIRED),
            1,
        ),
        (
            "consumed",
            vec![refuses(400, token_error("shared_payment_token_consumed"))],
            token(reason::TOKEN_USED),
            1,
        ),
        (
            "revoked",
            vec![refuses(400, token_error("shared_payment_token_revoked"))],
            token(reason::TOKEN_REVOKED),
            1,
        ),
        (
            "no such token",
            vec![refuses(400, token_error("resource_missing"))],
            token(reason::TOKEN_UNKNOWN),
            1,
        ),
        (
            "over its limit",
            vec![refuses(400, token_error("amount_exceeded"))],
            token(reason::TOKEN_TOO_SMALL),
            1,
        ),
        (
            "of no known code",
            vec![refuses(400, token_error("whatever"))],
            token(reason::TOKEN_REFUSED),
            1,
        ),
        (
            "version without tokens",
            vec![refuses(400, token_error("parameter_unknown"))],
            OUR_FAULT,
            1,
        ),
        ("wrong key", vec![refuses(401, typed("invalid_request_error"))], OUR_FAULT, 1),
        ("no right", vec![refuses(403, token_error("account_invalid"))], OUR_FAULT, 1),
        (
            "no such customer",
            vec![refuses(400, invalid("resource_missing", "customer"))],
            OUR_FAULT,
            1,
        ),
        ("no such page", vec![refuses(404, typed("invalid_request_error"))], OUR_FAULT, 1),
        ("too small", vec![refuses(400, invalid("amount_too_small", "amount"))], OUR_FAULT, 1),
        ("other parameters", vec![refuses(400, typed("idempotency_error"))], ELSEWHERE, 1),
        (
            "in use",
            vec![refuses(
                409,
                json!({ "type": "idempotency_error", "code": "idempotency_key_in_use" }),
            )],
            ELSEWHERE,
            1,
        ),
        ("somebody else failed", vec![refuses(424, typed("api_error"))], UNKNOWN, 1),
        ("too many", vec![refuses(429, typed("rate_limit_error"))], UNKNOWN, 1),
        ("down", vec![says(503, json!({}))], UNKNOWN, 1),
        ("a redirect", vec![says(302, json!({}))], UNKNOWN, 1),
        ("html", vec![(403, false, "<h1>spt_hunter2 sk_test_hunter2</h1>".into())], UNKNOWN, 1),
    ]
}

#[tokio::test]
async fn every_answer_of_stripes_means_what_the_table_says() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    for (n, (case, lines, why, calls)) in table().into_iter().enumerate() {
        let shown = shop.answer(&format!("spt_hunter2{n}")).await;
        script.says(lines);
        let refusal = shop.refusal(&shown).await;
        assert_eq!(super::stage::why(&refusal), why, "{case}: {:?}", refusal.rejection);
        assert_eq!(script.asked().len(), calls, "{case}: {:?}", script.asked());
        super::bad_input::holds_no_secret(&refusal, case);
    }
}

#[tokio::test]
async fn s20_what_is_verified_is_what_was_charged() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    for (member, charged) in
        [("amount", json!(50)), ("amount_received", json!(499)), ("currency", json!("jpy"))]
    {
        let shown = shop.pay(VISA).await;
        script.says([says(200, with(intent("succeeded"), member, charged))]);
        // Something moved: nothing is served, and nobody is invited to pay again.
        assert_eq!(shop.refused(&shown).await, UNKNOWN, "{member}");
    }
}

#[tokio::test]
async fn what_succeeds_while_it_is_called_off_is_paid() {
    let stage = Stage::new().await;
    let (script, api) = Scripted::start().await;
    let verifier = Verifier::new(api, TEST_NETWORK, Currency::USD).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clock(Arc::new(stage.clock())));
    let shown = shop.answer("spt_1").await;
    script.says([
        says(200, intent("processing")),
        refuses(
            400,
            json!({ "type": "invalid_request_error", "code": "payment_intent_unexpected_state" }),
        ),
        says(200, intent("succeeded")),
    ]);
    assert_eq!(shop.delivers(&shown).await.reference, "pi_1");
    let asked = [
        "POST /v1/payment_intents",
        "POST /v1/payment_intents/pi_1/cancel",
        "GET /v1/payment_intents/pi_1",
    ];
    assert_eq!(script.asked(), asked);
}
