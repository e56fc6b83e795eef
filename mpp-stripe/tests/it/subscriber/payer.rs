//! The client half: nothing recurs by accident.

use mpp_core::{
    Challenge,
    challenge::Demand,
    payer::{Allowance, Became, Payer as _, Recall, Site},
};
use mpp_stripe::{StripeSubscription, subscription::Payer};

use super::stage::{NETWORK, Stage, VISA, plan};

fn payer() -> Payer {
    Payer::new(VISA.parse().unwrap())
}

/// What is staked, in cents, or why nothing is.
fn staked(payer: &Payer, challenge: &Challenge) -> Result<u128, String> {
    let demand: Demand<'_, StripeSubscription> = challenge.read().unwrap();
    let (exposed, why) = (payer.exposes(&demand), payer.declines(&demand));
    assert_eq!(exposed.is_none(), why.is_some());
    exposed.map(|e| e.amount.get()).ok_or_else(|| why.unwrap().into_owned())
}

#[tokio::test]
async fn nothing_recurs_that_was_not_allowed_to() {
    let stage = Stage::new().await;
    let weekly = stage.challenge(|_, _| ());
    let none = staked(&payer(), &weekly).unwrap_err();
    assert!(none.contains("up_to"), "{none}");
    for (allowed, expected) in [
        ("9.99 usd per week", true),
        ("10 usd per day", true),
        ("10 usd per 7 days", true),
        ("9.98 usd per week", false),
        ("10 usd per 2 weeks", false),
        ("10 usd per 8 days", false),
        ("10 usd per month", false),
        ("10 eur per week", false),
    ] {
        let payer = payer().up_to(plan(allowed)).unwrap();
        assert_eq!(staked(&payer, &weekly).is_ok(), expected, "{allowed}");
        let with_another = payer.up_to(plan("10 usd per week")).unwrap();
        assert_eq!(staked(&with_another, &weekly), Ok(999));
    }
    assert!(payer().up_to(plan("10 sats per week")).is_err());
}

#[tokio::test]
async fn what_is_asked_by_others_or_for_more_is_left_alone() {
    let stage = Stage::new().await;
    let allowed = || payer().up_to(plan("10 usd per week")).unwrap();
    let weekly = stage.challenge(|_, _| ());
    assert_eq!(staked(&allowed().only_to([NETWORK]), &weekly), Ok(999));
    for (payer, challenge) in [
        (allowed().only_to(["profile_other"]), weekly.clone()),
        (allowed().of_type("link"), weekly),
        (allowed(), stage.challenge(|terms, _| terms.recipient = Some("x".into()))),
        (allowed(), stage.challenge(|terms, _| terms.currency = "USD".into())),
    ] {
        let why = staked(&payer, &challenge).unwrap_err();
        assert!(!why.contains(VISA), "{why}");
    }
}

#[tokio::test]
async fn a_payment_method_is_shown_within_what_was_allowed_and_not_printed() {
    let stage = Stage::new().await;
    let payer =
        payer().of_customer("cus_1".parse().unwrap()).up_to(plan("10 usd per week")).unwrap();
    let challenge = stage.challenge(|_, _| ());
    let demand: Demand<'_, StripeSubscription> = challenge.read().unwrap();
    let to = Site { origin: "http://shop".into(), resource: "GET /joke".into() };
    let within = |cents| Allowance { up_to: mpp_core::Amount::new(cents), to: to.clone() };
    let error = payer.pay(&demand, &within(998)).await.unwrap_err();
    assert_eq!(error.funds, mpp_core::payer::Funds::Untouched);
    let payment = payer.pay(&demand, &within(999)).await.unwrap();
    assert_eq!(payment.payload.payment_method, VISA);
    assert_eq!(payment.payload.customer.as_ref().unwrap().as_str(), "cus_1");
    assert!(!format!("{payer:?} {payment:?}").contains(VISA));
    assert!(matches!(payer.recall(&demand).await.unwrap(), Recall::Never));
    assert_eq!(payer.became(&demand, &payment.payload).await.unwrap(), Became::Open);
}
