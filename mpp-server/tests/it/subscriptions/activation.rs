//! Subscribing: whose it is, how often it is charged, and what is told to whom.

use std::time::Duration;

use mpp_core::{problem::Reason, store::Memory};
use mpp_server::{ConfigError, Gate, Members, Offers, Route};
use mpp_testkit::{
    clock::Hands,
    club::{self, Club},
    rail::{Act, Step},
};

use super::{DAY, House, builder, why};

#[tokio::test(start_paused = true)]
async fn who_subscribed_is_served_without_a_credential_until_the_period_ends() {
    let house = House::new();
    let first = house.subscribe("alice").await;
    assert_eq!(
        (first.reference.as_str(), first.extra["subscriptionId"].as_str()),
        ("club0-0", Some("club0"))
    );
    for _ in 0..5 {
        assert_eq!(house.served("alice").await, first);
    }
    house.clock.advance(DAY * 29);
    assert_eq!(house.served("alice").await, first);
    assert_eq!((house.club.charges(), house.club.sent_again()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_credential_without_a_subscriber_is_refused_before_anything_is_sent() {
    let house = House::new();
    let card = house.card().await;
    let refused = house.ask(None, Some(&card)).await.unwrap_err();
    assert_eq!(why(&refused), (400, Reason::NO_SUBSCRIBER, 0));
    assert_eq!(
        why(&house.ask(Some(""), Some(&card)).await.unwrap_err()),
        (400, Reason::NO_SUBSCRIBER, 0)
    );
    assert_eq!(house.club.asked(Step::Check), 0);
    // Signed in since: the same credential is good.
    house.ask(Some("alice"), Some(&card)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subscription_serves_its_subscriber_and_no_other() {
    let house = House::new();
    let card = house.card().await;
    house.ask(Some("alice"), Some(&card)).await.unwrap();
    assert_eq!(house.refused("bob", None).await, (402, Reason::NO_CREDENTIAL, 1));
    assert_eq!(house.refused("bob", Some(&card)).await, (403, Reason::WRONG_SUBSCRIBER, 0));
    assert_eq!(why(&house.ask(None, None).await.unwrap_err()), (402, Reason::NO_CREDENTIAL, 1));
    // Her own, shown again, is served as hers.
    house.ask(Some("alice"), Some(&card)).await.unwrap();
    assert_eq!(house.club.charges(), 1);
}

#[tokio::test(start_paused = true)]
async fn products_are_subscribed_to_one_by_one() {
    let house = House::new();
    house.subscribe("alice").await;
    let plan = "5 coupon per 30 days".parse().unwrap();
    let offers = Offers::of(plan).via(&house.club);
    let basic = Route::of(offers).subscribed(Members::of("basic", |_| None));
    let refused = house.ask_at(&basic, Some("alice"), None).await.unwrap_err();
    assert_eq!(why(&refused), (402, Reason::NO_CREDENTIAL, 1));
    let card = club::answer(&refused.challenges[0], "b1");
    house.ask_at(&basic, Some("alice"), Some(&card)).await.unwrap();
    assert_eq!(house.club.charges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_copies_of_an_activation_charge_once() {
    let house = std::sync::Arc::new(House::new());
    let card = house.card().await;
    house.club.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(1))]);
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (house, card) = (house.clone(), card.clone());
        copies.spawn(async move { house.ask(Some("alice"), Some(&card)).await });
    }
    let mut served = 0;
    for came in copies.join_all().await {
        match came {
            Ok(_) => served += 1,
            Err(refused) => assert_eq!(why(&refused), (403, Reason::IN_FLIGHT, 0)),
        }
    }
    assert!(served >= 1);
    assert_eq!((house.club.charges(), house.club.sent_again()), (1, 0));
    house.ask(Some("alice"), Some(&card)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_challenges_of_one_subscriber_one_is_paid() {
    for second_house in [false, true] {
        let one = std::sync::Arc::new(House::new());
        let two = if second_house { std::sync::Arc::new(one.another()) } else { one.clone() };
        let (a, b) = (one.card().await, two.card().await);
        one.club.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(2))]);
        let paying = tokio::spawn({
            let (one, a) = (one.clone(), a.clone());
            async move { one.ask(Some("alice"), Some(&a)).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(two.refused("alice", Some(&b)).await, (403, Reason::IN_FLIGHT, 0));
        // Nor is she invited to pay otherwise.
        assert_eq!(two.refused("alice", None).await, (403, Reason::IN_FLIGHT, 0));
        paying.await.unwrap().unwrap();
        // On the books while another is shown: served, and not charged.
        two.ask(Some("alice"), Some(&b)).await.unwrap();
        assert_eq!((one.club.charges(), one.club.asked(Step::Settle)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_declined_is_in_nobodys_way() {
    let house = House::new();
    let bad = house.card().await;
    house.club.next(Step::Settle, [Act::Refuses]);
    assert_eq!(house.refused("alice", Some(&bad)).await, (402, Reason::BAD_PROOF, 1));
    assert_eq!(house.refused("alice", Some(&bad)).await, (402, Reason::ALREADY_USED, 1));
    house.subscribe("alice").await;
    assert_eq!(house.club.charges(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_activation_of_which_nothing_is_known_invites_nobody_to_pay_again() {
    let house = House::new();
    let (card, other) = (house.card().await, house.card().await);
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    house.club.next(Step::Reconcile, [Act::NeverHears]);
    let unknown = (503, Reason::OUTCOME_UNKNOWN, 0);
    assert_eq!(house.refused("alice", Some(&card)).await, unknown);
    assert_eq!(house.refused("alice", None).await, unknown);
    assert_eq!(house.refused("alice", Some(&other)).await, unknown);
    house.clock.advance(Duration::from_secs(10));
    tokio::time::sleep(Duration::from_secs(10)).await;
    house.clock.advance(Duration::from_secs(10));
    // The club says by now that it took the money: the same credential, or none, is served.
    house.gate.recover().await.unwrap();
    house.served("alice").await;
    house.ask(Some("alice"), Some(&card)).await.unwrap();
    assert_eq!((house.club.charges(), house.club.sent_again()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_cannot_keep_a_subscription_is_not_built() {
    let clock = Hands::new();
    let (gate, club) = (builder(Memory::volatile(), &clock).build().unwrap(), Club::new(&clock));
    let unknown = gate.subscribe("5 coupon per month").unwrap().via(&club).layer();
    assert!(matches!(unknown, Err(ConfigError::NoSubscriber)));
    // Nor by another door: a subscription that is sold as anything else would serve one request.
    let sold = gate.sell("5 coupon per month".parse().unwrap()).via(&club).layer();
    assert!(matches!(sold, Err(ConfigError::NoSubscriber)));
    let stranger = Gate::builder(Memory::volatile()).realm("shop").secret(crate::booth::SECRET);
    let stranger = stranger.build().unwrap();
    let offers = Offers::of("5 coupon per month".parse().unwrap()).via(&club);
    let route = Route::of(offers).subscribed(Members::of("pro", |_| None));
    assert!(matches!(stranger.paywall(route), Err(ConfigError::NoRenewer)));
}
