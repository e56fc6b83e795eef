//! A period's charge that no rail will ever tell of: listed, and given up by an operator.

use std::{sync::Arc, time::Duration};

use mpp_core::{agreement::Recorded, problem::Reason};
use mpp_server::{
    Heard, NotWrittenOff,
    event::{Event, SubscriptionChange},
};
use mpp_testkit::rail::{Act, Step};

use super::{DAY, House, PRODUCT, Why};

const UNKNOWN: Why = (503, Reason::OUTCOME_UNKNOWN, 0);
const OVER: Why = (402, Reason::SUBSCRIPTION_OVER, 1);

/// Alice's second period is charged for by a club that never says so.
async fn mute() -> House {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    house.club.next(Step::Reconcile, [Act::TakesAndIsMute; 8]);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house
}

fn changes(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<SubscriptionChange> {
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Subscription { what, .. } = event {
            heard.push(what);
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn a_charge_that_stays_unknown_for_ever_is_listed_and_given_up() {
    let house = mute().await;
    house.clock.advance(DAY * 90);
    assert_eq!(house.refused("alice", None).await, UNKNOWN);
    house.gate.recover().await.unwrap();
    let books = house.gate.subscriptions();
    let [open] = &books.unfinished().await.unwrap()[..] else { panic!("one is open") };
    let anchor = house.club.members()["club0"].anchor.clone();
    assert_eq!((&*open.product, &*open.subscription), (PRODUCT, "club0"));
    assert_eq!((&*open.settles_at, open.in_hand), ("the club", false));
    assert_eq!(open.period_start, Some(anchor.plus(DAY * 30)));

    let mut events = house.gate.events();
    books.write_off(PRODUCT, "alice").await.unwrap();
    assert_eq!(changes(&mut events), [SubscriptionChange::WrittenOff]);
    assert_eq!(house.club.told(), 1, "the club would go on charging by itself");
    assert_eq!(books.unfinished().await.unwrap(), []);
    let state = books.find(PRODUCT, "alice").await.unwrap().unwrap();
    assert_eq!((state.cancelled, state.rail_untold), (Some(anchor.plus(DAY * 30)), false));
    // Said again, it changes nothing.
    books.write_off(PRODUCT, "alice").await.unwrap();
    assert_eq!((changes(&mut events), house.club.told()), (vec![], 1));

    assert_eq!(house.refused("alice", None).await, OVER);
    // What the club says of it after all grants nothing.
    let notice = house.club.notice("club0", 1).unwrap();
    assert_eq!(books.hear(&house.club, notice).await.unwrap(), Heard::Charged(Recorded::Stale));
    let [SubscriptionChange::ToGiveBack { reference }] = &changes(&mut events)[..] else {
        panic!("it is to be given back")
    };
    assert_eq!(reference, "club0-1");
    assert_eq!(house.subscribe("alice").await.reference, "club1-0");
    assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::NotOpen)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_that_is_known_or_that_somebody_is_at() {
    let house = Arc::new(House::new());
    let books = house.gate.subscriptions();
    assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::NotFound)));
    house.subscribe("alice").await;
    assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::NotOpen)));

    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(2))]);
    let asking = tokio::spawn({
        let house = house.clone();
        async move { house.ask(Some("alice"), None).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = house.another();
    for gate in [&house.gate, &beside.gate] {
        let books = gate.subscriptions();
        assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::InHand)));
        assert!(books.unfinished().await.unwrap()[0].in_hand);
    }
    assert_eq!(asking.await.unwrap().unwrap().reference, "club0-1");
    assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::NotOpen)));
    assert_eq!(house.club.told(), 0);
    house.served("alice").await;
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_is_not_there_when_a_charge_is_given_up_is_told_later() {
    let house = mute().await;
    house.club.deaf(true);
    house.gate.subscriptions().write_off(PRODUCT, "alice").await.unwrap();
    assert_eq!(house.refused("alice", None).await, OVER);
    house.club.deaf(false);
    assert_eq!(house.another().gate.recover().await.unwrap().cancelled, 1);
    assert_eq!((house.club.told(), house.club.charges()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_the_rail_told_of_meanwhile_is_paid_and_not_given_up() {
    let house = mute().await;
    let books = house.gate.subscriptions();
    let notice = house.club.notice("club0", 1).unwrap();
    books.hear(&house.club, notice).await.unwrap();
    assert_eq!(books.unfinished().await.unwrap(), []);
    assert!(matches!(books.write_off(PRODUCT, "alice").await, Err(NotWrittenOff::NotOpen)));
    assert_eq!(house.served("alice").await.reference, "club0-1");
    house.club.calm();
    house.clock.advance(DAY * 30);
    assert_eq!(house.served("alice").await.reference, "club0-2");
    assert_eq!((house.club.charges(), house.club.told()), (3, 0));
}
