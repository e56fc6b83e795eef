//! What a hostile reader tried at Stripe: money that is taken beside the books, and runs that die in the middle of giving it back.

use mpp_core::{problem::Reason, renewer::Renewer, verifier::Verifier};
use mpp_testkit::stripe::Fault;

use super::stage::{DAY, Stage, VISA, WEEK, failed, is_unknown, period, recovered, settled};

#[tokio::test]
async fn what_was_charged_while_a_calling_off_was_broken_off_is_given_back_too() {
    let stage = Stage::new().await;
    let order = stage.checked(&stage.card("tok_visa").await, None).await.unwrap();
    settled(stage.shop.settle(&order).await);
    let id = stage.sim.objects("subscription")[0]["id"].as_str().unwrap().to_owned();
    // A run that found it unfit marked it, and died before it ended anything.
    stage.post(&format!("/v1/subscriptions/{id}"), &[("metadata[mpp_called_off]", "true")]).await;
    stage.sim.advance(2 * WEEK + DAY);
    assert_eq!(stage.taken(), 3 * 999);
    assert_eq!(failed(recovered(&stage.shop, &order).await), Reason::BAD_PROOF);
    assert_eq!((stage.living(), stage.taken()), (0, 0), "failed, and money is left");
}

#[tokio::test]
async fn what_stripe_collected_of_periods_that_were_called_off_is_given_back() {
    for lost in [None, Some(0), Some(1)] {
        let stage = Stage::new().await;
        let mut agreement = stage.subscribed(VISA).await;
        let end = agreement.cancel().unwrap();
        stage.sim.advance(2 * WEEK + DAY);
        assert_eq!(stage.taken(), 3 * 999);
        if let Some(call) = lost {
            for _ in 0..call {
                stage.sim.next(Fault::Slow(std::time::Duration::ZERO));
            }
            stage.sim.next(Fault::AnswerLost);
            stage.shop.cancel(&agreement, &end).await.unwrap_err();
        }
        // Nothing from that end on is served, so nothing of it is kept.
        stage.shop.cancel(&agreement, &end).await.unwrap();
        stage.shop.cancel(&agreement, &end).await.unwrap();
        assert_eq!((stage.living(), stage.taken()), (0, 999));
    }
}

#[tokio::test]
async fn what_was_paid_before_an_end_is_never_given_back() {
    let stage = Stage::new().await;
    let mut agreement = stage.subscribed(VISA).await;
    stage.sim.advance(WEEK + DAY);
    let second = settled(stage.renewed(&agreement, &period(&agreement, 1)).await);
    agreement.paid = 1;
    agreement.receipt = stage.receipt(&second);
    let end = agreement.cancel().unwrap();
    for _ in 0..2 {
        stage.shop.cancel(&agreement, &end).await.unwrap();
        assert_eq!(stage.taken(), 2 * 999);
        stage.sim.advance(2 * WEEK);
    }
    assert_eq!((stage.living(), stage.taken()), (0, 2 * 999));
}

#[tokio::test]
async fn a_run_that_wakes_late_finds_what_another_began() {
    // Two processes, one order; the keys of the first are gone when the second wakes.
    let stage = Stage::new().await;
    let order = stage.checked(&stage.card("tok_visa").await, None).await.unwrap();
    stage.sim.next(Fault::Slow(std::time::Duration::ZERO));
    stage.sim.next(Fault::Slow(std::time::Duration::ZERO));
    stage.sim.next(Fault::Slow(std::time::Duration::ZERO));
    stage.sim.next(Fault::AnswerLost);
    assert!(is_unknown(&stage.shop.settle(&order).await));
    stage.sim.advance(DAY + DAY);
    settled(stage.shop.settle(&order).await);
    assert_eq!((stage.sim.objects("subscription").len(), stage.taken()), (1, 999));
}
