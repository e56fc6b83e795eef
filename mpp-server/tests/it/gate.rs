//! The gate by itself: order of money, redemption, single use, unknown outcomes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    Charge, Credential,
    accept::Accept,
    problem::Reason,
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, permit::Ending};

use crate::booth::{Booth, Hands, Mood, answer, builder_over, gate};

fn offers(booth: &Arc<Booth>) -> Route {
    Offers::<Charge>::of("1 coupon".parse().unwrap()).via(booth).into_vec().unwrap().into()
}

fn call(credential: Option<&Credential>) -> Call {
    let mut call = Call::to(Resource::at("GET /joke"));
    call.credential = Ok(credential.cloned());
    call
}

struct Shop {
    gate: Gate,
    clock: Hands,
    booth: Arc<Booth>,
    offers: Route,
}

impl Shop {
    fn new() -> Self {
        let (gate, clock) = gate();
        let booth = Booth::new();
        Self { gate, clock, offers: offers(&booth), booth }
    }

    async fn ask(&self, credential: Option<&Credential>) -> Result<Permit, Refusal> {
        match self.gate.judge(&self.offers, call(credential)).await? {
            Admission::Serve(permit) => Ok(permit),
            other => panic!("{other:?}"),
        }
    }

    async fn coupon(&self, code: &str) -> Credential {
        answer(&self.ask(None).await.unwrap_err().challenges[0], code)
    }
}

fn why(refusal: &Refusal) -> (u16, Reason, usize) {
    (refusal.rejection.kind.status, refusal.rejection.reason, refusal.challenges.len())
}

#[tokio::test]
async fn a_payment_is_taken_once_and_served_once() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    let permit = s.ask(Some(&c)).await.unwrap();
    assert_eq!(permit.receipt().unwrap().reference, "b1");
    assert_eq!(permit.receipt().unwrap().extra["challengeId"], c.challenge.id().as_str());
    permit.finish(Ending::Delivered).await.unwrap();
    let again = s.ask(Some(&c)).await.unwrap_err();
    assert_eq!((why(&again), s.booth.taken()), ((402, Reason::ALREADY_USED, 1), 1));
}

#[tokio::test]
async fn what_was_paid_and_not_delivered_is_served_again_and_never_charged_again() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    for _ in 0..3 {
        s.ask(Some(&c)).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    }
    drop(s.ask(Some(&c)).await.unwrap());
    tokio::time::sleep(Duration::from_millis(20)).await;
    s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!((why(&s.ask(Some(&c)).await.unwrap_err()).0, s.booth.taken()), (402, 1));
}

#[tokio::test]
async fn what_was_paid_is_redeemed_after_its_challenge_expired() {
    let s = Shop::new();
    let (paid, late) = (s.coupon("b1").await, s.coupon("b2").await);
    s.ask(Some(&paid)).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    s.clock.advance(3600);
    assert!(s.ask(Some(&paid)).await.is_ok());
    assert_eq!(why(&s.ask(Some(&late)).await.unwrap_err()), (402, Reason::EXPIRED, 1));
    assert_eq!(s.booth.taken(), 1);
}

#[tokio::test]
async fn s1_one_proof_under_two_challenges_is_refused_without_an_invitation() {
    let s = Shop::new();
    let (one, other) = (s.coupon("b1").await, s.coupon("b1").await);
    s.ask(Some(&one)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    let refused = s.ask(Some(&other)).await.unwrap_err();
    assert_eq!((why(&refused), s.booth.taken()), ((403, Reason::CREDITED_ELSEWHERE, 0), 1));
}

#[tokio::test]
async fn s1_another_proof_for_an_answered_challenge_is_refused() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.ask(Some(&c)).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    let other = answer(&c.challenge, "b2");
    // Paid and not delivered: who signed twice is not told to pay again.
    assert_eq!(why(&s.ask(Some(&other)).await.unwrap_err()), (403, Reason::IN_FLIGHT, 0));
    s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(why(&s.ask(Some(&other)).await.unwrap_err()), (402, Reason::ALREADY_USED, 1));
    assert_eq!(s.booth.taken(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_copies_at_once_are_one_payment_and_one_delivery() {
    let s = Arc::new(Shop::new());
    s.booth.slow(Duration::from_millis(10));
    let c = s.coupon("b1").await;
    let copies: Vec<_> = (0..100)
        .map(|_| {
            let (s, c) = (s.clone(), c.clone());
            tokio::spawn(async move {
                match s.ask(Some(&c)).await {
                    Ok(permit) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        permit.finish(Ending::Delivered).await.is_ok()
                    }
                    Err(refusal) => {
                        assert!(
                            refusal.challenges.is_empty()
                                || refusal.rejection.reason == Reason::ALREADY_USED
                        );
                        false
                    }
                }
            })
        })
        .collect();
    let mut served = 0;
    for copy in copies {
        served += usize::from(copy.await.unwrap());
    }
    assert_eq!((served, s.booth.taken()), (1, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_while_its_payment_settles_finds_it_settled() {
    let s = Shop::new();
    s.booth.slow(Duration::from_millis(30));
    let c = s.coupon("b1").await;
    assert!(tokio::time::timeout(Duration::from_millis(5), s.ask(Some(&c))).await.is_err());
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (403, Reason::IN_FLIGHT, 0));
    tokio::time::sleep(Duration::from_millis(60)).await;
    s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.booth.taken(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_invites_nobody_and_the_rail_is_asked_before_anything_is_sent_again() {
    for mood in [Mood::Mute, Mood::Deaf, Mood::Panics] {
        let s = Shop::new();
        s.booth.mood(mood);
        let c = s.coupon("b1").await;
        let refused = s.ask(Some(&c)).await.unwrap_err();
        assert_eq!(why(&refused), (503, Reason::OUTCOME_UNKNOWN, 0));
        assert!(refused.rejection.retry_after.is_some());
        s.booth.mood(Mood::Fine);
        if mood != Mood::Panics {
            // Asked a moment ago. Where our own code broke nobody was, and nobody has it in hand.
            assert!(s.ask(Some(&c)).await.unwrap_err().challenges.is_empty());
            s.clock.advance(120);
        }
        s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
        assert_eq!(s.booth.taken(), 1);
    }
}

#[tokio::test]
async fn a_settlement_past_its_deadline_is_unknown_and_no_failure() {
    let clock = Hands::new();
    let gate = builder_over(Memory::volatile(), &clock)
        .settle_within(Duration::from_millis(10))
        .build()
        .unwrap();
    let booth = Booth::new();
    let s = Shop { gate, clock, offers: offers(&booth), booth };
    s.booth.slow(Duration::from_secs(5));
    let c = s.coupon("b1").await;
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (503, Reason::OUTCOME_UNKNOWN, 0));
}

#[tokio::test]
async fn a_refusal_by_the_rail_frees_the_payer_to_pay_properly() {
    let s = Shop::new();
    s.booth.mood(Mood::Refuses);
    let c = s.coupon("b1").await;
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (402, Reason::BAD_PROOF, 1));
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (402, Reason::ALREADY_USED, 1));
    s.booth.mood(Mood::Fine);
    // The refused coupon is credited nowhere, so it is still good.
    let fresh = s.coupon("b1").await;
    assert!(s.ask(Some(&fresh)).await.is_ok());
}

#[tokio::test]
async fn two_clients_asking_in_one_second_get_two_challenges() {
    let s = Shop::new();
    let (a, b) = (s.coupon("b1").await, s.coupon("b2").await);
    assert_ne!(a.challenge.id(), b.challenge.id());
    s.ask(Some(&a)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    s.ask(Some(&b)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.booth.taken(), 2);
}

#[tokio::test]
async fn s2_a_credential_of_another_price_is_refused() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    let dear =
        Offers::<Charge>::of("2 coupon".parse().unwrap()).via(&s.booth).into_vec().unwrap().into();
    let refused = s.gate.judge(&dear, call(Some(&c))).await.unwrap_err();
    assert_eq!((why(&refused), s.booth.taken()), ((402, Reason::WRONG_TERMS, 1), 0));
}

#[tokio::test]
async fn s2_a_credential_of_another_realm_or_key_is_refused() {
    let s = Shop::new();
    let clock = s.clock.clone();
    let other = builder_over(Memory::volatile(), &clock).realm("other").build().unwrap();
    let stranger = builder_over(Memory::volatile(), &clock).secret([7; 32]).build().unwrap();
    for (gate, reason) in [(other, Reason::WRONG_REALM), (stranger, Reason::NOT_OURS)] {
        let c = s.coupon("b1").await;
        let refused = gate.judge(&s.offers, call(Some(&c))).await.unwrap_err();
        assert_eq!(why(&refused), (402, reason, 1));
    }
    assert_eq!(s.booth.taken(), 0);
}

#[tokio::test]
async fn a_rotated_secret_still_takes_what_it_issued() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    let rotated = builder_over(Memory::volatile(), &s.clock)
        .secret([7; 32])
        .previous_secret(crate::booth::SECRET)
        .build()
        .unwrap();
    assert!(rotated.judge(&s.offers, call(Some(&c))).await.is_ok());
}

#[tokio::test]
async fn an_unwanted_offer_is_not_made_and_a_wish_nobody_meets_is_not_heard() {
    let s = Shop::new();
    let ask = async |accept: &str| {
        let mut call = call(None);
        call.accept = Accept::parse(accept).unwrap();
        s.gate.judge(&s.offers, call).await.unwrap_err().challenges.len()
    };
    assert_eq!(
        (ask("coupon/charge").await, ask("*/*;q=0.1").await, ask("tempo/charge").await),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_refusal_that_invites_nobody_is_the_same_refusal_when_asked_again() {
    let s = Shop::new();
    let (one, other) = (s.coupon("b1").await, s.coupon("b1").await);
    s.ask(Some(&one)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            why(&s.ask(Some(&other)).await.unwrap_err()),
            (403, Reason::CREDITED_ELSEWHERE, 0)
        );
    }
}

#[tokio::test]
async fn what_was_served_too_often_without_being_delivered_is_refused() {
    let clock = Hands::new();
    let gate = builder_over(Memory::volatile(), &clock).serve_up_to(3).build().unwrap();
    let booth = Booth::new();
    let s = Shop { gate, clock, offers: offers(&booth), booth };
    let c = s.coupon("b1").await;
    for _ in 0..2 {
        s.ask(Some(&c)).await.unwrap().finish(Ending::BrokenOff).await.unwrap();
        // A handler that fails hands nothing over, and takes nothing from what was paid for.
        s.ask(Some(&c)).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
        drop(s.ask(Some(&c)).await.unwrap());
        s.gate.idle().await;
    }
    let mut flowing = s.ask(Some(&c)).await.unwrap();
    flowing.flow();
    drop(flowing);
    s.gate.idle().await;
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (403, Reason::REDEEMED_TOO_OFTEN, 0));
}

#[tokio::test]
async fn a_turn_that_takes_long_stays_its_holders() {
    let clock = Hands::new();
    let gate = builder_over(Memory::volatile(), &clock)
        .serving_lease(Duration::from_millis(60))
        .build()
        .unwrap();
    let booth = Booth::new();
    let s = Shop { gate, clock, offers: offers(&booth), booth };
    let c = s.coupon("b1").await;
    let permit = s.ask(Some(&c)).await.unwrap();
    for _ in 0..5 {
        s.clock.advance(1);
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()).1, Reason::IN_FLIGHT);
    }
    permit.finish(Ending::Delivered).await.unwrap();
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()).1, Reason::ALREADY_USED);
}

#[tokio::test]
async fn a_clock_that_jumps_and_comes_back_sells_nothing_twice() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    s.clock.advance(3 * 3600);
    s.coupon("b2").await;
    let second = s.coupon("b3").await;
    s.ask(Some(&second)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    s.clock.back(3 * 3600);
    let refused = s.ask(Some(&c)).await.unwrap_err();
    assert_eq!((why(&refused), s.booth.taken()), ((402, Reason::EXPIRED, 1), 2));
    // What is issued from then on can be paid all the same.
    let third = answer(&refused.challenges[0], "b4");
    s.ask(Some(&third)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(why(&s.ask(Some(&third)).await.unwrap_err()).1, Reason::ALREADY_USED);
}

#[tokio::test]
async fn s2_of_two_offers_by_one_method_the_one_that_was_answered_is_paid() {
    let s = Shop::new();
    let offers = Route::of(
        ["1 coupon", "2 coupon"]
            .into_iter()
            .flat_map(|price| Offers::<Charge>::of(price.parse().unwrap()).via(&s.booth)),
    );
    let asked = s.gate.judge(&offers, call(None)).await.unwrap_err();
    for (i, challenge) in asked.challenges.iter().enumerate() {
        let paid = s.gate.judge(&offers, call(Some(&answer(challenge, &format!("b{i}"))))).await;
        assert!(paid.is_ok(), "offer {i}");
    }
    assert_eq!(s.booth.taken(), 2);
}

#[tokio::test]
async fn what_was_paid_is_served_after_its_method_left_the_route() {
    let s = Shop::new();
    let (paid, open) = (s.coupon("b1").await, s.coupon("b2").await);
    s.ask(Some(&paid)).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    s.booth.mood(Mood::Mute);
    assert_eq!(why(&s.ask(Some(&open)).await.unwrap_err()).0, 503);
    s.clock.advance(60);
    assert!(s.gate.judge(&Route::of([]), call(Some(&paid))).await.is_ok());
    assert_eq!(
        why(&s.gate.judge(&Route::of([]), call(Some(&open))).await.unwrap_err()),
        (503, Reason::OUTCOME_UNKNOWN, 0)
    );
}

#[tokio::test]
async fn a_proof_of_any_length_is_marked_and_shows_in_no_key() {
    let store = Arc::new(Memory::volatile());
    let clock = Hands::new();
    let gate = builder_over(store.clone(), &clock).build().unwrap();
    let booth = Booth::new();
    let s = Shop { gate, clock, offers: offers(&booth), booth };
    for code in ["b".repeat(5_000), "b secret".into()] {
        let c = s.coupon(&code).await;
        s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    }
    let marks = store.scan(&Key::of(&["proof"]).unwrap(), None, 10).await.unwrap();
    assert_eq!(marks.len(), 2);
    assert!(
        marks.iter().all(|(key, _)| key.as_str().len() < 80 && !key.as_str().contains("secret"))
    );
}

#[tokio::test]
async fn what_one_account_began_no_other_account_goes_on_with() {
    let s = Shop::new();
    s.booth.mood(Mood::Mute);
    let c = s.coupon("b1").await;
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()).0, 503);
    s.clock.advance(3600);
    let other = Booth::at("booth 2");
    for _ in 0..2 {
        let refused = s.gate.judge(&offers(&other), call(Some(&c))).await.unwrap_err();
        assert_eq!(why(&refused), (503, Reason::OUTCOME_UNKNOWN, 0));
    }
    assert_eq!((s.booth.taken(), other.taken()), (1, 0));
    s.booth.mood(Mood::Fine);
    assert!(s.ask(Some(&c)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_asked_after_with_nobody_waiting() {
    let s = Shop::new();
    let mut events = s.gate.events();
    s.booth.mood(Mood::Mute);
    let c = s.coupon("b1").await;
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()).0, 503);
    s.booth.mood(Mood::Fine);
    s.clock.advance(60);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut settled = false;
    while let Ok(event) = events.try_recv() {
        settled |= event.name() == "payment.success";
    }
    assert!(settled);
    s.ask(Some(&c)).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.booth.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_client_hung_up_is_on_the_books_and_told_of() {
    let s = Shop::new();
    let mut events = s.gate.events();
    s.booth.slow(Duration::from_millis(30));
    let c = s.coupon("b1").await;
    assert!(tokio::time::timeout(Duration::from_millis(5), s.ask(Some(&c))).await.is_err());
    tokio::time::sleep(Duration::from_millis(60)).await;
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        names.push(event.name());
    }
    assert_eq!(names, ["challenge.created", "payment.success"]);
}

/// A store whose writes happen and whose answers are lost, on demand.
#[derive(Debug)]
struct LosesAnswers(Memory, AtomicBool);

impl Store for LosesAnswers {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.0.get(key)
    }
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let written = self.0.swap(key, expect, value, keep).await;
            if self.1.swap(false, Ordering::SeqCst) {
                Err(StoreError::Unavailable("lost".into()))
            } else {
                written
            }
        })
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.0.scan(prefix, after, limit)
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_or_an_end_whose_answer_was_lost_still_ends_the_turn() {
    let store = Arc::new(LosesAnswers(Memory::volatile(), AtomicBool::new(false)));
    let clock = Hands::new();
    let gate =
        builder_over(store.clone(), &clock).serving_lease(Duration::from_secs(3)).build().unwrap();
    let booth = Booth::new();
    let s = Shop { gate, clock, offers: offers(&booth), booth };
    let c = s.coupon("b1").await;
    let permit = s.ask(Some(&c)).await.unwrap();
    store.1.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    store.1.store(true, Ordering::SeqCst);
    permit.finish(Ending::Delivered).await.unwrap();
    s.clock.advance(600);
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()), (402, Reason::ALREADY_USED, 1));
}

#[tokio::test]
async fn one_offer_at_two_gates_is_sealed_with_the_keys_of_each() {
    let s = Shop::new();
    let other = builder_over(Memory::volatile(), &s.clock).secret([7; 32]).build().unwrap();
    s.coupon("b1").await;
    let asked = other.judge(&s.offers, call(None)).await.unwrap_err();
    let c = answer(&asked.challenges[0], "b1");
    assert_eq!(why(&s.ask(Some(&c)).await.unwrap_err()).1, Reason::NOT_OURS);
    assert!(other.judge(&s.offers, call(Some(&c))).await.is_ok());
}
