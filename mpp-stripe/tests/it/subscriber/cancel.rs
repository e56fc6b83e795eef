//! Cancelling: at the end of what was paid, and never a charge more.

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
