//! Renewals: Stripe's own invoices, found or paid, one for each period.

use mpp_core::{
    agreement::Agreement, fate::Fate, problem::Reason, renewer::Renewer, verifier::Verifier,
};

use super::stage::{DAY, Stage, VISA, WEEK, failed, is_unknown, period, recovered, settled};

#[tokio::test]
async fn each_period_is_charged_once_by_stripes_own_invoice() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    for index in 1..4 {
        stage.sim.advance(WEEK);
        let period = period(&agreement, index);
        let settlement = settled(stage.renewed(&agreement, &period).await);
        assert_eq!(settlement.extra["subscriptionId"], *agreement.began.id);
        assert!(settlement.began.is_none());
        // Again, and asked after: the same charge.
        assert_eq!(settled(stage.renewed(&agreement, &period).await), settlement);
        let order = stage.shop.renewal(&agreement, &period).unwrap();
        assert_eq!(settled(stage.shop.reconcile(&order).await), settlement);
        assert_eq!(stage.taken(), 999 * (i64::try_from(index).unwrap() + 1));
    }
    assert_eq!(stage.sim.objects("invoice").len(), 4);
    assert_eq!(stage.calls("POST", "/v1/invoices"), 0);
}

#[tokio::test]
async fn what_stripe_collected_by_itself_is_found() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    stage.sim.advance(WEEK + DAY);
    let paid = stage.taken();
    settled(stage.renewed(&agreement, &period(&agreement, 1)).await);
    assert_eq!((paid, stage.taken()), (2 * 999, 2 * 999));
}

#[tokio::test]
async fn a_period_that_stripe_has_not_begun_is_not_known_yet() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    assert!(is_unknown(&stage.renewed(&agreement, &period(&agreement, 1)).await));
    assert_eq!(stage.taken(), 999);
}

#[tokio::test]
async fn a_later_decline_voids_the_invoice_and_ends_the_subscription() {
    for waits in [WEEK, WEEK + DAY] {
        let stage = Stage::new().await;
        let agreement = stage.subscribed(VISA).await;
        fails_from_now_on(&stage, &agreement).await;
        // Before and after Stripe has tried by itself.
        stage.sim.advance(waits);
        assert_eq!(
            failed(stage.renewed(&agreement, &period(&agreement, 1)).await),
            Reason::DECLINED
        );
        assert_eq!((stage.living(), stage.invoices("void"), stage.invoices("open")), (0, 1, 0));
        // Nothing is charged for it any more, and again it is the same.
        stage.sim.advance(4 * WEEK);
        assert_eq!(
            failed(stage.renewed(&agreement, &period(&agreement, 1)).await),
            Reason::DECLINED
        );
        assert_eq!(stage.taken(), 999);
    }
}

#[tokio::test]
async fn an_open_invoice_of_a_period_that_is_over_is_voided_and_never_paid() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    let good = stage.sim.objects("subscription")[0]["default_payment_method"].clone();
    fails_from_now_on(&stage, &agreement).await;
    stage.sim.advance(WEEK + DAY);
    assert_eq!(stage.invoices("open"), 1);
    let path = format!("/v1/subscriptions/{}", subscription(&agreement));
    stage.post(&path, &[("default_payment_method", good.as_str().unwrap())]).await;
    stage.sim.advance(WEEK);
    let settlement = settled(stage.renewed(&agreement, &period(&agreement, 2)).await);
    assert_eq!((stage.invoices("void"), stage.invoices("open")), (1, 0));
    assert_eq!(stage.taken(), 2 * 999);
    // The period that was missed is not had by the later charge.
    let missed = stage.renewed(&agreement, &period(&agreement, 1)).await;
    assert!(!matches!(missed, Fate::Settled(_)), "{missed:?} {settlement:?}");
}

#[tokio::test]
async fn a_subscription_that_stripe_has_ended_charges_nothing_and_says_so() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    let path = format!("/v1/subscriptions/{}", subscription(&agreement));
    stage.post(&path, &[("cancel_at_period_end", "true")]).await;
    // By our clock the period began, by Stripe's not yet.
    assert_eq!(failed(stage.renewed(&agreement, &period(&agreement, 1)).await), Reason::BAD_PROOF);
    stage.sim.advance(WEEK);
    assert_eq!(failed(stage.renewed(&agreement, &period(&agreement, 1)).await), Reason::BAD_PROOF);
    assert_eq!(stage.taken(), 999);
}

#[tokio::test]
async fn an_open_invoice_of_a_subscription_that_was_ended_is_not_paid() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    stage.sim.advance(WEEK);
    // The seller ends it by hand, while its invoice is a draft.
    stage.delete(&format!("/v1/subscriptions/{}", subscription(&agreement))).await;
    assert_eq!(failed(stage.renewed(&agreement, &period(&agreement, 1)).await), Reason::BAD_PROOF);
    stage.sim.advance(WEEK);
    assert_eq!((stage.invoices("void"), stage.taken()), (1, 999));
}

#[tokio::test]
async fn a_charge_at_another_price_is_given_back_and_ends_the_subscription() {
    let stage = Stage::new().await;
    let agreement = stage.subscribed(VISA).await;
    stage.sim.advance(WEEK + DAY);
    // Stripe charged 9.99; the books say that less was agreed.
    let mut other = agreement.clone();
    other.amount = mpp_core::Amount::new(500);
    assert_eq!(failed(stage.renewed(&other, &period(&agreement, 1)).await), Reason::BAD_PROOF);
    assert_eq!((stage.living(), stage.taken()), (0, 999));
    // And is not taken for a payment afterwards, whatever the books say.
    let order = stage.shop.renewal(&agreement, &period(&agreement, 1)).unwrap();
    assert_eq!(failed(recovered(&stage.shop, &order).await), Reason::BAD_PROOF);
}

fn subscription(agreement: &Agreement) -> &str {
    agreement.began.kept["subscription"].as_str().unwrap()
}

/// From now on every charge is declined.
async fn fails_from_now_on(stage: &Stage, agreement: &Agreement) {
    let bad = stage.card("tok_chargeCustomerFail").await;
    let kept = &agreement.began.kept;
    let path = format!("/v1/payment_methods/{bad}/attach");
    stage.post(&path, &[("customer", kept["customer"].as_str().unwrap())]).await;
    let path = format!("/v1/subscriptions/{}", kept["subscription"].as_str().unwrap());
    stage.post(&path, &[("default_payment_method", &bad)]).await;
}
