//! What payers and sellers get wrong: typed reasons, and no secret in any of them.

use std::fmt::Write;

use mpp_core::{
    Amount, Price,
    intent::PriceError,
    problem::{Problem, Reason},
    transport::Refusal,
    verifier::Verifier as _,
};
use mpp_stripe::{
    Currency, TEST_NETWORK,
    charge::{MetadataError, SetupError, Verifier, reason},
};
use mpp_testkit::stripe::Fault;

use super::stage::{Stage, VISA, Why, answer};
use crate::log::Log;

/// Nothing that a payer hears, nor what a debugger shows of it, holds a token, a key or Stripe's prose.
pub(super) fn holds_no_secret(refusal: &Refusal, case: &str) {
    let mut shown = serde_json::to_string(&Problem::of(&refusal.rejection)).unwrap();
    let _ = write!(shown, "{:?} {}", refusal.rejection, refusal.rejection);
    let mut cause = refusal.rejection.source.as_deref().map(|e| e as &dyn std::error::Error);
    while let Some(error) = cause {
        let _ = write!(shown, "{error:?} {error}");
        cause = error.source();
    }
    let token = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    assert!(!shown.split("spt_").skip(1).any(token), "{case}: {shown}");
    for secret in ["hunter2", "sk_test", "_secret_", "No such thing", "<"] {
        assert!(!shown.contains(secret), "{case}: {secret}: {shown}");
    }
}

#[tokio::test]
async fn tokens_that_are_no_good_are_told_why() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let now = stage.sim.now();
    let revoked = stage.token(VISA);
    revoke(&stage, &revoked).await;
    for (case, spt, reason) in [
        ("expired", stage.sim.token(VISA, "usd", 500, now - 1), reason::TOKEN_EXPIRED),
        ("too small", stage.sim.token(VISA, "usd", 499, now + 300), reason::TOKEN_TOO_SMALL),
        ("euros", stage.sim.token(VISA, "eur", 500, now + 300), reason::TOKEN_TOO_SMALL),
        ("revoked", revoked, reason::TOKEN_REVOKED),
        ("another seller's", foreign_token(&stage).await, reason::TOKEN_UNKNOWN),
        ("invented", "spt_hunter2".to_owned(), reason::TOKEN_UNKNOWN),
        ("no token", "pm_card_visa".to_owned(), reason::NOT_A_TOKEN),
        ("a path", "spt_../../refunds".to_owned(), reason::NOT_A_TOKEN),
        ("nothing", String::new(), reason::NOT_A_TOKEN),
    ] {
        let refusal = shop.refusal(&shop.answer(&spt).await).await;
        let (status, why, challenges) = super::stage::why(&refusal);
        assert_eq!((status, why, challenges), (402, reason, 1), "{case}");
        holds_no_secret(&refusal, case);
    }
    assert_eq!(stage.succeeded(), 0);
}

async fn post(stage: &Stage, path: &str, form: &[(&str, &str)]) -> serde_json::Value {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = reqwest::Client::new().post(format!("{}{path}", stage.sim.url()));
    let request = request
        .basic_auth(stage.sim.secret_key(), Some(""))
        .header("stripe-version", "2026-07-29.preview")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

async fn revoke(stage: &Stage, spt: &str) {
    let path = format!("/v1/test_helpers/shared_payment/granted_tokens/{spt}/revoke");
    assert_eq!(post(stage, &path, &[]).await["deactivated_reason"], "revoked");
}

async fn foreign_token(stage: &Stage) -> String {
    let end = (stage.sim.now() + 300).to_string();
    let form = [
        ("payment_method", VISA),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "500"),
        ("usage_limits[expires_at]", &*end),
        ("seller_details[network_id]", "profile_somebody"),
    ];
    let token = post(stage, "/v1/test_helpers/shared_payment/granted_tokens", &form).await;
    token["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s20_a_payload_of_another_payment_is_refused_before_anything_is_asked() {
    let stage = Stage::new().await;
    let price = "5 usd".parse::<Price>().unwrap().external_id("order-1");
    let shop = stage.selling(price, stage.verifier());
    for external_id in [None, Some("order-2"), Some("")] {
        let shown = answer(&shop.challenge().await, &stage.token(VISA), external_id);
        let refusal = shop.refusal(&shown).await;
        let expected: Why = (402, reason::WRONG_EXTERNAL_ID, 1);
        assert_eq!(super::stage::why(&refusal), expected);
        assert_eq!(refusal.rejection.kind.suffix(), "invalid-challenge");
        assert_eq!(
            refusal.rejection.detail,
            "credential externalId does not match this route request"
        );
    }
    assert_eq!(stage.charges(), 0);
    // Where the request names none, the payer's own is the payer's own business.
    let shop = stage.shop();
    let shown = answer(&shop.challenge().await, &stage.token(VISA), Some("mine"));
    assert_eq!(shop.delivers(&shown).await.external_id, None);
}

#[tokio::test]
async fn prices_that_stripe_does_not_charge_are_no_offers() {
    let stage = Stage::new().await;
    let terms = |code: &str, price: &str| {
        let currency = Currency::parse(code).unwrap();
        let verifier = Verifier::new(stage.api(), TEST_NETWORK, currency).unwrap();
        verifier.terms(&price.parse().unwrap()).map(|terms| terms.amount.get())
    };
    let below = |least| PriceError::BelowMinimum { least: Amount::new(least) };
    assert_eq!(terms("usd", "0.50 usd"), Ok(50));
    assert_eq!(terms("usd", "0.49 USD"), Err(below(50)));
    assert_eq!(terms("usd", "0 usd"), Err(PriceError::Nothing));
    assert_eq!(terms("usd", "5 eur"), Err(PriceError::Unit));
    assert!(matches!(terms("usd", "0.501 usd"), Err(PriceError::Amount(_))));
    assert_eq!(terms("usd", "999999.99 usd"), Ok(99_999_999));
    assert_eq!(terms("usd", "1000000 usd"), Err(PriceError::Unpayable));
    assert_eq!(terms("jpy", "50 jpy"), Ok(50));
    assert!(matches!(terms("jpy", "50.5 jpy"), Err(PriceError::Amount(_))));
    assert_eq!(terms("kwd", "1.230 kwd"), Ok(1230));
    assert!(matches!(terms("kwd", "1.234 kwd"), Err(PriceError::Amount(_))));
    assert_eq!(terms("idr", "9999999999.99 idr"), Ok(999_999_999_999));
    assert_eq!(terms("huf", "174 huf"), Err(below(17_500)));
}

#[tokio::test]
async fn what_was_paid_covers_a_price_that_stripe_does_not_charge_and_no_more() {
    let stage = Stage::new().await;
    let covering = |price: &str| {
        let terms = stage.verifier().covering(&price.parse().unwrap())?;
        assert_eq!((&*terms.currency, terms.recipient), ("usd", None));
        Some(terms.amount.get())
    };
    for (price, least) in [
        ("0.30 usd", Some(30)),
        ("0.501 USD", Some(51)),
        ("0 usd", Some(0)),
        ("1000000 usd", Some(100_000_000)),
        ("0.30 eur", None),
    ] {
        assert_eq!(covering(price), least, "{price}");
    }
}

#[tokio::test]
async fn s20_there_is_no_seller_without_a_network_id() {
    let stage = Stage::new().await;
    for bad in ["", "profile 1", "profile/1", &"x".repeat(129)] {
        let made = Verifier::new(stage.api(), bad, Currency::USD);
        assert_eq!(made.unwrap_err(), SetupError::NetworkId, "{bad}");
    }
}

#[tokio::test]
async fn s13_notes_over_stripes_limits_and_ways_to_pay_that_are_none_are_refused_at_setup() {
    let stage = Stage::new().await;
    let shop = || stage.verifier();
    assert_eq!(shop().payment_methods([""]).unwrap_err(), SetupError::PaymentMethods);
    let none: [&str; 0] = [];
    assert_eq!(shop().payment_methods(none).unwrap_err(), SetupError::PaymentMethods);
    let long = shop().metadata("note", "x".repeat(501)).unwrap_err();
    assert_eq!(long, MetadataError::Value("note".into()).into());
    let reserved = shop().metadata("externalId", "x").unwrap_err();
    assert_eq!(reserved, MetadataError::Reserved("externalId".into()).into());
    let mut full = shop();
    for n in 0..46 {
        full = full.metadata(format!("n{n}"), "x").unwrap();
    }
    assert_eq!(full.metadata("one more", "x").unwrap_err(), MetadataError::TooMany.into());
}

#[tokio::test]
async fn markup_and_other_alphabets_pass_through_as_they_are() {
    let stage = Stage::new().await;
    let markup = "<script>alert('ä & ☕')</script>\u{202e}";
    let verifier = stage.verifier().metadata("note", markup).unwrap();
    let price = "5 usd".parse::<Price>().unwrap().describe(markup);
    let shop = stage.selling(price, verifier);
    let challenge = shop.challenge().await;
    shop.delivers(&answer(&challenge, &stage.token(VISA), None)).await;
    assert_eq!(stage.intents()[0]["metadata"]["note"], markup);
    assert_eq!(stage.intents()[0]["description"], serde_json::Value::Null);
}

#[tokio::test]
async fn nothing_that_is_logged_or_shown_holds_a_token_or_a_key() {
    let (log, _listening) = Log::listen();
    let stage = Stage::new().await;
    let verifier = stage.verifier();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clone());
    let mut tokens = Vec::new();
    for fault in [
        None,
        Some(Fault::AnswerLost),
        Some(Fault::ServerError),
        Some(Fault::ConnectionLost),
        Some(Fault::Garbage(400, "spt_hunter2".into())),
    ] {
        let spt = stage.token(VISA);
        let shown = shop.answer(&spt).await;
        fault.into_iter().for_each(|fault| stage.sim.next(fault));
        if let Err(refusal) = shop.judge(Some(&shown)).await {
            holds_no_secret(&refusal, "a fault");
        }
        tokens.push(spt);
    }
    for card in ["pm_card_chargeDeclined", "pm_card_authenticationRequired"] {
        let spt = stage.token(card);
        holds_no_secret(&shop.refusal(&shop.answer(&spt).await).await, card);
        tokens.push(spt);
    }
    tokens.push(stage.sim.secret_key().to_owned());
    let written = log.text();
    assert!(written.contains(Reason::OUTCOME_UNKNOWN.as_str()), "{written}");
    let shown = format!("{verifier:?} {:?} {written}", stage.api());
    for secret in tokens {
        assert!(!shown.contains(&secret), "{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}
