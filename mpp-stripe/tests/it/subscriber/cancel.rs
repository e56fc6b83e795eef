//! Cancelling: at the end of what was paid, and never a charge more.

use std::time::Duration;

use mpp_core::renewer::Renewer;

use super::stage::{DAY, Stage, VISA, WEEK, failed, period};
use mpp_core::problem::Reason;

#[tokio::test]
async fn a_cancelled_subscription_ends_with_the_period_that_was_paid() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let end = agreement.cancel().unwrap();
    for _ in 0..3 {
        stage.shop.cancel(&agreement, &end).await.unwrap();
    }
    let subscription = &stage.sim.objects("subscription")[0];
    assert_eq!(subscription["cancel_at"], end.unix_seconds());
    assert_eq!(stage.living(), 1);
    stage.sim.advance(3 * WEEK);
    assert_eq!((stage.living(), stage.taken()), (0, 999));
    // Deleted already: it is said again all the same.
    stage.shop.cancel(&agreement, &end).await.unwrap();
    assert_eq!(failed(stage.renewed(&agreement, &period(&agreement, 1)).await), Reason::BAD_PROOF);
}

#[tokio::test]
async fn where_stripe_is_in_an_unpaid_period_already_it_ends_at_once() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let end = agreement.cancel().unwrap();
    stage.sim.advance(WEEK);
    assert_eq!(stage.invoices("draft"), 1);
    stage.shop.cancel(&agreement, &end).await.unwrap();
    assert_eq!(stage.living(), 0);
    stage.sim.advance(DAY);
    // Its draft is not Stripe's to collect; were it, it would be voided here.
    stage.shop.cancel(&agreement, &end).await.unwrap();
    assert_eq!(stage.invoices("open"), 0);
}

#[tokio::test]
async fn what_waits_for_the_next_invoice_is_removed_before() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let customer = agreement.began.kept["customer"].as_str().unwrap().to_owned();
    stage
        .post("/v1/invoiceitems", &[("customer", &customer), ("amount", "5"), ("currency", "usd")])
        .await;
    let end = agreement.cancel().unwrap();
    stage.shop.cancel(&agreement, &end).await.unwrap();
    assert_eq!(stage.sim.objects("invoiceitem")[0]["deleted"], true);
}

#[tokio::test]
async fn a_cancel_that_was_not_heard_is_said_again() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let end = agreement.cancel().unwrap();
    stage.sim.next(mpp_testkit::stripe::Fault::ConnectionLost);
    let refusal = stage.shop.cancel(&agreement, &end).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::OUTCOME_UNKNOWN);
    stage.shop.cancel(&agreement, &end).await.unwrap();
    // The paid period goes on.
    stage.sim.advance(DAY);
    assert_eq!(stage.living(), 1);
}

#[tokio::test]
async fn a_period_that_begins_while_stripe_is_told_is_not_charged() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    let customer = agreement.began.kept["customer"].as_str().unwrap().to_owned();
    let item = [("customer", customer.as_str()), ("amount", "5"), ("currency", "usd")];
    stage.post("/v1/invoiceitems", &item).await;
    let end = agreement.cancel().unwrap();
    // Removing the item takes its time, and the next period begins meanwhile.
    stage.sim.next(mpp_testkit::stripe::Fault::Slow(Duration::from_millis(300)));
    let meanwhile = async {
        while stage.sim.objects("invoiceitem")[0]["deleted"] != true {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.sim.advance(WEEK);
    };
    let (said, ()) = tokio::join!(stage.shop.cancel(&agreement, &end), meanwhile);
    said.unwrap();
    assert!(
        stage
            .sim
            .calls()
            .iter()
            .any(|call| call.form.iter().any(|(name, _)| name == "cancel_at_period_end"))
    );
    stage.sim.advance(DAY);
    assert_eq!((stage.living(), stage.invoices("open"), stage.taken()), (0, 0, 999));
}
