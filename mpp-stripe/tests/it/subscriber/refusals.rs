//! What is not sold, not taken and not shown.

use mpp_core::{
    Timestamp,
    intent::{PeriodUnit, Plan, PriceError},
    problem::{Problem, Reason},
    verifier::Verifier as _,
};
use mpp_stripe::{
    Currency,
    subscription::{SetupError, Verifier},
};

use super::stage::{NETWORK, Stage, VISA, api, plan};

#[tokio::test]
async fn plans_that_stripe_cannot_say_exactly_are_no_offer() {
    let stage = Stage::new().await;
    let terms = |plan: &Plan| stage.shop.terms(plan).map(|terms| terms.amount.get());
    for (text, expected) in [
        ("9.99 usd per month", Ok(999)),
        ("0.50 usd per 1095 days", Ok(50)),
        ("5 usd per 156 weeks", Ok(500)),
        ("5 usd per 36 months", Ok(500)),
        ("5 usd per 1096 days", Err(PriceError::Unpayable)),
        ("5 usd per 157 weeks", Err(PriceError::Unpayable)),
        ("5 usd per 37 months", Err(PriceError::Unpayable)),
        ("0 usd per month", Err(PriceError::Nothing)),
        ("0.49 usd per month", Err(PriceError::BelowMinimum { least: mpp_core::Amount::new(50) })),
        ("1000000 usd per month", Err(PriceError::Unpayable)),
        ("5 eur per month", Err(PriceError::Unit)),
    ] {
        assert_eq!(terms(&plan(text)), expected, "{text}");
    }
    let ending = plan("5 usd per month").until(Timestamp::parse("2030-01-01T00:00:00Z").unwrap());
    assert_eq!(terms(&ending), Err(PriceError::Unpayable));
    assert!("5 usd per year".parse::<Plan>().is_err());
}

#[tokio::test]
async fn a_broader_or_foreign_request_is_not_settled() {
    let stage = Stage::new().await;
    let end = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
    let challenges = [
        stage.challenge(|terms, _| terms.recipient = Some("acct_1".into())),
        stage.challenge(|terms, _| terms.subscription_expires = Some(end)),
        stage.challenge(|terms, _| terms.currency = "eur".into()),
        stage.challenge(|terms, _| terms.currency = "USD".into()),
        stage.challenge(|terms, _| terms.period_count = 157.try_into().unwrap()),
        stage.challenge(|terms, _| {
            (terms.period_unit, terms.period_count) = (PeriodUnit::Month, 37.try_into().unwrap())
        }),
        stage.challenge(|terms, _| terms.amount = mpp_core::Amount::ZERO),
        stage.challenge(|terms, _| terms.amount = mpp_core::Amount::new(u128::MAX)),
        stage.challenge(|_, details| details.network_id = "profile_other".into()),
        stage.challenge(|_, details| details.payment_method_types = vec!["us_bank_account".into()]),
        stage.challenge(|_, details| details.metadata = Some([("a".into(), "b".into())].into())),
    ];
    let before = stage.sim.calls().len();
    for challenge in &challenges {
        let refusal = stage.shop.check(&stage.claim(challenge, VISA, None)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::WRONG_TERMS, "{:?}", challenge.request);
    }
    assert_eq!(stage.sim.calls().len(), before);
}

#[tokio::test]
async fn a_payment_method_that_is_not_there_is_refused_and_nothing_is_made() {
    let stage = Stage::new().await;
    let refusal = stage.checked("pm_nobody", None).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::BAD_PROOF);
    let body = serde_json::to_string(&Problem::of(&refusal)).unwrap();
    let log = format!("{refusal:?}");
    for secret in ["pm_nobody", stage.sim.secret_key()] {
        assert!(!body.contains(secret) && !log.contains(secret), "{body} {log}");
    }
    assert!(stage.sim.objects("customer").is_empty());
    let by_link = stage.shop.clone().payment_method_types(["link"]).unwrap();
    let challenge =
        stage.challenge(|_, details| details.payment_method_types = vec!["link".into()]);
    let refusal = by_link.check(&stage.claim(&challenge, VISA, None)).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::BAD_PROOF);
}

#[tokio::test]
async fn a_read_that_is_lost_refuses_nobody() {
    let stage = Stage::new().await;
    let claim = stage.claim(&stage.challenge(|_, _| ()), VISA, None);
    // Nobody is there.
    let gone = api(&stage.sim).at("http://127.0.0.1:1").unwrap();
    let shop = Verifier::new(gone, NETWORK, Currency::USD).unwrap();
    let refusal = shop.check(&claim).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.kind.fresh), (Reason::OUTCOME_UNKNOWN, false));
}

#[tokio::test]
async fn sellers_are_told_what_they_cannot_configure() {
    let stage = Stage::new().await;
    let shop = || stage.shop.clone();
    let network = |id: &str| Verifier::new(api(&stage.sim), id, Currency::USD).map(drop);
    assert_eq!(network("acct_1"), Err(SetupError::Network));
    assert_eq!(network("internal"), Ok(()));
    for types in [vec![], vec!["us_bank_account"], vec!["card", "sepa_debit"], vec!["Card"]] {
        assert_eq!(shop().payment_method_types(types).map(drop), Err(SetupError::Type));
    }
    let note = |name: &str, value: &str| shop().metadata([(name, value)]).map(drop);
    assert_eq!(note("plan", "weekly-pro"), Ok(()));
    for (name, value) in [
        ("", ""),
        ("mpp_challenge_id", "x"),
        ("mpp_terms", "1 usd 1 day"),
        ("mpp_called_off", "true"),
        ("a[b]", ""),
        (&"k".repeat(41), ""),
        ("k", &"v".repeat(501)),
    ] {
        assert_eq!(note(name, value), Err(SetupError::Metadata), "{name}");
    }
    let many = (0..41).map(|n| (format!("k{n}"), "v"));
    assert_eq!(shop().metadata(many).map(drop), Err(SetupError::Metadata));
    assert_eq!(shop().product("prod/../x").map(drop), Err(SetupError::Product));
    assert_eq!(shop().account("cus_1").map(drop), Err(SetupError::Account));
}
