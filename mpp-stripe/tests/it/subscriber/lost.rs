//! Every call of an activation and of a renewal is lost in every way: never two subscriptions, and never a lost one.

use std::time::Duration;

use mpp_core::{fate::Fate, problem::Reason, renewer::Renewer, verifier::Verifier};
use mpp_stripe::subscription::Evidence;
use mpp_testkit::stripe::Fault;

use super::stage::{DAY, Stage, VISA, WEEK, failed, is_unknown, period, recovered, settled};

fn faults() -> Vec<(&'static str, fn() -> Fault)> {
    vec![
        ("answer lost", || Fault::AnswerLost),
        ("server error", || Fault::ServerError),
        ("server error, stored", || Fault::ServerErrorStored),
        ("connection lost", || Fault::ConnectionLost),
        ("rate limited", || Fault::RateLimited),
        ("html", || Fault::Garbage(502, "<html>".to_owned())),
        ("an array", || Fault::Garbage(200, "[]".to_owned())),
        ("empty", || Fault::Garbage(400, String::new())),
    ]
}

/// The next calls but one suffer nothing.
const NOTHING: Duration = Duration::ZERO;

fn strike(stage: &Stage, call: usize, fault: Fault) {
    for _ in 0..call {
        stage.sim.next(Fault::Slow(NOTHING));
    }
    stage.sim.next(fault);
}

/// Asks and goes on until it is known, as a ledger does.
async fn ends(stage: &Stage, order: &Evidence) -> Fate {
    for _ in 0..5 {
        let fate = recovered(&stage.shop, order).await;
        if !is_unknown(&fate) {
            return fate;
        }
    }
    Fate::unknown("still")
}

#[tokio::test]
async fn whatever_is_lost_of_an_activation_one_subscription_begins() {
    // A customer, an attachment, a price, a subscription.
    for call in 0..4 {
        for (name, fault) in faults() {
            let stage = Stage::new().await;
            let order = stage.checked(VISA, None).await.unwrap();
            strike(&stage, call, fault());
            let first = stage.shop.settle(&order).await;
            assert!(
                !matches!(first, Fate::Failed(_) | Fate::Absent),
                "{name} at {call}: {first:?}"
            );
            let fate = match first {
                Fate::Unknown(_) => ends(&stage, &order).await,
                known => known,
            };
            if call == 3 && name == "server error, stored" {
                // Stripe says the same for a day, and after it, that there is nothing.
                assert!(is_unknown(&fate), "{fate:?}");
                stage.sim.advance(DAY);
                assert_eq!(failed(ends(&stage, &order).await), Reason::EXPIRED);
                assert_eq!((stage.living(), stage.taken()), (0, 0));
                continue;
            }
            assert!(matches!(fate, Fate::Settled(_)), "{name} at {call}: {fate:?}");
            let settlement = settled(fate);
            assert_eq!((stage.living(), stage.taken()), (1, 999), "{name} at {call}");
            assert_eq!(settled(stage.shop.settle(&order).await), settlement, "{name} at {call}");
            assert_eq!(stage.sim.objects("subscription").len(), 1, "{name} at {call}");
        }
    }
}

#[tokio::test]
async fn a_subscription_whose_answer_was_lost_is_found_after_the_keys_are_gone() {
    for card in [VISA, "tok_visa"] {
        let stage = Stage::new().await;
        let method = if card == VISA { card.to_owned() } else { stage.card(card).await };
        let order = stage.checked(&method, None).await.unwrap();
        strike(&stage, 3, Fault::AnswerLost);
        assert!(is_unknown(&stage.shop.settle(&order).await));
        stage.sim.advance(DAY * 2);
        settled(recovered(&stage.shop, &order).await);
        assert_eq!((stage.living(), stage.taken()), (1, 999));
    }
}

#[tokio::test]
async fn two_runs_of_one_order_at_once_make_one_subscription() {
    let stage = Stage::new().await;
    let order = stage.checked(&stage.card("tok_visa").await, None).await.unwrap();
    let (one, two) = tokio::join!(stage.shop.settle(&order), stage.shop.settle(&order));
    for fate in [one, two] {
        assert!(matches!(fate, Fate::Settled(_) | Fate::Unknown(_)), "{fate:?}");
    }
    settled(recovered(&stage.shop, &order).await);
    assert_eq!((stage.sim.objects("subscription").len(), stage.taken()), (1, 999));
}

#[tokio::test]
async fn whatever_is_lost_of_a_renewal_it_is_charged_once() {
    // Made final, and paid.
    for call in 0..2 {
        for (name, fault) in faults() {
            let stage = Stage::new().await;
            let agreement = stage.subscribed(VISA).await;
            stage.sim.advance(WEEK);
            let order = stage.shop.renewal(&agreement, &period(&agreement, 1)).unwrap();
            strike(&stage, call, fault());
            let first = stage.shop.settle(&order).await;
            assert!(!matches!(first, Fate::Failed(_)), "{name} at {call}: {first:?}");
            let mut fate = ends(&stage, &order).await;
            if is_unknown(&fate) {
                // A stored failure of its key: Stripe says the same for a day.
                assert_eq!((call, name), (1, "server error, stored"));
                stage.sim.advance(DAY);
                fate = ends(&stage, &order).await;
            }
            settled(fate);
            assert_eq!(stage.taken(), 2 * 999, "{name} at {call}");
        }
    }
}
