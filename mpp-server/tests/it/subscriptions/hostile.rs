//! What a hostile reader tried: rails that charge beside us, servers at other prices, and passes over many entries.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    agreement::Recorded,
    fate::Settlement,
    problem::Reason,
    renewer::{Notice, Said},
};
use mpp_server::{
    Heard,
    event::{Event, SubscriptionChange},
};
use mpp_testkit::rail::{Act, Step};

use super::{DAY, House, PRODUCT, route, why};

#[tokio::test(start_paused = true)]
async fn a_cancellation_in_a_period_that_its_rail_collected_unheard_leaves_that_period() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 31);
    // The rail took the money by itself, and nobody has heard of it yet.
    house.club.collect();
    let books = house.gate.subscriptions();
    let state = books.cancel(PRODUCT, "alice").await.unwrap().unwrap();
    assert!(state.is_paid, "taken, and not served");
    assert_eq!(house.served("alice").await.reference, "club0-1");
    let late = house.club.notice("club0", 1).unwrap();
    let heard = books.hear(&house.club, late).await.unwrap();
    assert_eq!(heard, Heard::Charged(Recorded::Known));
    house.clock.advance(DAY * 30);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    assert_eq!((house.club.charges(), house.club.told()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_stands_whatever_the_rail_says_of_the_period() {
    for act in [Act::NeverHears, Act::Hangs] {
        let house = House::new();
        house.subscribe("alice").await;
        house.clock.advance(DAY * 31);
        house.club.next(Step::Reconcile, [act]);
        house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap().unwrap();
        assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
        assert_eq!((house.club.charges(), house.club.told()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_in_hand_is_not_taken_off_the_books_by_a_server_at_another_price() {
    for halves in 0.. {
        let (old, now) = (House::new(), DAY * 30);
        old.subscribe("alice").await;
        old.clock.advance(now);
        // A server of the next release asks another price, and sleeps at each write of finding the agreement over.
        let new = Arc::new(old.another());
        let dearer = route(&new.gate, &new.club, "9 coupon per 30 days");
        new.life.dies_after(halves + 1);
        let asking = tokio::spawn({
            let new = new.clone();
            async move { new.ask_at(&dearer, Some("alice"), None).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let slept = new.life.is_dead();
        old.club.next(Step::Settle, [Act::TakesAndIsMute]);
        let first = old.ask(Some("alice"), None).await;
        new.life.wakes();
        let _ = asking.await.unwrap();
        old.clock.advance(Duration::from_secs(3));
        let later = old.ask(Some("alice"), None).await.map_err(|refused| why(&refused));
        let charged = old.club.charges() == 2;
        assert!(
            !charged || later.is_ok(),
            "charged, and refused {later:?} after {halves}: {first:?}"
        );
        if !slept {
            assert!(halves > 4, "{halves} are too few for this many writes");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_charges_for_what_was_called_off_is_told_again() {
    let house = House::new();
    house.subscribe("alice").await;
    let books = house.gate.subscriptions();
    let end = books.cancel(PRODUCT, "alice").await.unwrap().unwrap().cancelled.unwrap();
    assert_eq!(house.club.told(), 1);
    // Somebody took the cancellation back at the rail itself, which goes on charging.
    house.clock.advance(DAY * 31);
    let said = Said::Charged { start: end, settlement: Settlement::new("club0-1") };
    let notice = Notice::new("e", "the club", "club0", said);
    let stale = Heard::Charged(Recorded::Stale);
    assert_eq!(books.hear(&house.club, notice.clone()).await.unwrap(), stale);
    crate::shop::everything_runs().await;
    assert_eq!(house.club.told(), 2);
    // A deaf one is told by a pass over the books.
    house.club.deaf(true);
    assert_eq!(books.hear(&house.club, notice).await.unwrap(), stale);
    crate::shop::everything_runs().await;
    assert!(books.find(PRODUCT, "alice").await.unwrap().unwrap().rail_untold);
    house.club.deaf(false);
    assert_eq!(house.gate.recover().await.unwrap().cancelled, 1);
    assert_eq!(house.club.told(), 3);
    // A charge of a period that was served, said anew, calls nothing off.
    assert_eq!(
        books.hear(&house.club, house.club.notice("club0", 0).unwrap()).await.unwrap(),
        Heard::Charged(Recorded::Known)
    );
    assert_eq!(house.gate.recover().await.unwrap().cancelled, 0);
}

#[tokio::test(start_paused = true)]
async fn a_charge_of_a_subscription_that_was_replaced_is_an_event_too() {
    let house = House::new();
    house.subscribe("alice").await;
    let books = house.gate.subscriptions();
    let end = books.cancel(PRODUCT, "alice").await.unwrap().unwrap().cancelled.unwrap();
    house.clock.advance(DAY * 31);
    house.subscribe("alice").await;
    let mut events = house.gate.events();
    let said = Said::Charged { start: end, settlement: Settlement::new("club0-1") };
    let notice = Notice::new("e", "the club", "club0", said);
    let stale = Heard::Charged(Recorded::Stale);
    assert_eq!(books.hear(&house.club, notice).await.unwrap(), stale);
    let Ok(Event::Subscription { subscription, what, .. }) = events.try_recv() else {
        panic!("no event");
    };
    let reference = "club0-1".to_owned();
    assert_eq!(
        (subscription.as_str(), what),
        ("club0", SubscriptionChange::ToGiveBack { reference })
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_of_a_subscription_of_before_ends_no_later_one() {
    let house = House::new();
    house.subscribe("alice").await;
    let end = house.club.expel("club0").unwrap();
    let books = house.gate.subscriptions();
    books.hear(&house.club, end.clone()).await.unwrap();
    house.clock.advance(DAY * 31);
    let anew = house.subscribe("alice").await;
    assert_eq!(anew.reference, "club1-0");
    assert_eq!(books.hear(&house.club, end).await.unwrap(), Heard::Ended);
    let state = books.find(PRODUCT, "alice").await.unwrap().unwrap();
    assert_eq!((state.id.as_str(), state.cancelled), ("club1", None));
    house.clock.advance(DAY * 30);
    assert_eq!(house.served("alice").await.reference, "club1-1");
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_hangs_over_one_subscriber_does_not_hold_up_the_others() {
    const MANY: usize = 64;
    let house = House::new();
    for i in 0..MANY {
        house.subscribe(&format!("member {i}")).await;
    }
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, vec![Act::TakesAndIsMute; MANY]);
    for i in 0..MANY {
        assert_eq!(house.refused(&format!("member {i}"), None).await.0, 503);
    }
    house.clock.advance(Duration::from_secs(3));
    house.club.next(Step::Reconcile, vec![Act::Hangs; MANY / 2]);
    let began = tokio::time::Instant::now();
    let found = house.another().gate.recover().await.unwrap();
    assert_eq!(found.renewals + found.open, MANY as u64);
    assert!(found.renewals >= 1);
    // Half a minute each.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30 * MANY as u64 / 8), "{took:?}");
}
