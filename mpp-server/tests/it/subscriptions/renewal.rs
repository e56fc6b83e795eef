//! Later periods: one charge each, and only where somebody asks.

use std::{sync::Arc, time::Duration};

use mpp_core::problem::Reason;
use mpp_testkit::rail::{Act, Step};
use tokio::task::JoinSet;

use super::{DAY, House, PRODUCT, route, why};

const UNKNOWN: super::Why = (503, Reason::OUTCOME_UNKNOWN, 0);

#[tokio::test(start_paused = true)]
async fn a_due_period_is_charged_for_once_and_what_was_missed_never() {
    let house = House::new();
    let first = house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    let second = house.served("alice").await;
    assert_eq!(second.reference, "club0-1");
    assert_eq!(second.extra["challengeId"], first.extra["challengeId"]);
    assert_eq!(second.extra["subscriptionId"], "club0");
    // Four periods in which nobody asked.
    house.clock.advance(DAY * 150);
    assert_eq!(house.served("alice").await.reference, "club0-6");
    assert_eq!((house.club.charges(), house.club.sent_again()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_in_a_due_period_charge_once() {
    let house = Arc::new(House::new());
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    let beside = Arc::new(house.another());
    house.club.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(1))]);
    let mut asking = JoinSet::new();
    for i in 0..1_000 {
        let house = if i % 2 == 0 { house.clone() } else { beside.clone() };
        asking.spawn(async move { house.ask(Some("alice"), None).await });
    }
    // All wait for the one charge, at either server.
    for came in asking.join_all().await {
        assert_eq!(came.unwrap().reference, "club0-1");
    }
    assert_eq!((house.club.charges(), house.club.asked(Step::Settle)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_declined_charge_ends_the_subscription_and_another_can_begin() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::Refuses]);
    let declined = (402, Reason::RENEWAL_DECLINED, 1);
    assert_eq!(house.refused("alice", None).await, declined);
    // Said again, nothing is tried again.
    assert_eq!(house.refused("alice", None).await, declined);
    assert_eq!(house.club.asked(Step::Settle), 2);
    crate::shop::everything_runs().await;
    assert_eq!(house.club.told(), 1, "the club would go on charging by itself");
    let anew = house.subscribe("alice").await;
    assert_eq!(anew.reference, "club1-0");
    assert_eq!(house.served("alice").await, anew);
}

#[tokio::test(start_paused = true)]
async fn a_charge_whose_answer_is_lost_is_asked_after_and_not_made_again() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    // Asked a moment ago.
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    assert_eq!(house.club.asked(Step::Reconcile), 0);
    house.clock.advance(Duration::from_secs(3));
    assert_eq!(house.served("alice").await.reference, "club0-1");
    assert_eq!((house.club.charges(), house.club.sent_again()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_charge_that_the_rail_never_heard_of_is_sent_in_its_period_and_not_after_it() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::NeverHears]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house.clock.advance(DAY * 30);
    assert_eq!(house.served("alice").await.reference, "club0-2");
    assert_eq!(house.club.charges(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_open_charge_is_asked_after_by_a_pass_over_the_books_and_never_made_by_it() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.gate.recover().await.unwrap();
    assert_eq!(house.club.charges(), 1, "nobody asked");
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house.clock.advance(Duration::from_secs(3));
    assert_eq!(house.another().gate.recover().await.unwrap().renewals, 1);
    assert_eq!(house.gate.recover().await.unwrap().renewals, 0);
    assert_eq!(house.served("alice").await.reference, "club0-1");
    assert_eq!((house.club.charges(), house.club.asked(Step::Reconcile)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_in_a_renewal_changes_nothing() {
    let house = Arc::new(House::new());
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(2))]);
    let asking = tokio::spawn({
        let house = house.clone();
        async move { house.ask(Some("alice"), None).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    asking.abort();
    house.gate.idle().await;
    assert_eq!(house.served("alice").await.reference, "club0-1");
    assert_eq!((house.club.charges(), house.club.asked(Step::Reconcile)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_serves_to_the_end_of_what_was_paid() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 10);
    let books = house.gate.subscriptions();
    assert_eq!(books.cancel("other", "alice").await.unwrap(), None);
    let state = books.cancel(PRODUCT, "alice").await.unwrap().unwrap();
    assert_eq!(state.cancelled, state.paid_until);
    assert!(state.is_paid && !state.rail_untold);
    assert_eq!(books.cancel(PRODUCT, "alice").await.unwrap().unwrap(), state);
    assert_eq!(house.club.told(), 1);
    house.clock.advance(DAY * 19);
    house.served("alice").await;
    house.clock.advance(DAY);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    assert_eq!(house.club.charges(), 1);
    house.subscribe("alice").await;
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_does_not_hear_of_a_cancellation_is_told_again() {
    let house = House::new();
    house.subscribe("alice").await;
    house.club.deaf(true);
    let state = house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap().unwrap();
    assert!(state.rail_untold);
    house.gate.recover().await.unwrap();
    assert_eq!(house.club.told(), 0);
    // Whatever the rail hears, we charge nothing.
    house.clock.advance(DAY * 30);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    // Nor does another subscription make us forget that it is to be told.
    house.subscribe("alice").await;
    house.club.deaf(false);
    assert_eq!(house.another().gate.recover().await.unwrap().cancelled, 1);
    assert_eq!((house.club.told(), house.club.charges()), (1, 2));
    let state = house.gate.subscriptions().find(PRODUCT, "alice").await.unwrap().unwrap();
    assert_eq!((state.id.as_str(), state.cancelled), ("club1", None));
}

#[tokio::test(start_paused = true)]
async fn an_open_charge_and_a_cancellation_end_after_the_period_that_may_be_paid() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap();
    house.clock.advance(Duration::from_secs(3));
    assert_eq!(house.served("alice").await.reference, "club0-1");
    house.clock.advance(DAY * 30);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    assert_eq!(house.club.charges(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_rail_never_saw_is_not_sent_after_a_cancellation() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::NeverHears]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap();
    house.clock.advance(Duration::from_secs(3));
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    house.gate.recover().await.unwrap();
    assert_eq!((house.club.charges(), house.club.asked(Step::Settle)), (1, 2));
    let member = &house.club.members()["club0"];
    assert_eq!(member.ended, Some(member.anchor.plus(DAY * 30)));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_price_serves_what_was_paid_and_charges_at_no_other_terms() {
    let house = House::new();
    house.subscribe("alice").await;
    let dearer = route(&house.gate, &house.club, "9 coupon per 30 days");
    house.ask_at(&dearer, Some("alice"), None).await.unwrap();
    house.clock.advance(DAY * 30);
    let refused = house.ask_at(&dearer, Some("alice"), None).await.unwrap_err();
    assert_eq!(why(&refused), (402, Reason::SUBSCRIPTION_OVER, 1));
    crate::shop::everything_runs().await;
    assert_eq!((house.club.charges(), house.club.told()), (1, 1));
    // What the rail had charged by itself still counts.
    house.subscribe("bob").await;
    house.clock.advance(DAY * 30);
    house.club.collect();
    house.ask_at(&dearer, Some("bob"), None).await.unwrap();
    assert_eq!(house.club.charges(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_charges_for_nothing_again() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.served("alice").await;
    house.clock.back(DAY * 20);
    assert_eq!(house.another().served("alice").await.reference, "club0-1");
    house.clock.back(DAY * 30);
    assert_eq!(house.another().served("alice").await.reference, "club0-1");
    house.clock.advance(DAY * 50);
    assert_eq!(house.served("alice").await.reference, "club0-1");
    assert_eq!(house.club.charges(), 2);
}
