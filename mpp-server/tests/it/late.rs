//! Paid in time, and shown after the challenge's end: what is still looked at, for how long, and what is never taken twice.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Duration};

use mpp_core::{
    Challenge, Charge, Credential, Price, Timestamp,
    binding::{Claim, LATE},
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::NoDetails,
    problem::{Reason, Rejection},
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
    time::Clock,
    verifier::{Asking, Minted, Spend, Verifier},
};
use mpp_server::{
    Offers,
    limit::{Effort, Limiter},
    permit::Ending,
};
use mpp_testkit::{
    clock::Hands,
    rail::{self, Act, CouponCharge, Order, Rail, Step},
};

use crate::shop::{Shop, Why, everything_runs};

const EXPIRED: Why = (402, Reason::EXPIRED, 1);
/// How long challenges live.
const LIFE: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

/// A shop whose coupons were paid in before they are shown.
fn paid_before() -> Shop {
    let shop = Shop::new();
    shop.rail.is_paid_before();
    shop
}

fn end(challenge: &Challenge) -> Timestamp {
    challenge.expires.clone().unwrap()
}

async fn deliver(shop: &Shop, credential: &Credential) -> Result<(), Why> {
    shop.serve(credential).await?.finish(Ending::Delivered).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn s5_in_the_last_instant_both_are_in_time_and_after_it_only_what_had_moved() {
    for (after, order, moved) in [
        (Duration::ZERO, true, true),
        (MILLI, false, true),
        (LATE - MILLI, false, true),
        (LATE, false, true),
        (LATE + MILLI, false, false),
        (LATE * 100, false, false),
    ] {
        for (had_moved, taken) in [(false, order), (true, moved)] {
            let s = if had_moved { paid_before() } else { Shop::new() };
            let c = s.coupon("b1").await;
            s.clock.advance(LIFE + after);
            let shown = deliver(&s, &c).await;
            let wanted = if taken { Ok(()) } else { Err(EXPIRED) };
            assert_eq!(shown, wanted, "moved: {had_moved}, {after:?} after the end");
            assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (taken.into(), taken.into()));
        }
    }
}

#[tokio::test]
async fn s5_a_late_pull_is_refused_and_its_proof_is_good_for_the_fresh_challenge() {
    for s in [Shop::new(), Shop::on_success()] {
        let c = s.coupon("b1").await;
        s.clock.advance(LIFE + MILLI);
        let refused = s.judge(Some(&c)).await.unwrap_err();
        assert_eq!(crate::shop::why(&refused), EXPIRED);
        assert_eq!(s.rail.asked(Step::Settle) + s.rail.asked(Step::Reconcile), 0);
        assert_eq!(deliver(&s, &rail::answer(&refused.challenges[0], "b1")).await, Ok(()));
    }
}

#[tokio::test]
async fn s5_a_late_push_is_honoured_once_and_redeemed_as_ever() {
    for s in [Shop::new(), Shop::on_success()] {
        s.rail.is_paid_before();
        let c = s.coupon("b1").await;
        s.clock.advance(LIFE + LATE);
        let permit = s.serve(&c).await.unwrap();
        // Booked before the handler runs, whatever the route says.
        assert_eq!((permit.receipt().is_some(), s.rail.taken()), (true, 1));
        permit.finish(Ending::NotDelivered).await.unwrap();
        s.clock.advance(24 * 60 * MINUTE);
        assert_eq!(deliver(&s, &c).await, Ok(()));
        assert_eq!(s.refused(&c).await, (402, Reason::ALREADY_USED, 1));
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    }
}

#[tokio::test]
async fn s5_money_that_moved_after_the_end_pays_for_nothing() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.rail.is_paid_at(end(&c.challenge).plus(MILLI));
    s.clock.advance(LIFE + MINUTE);
    assert_eq!((s.refused(&c).await, s.rail.asked(Step::Settle)), (EXPIRED, 0));
    s.rail.is_paid_at(end(&c.challenge));
    assert_eq!(deliver(&s, &c).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn s5_what_expires_between_check_and_settle_is_taken_only_where_it_had_moved() {
    let checking = Duration::from_secs(5);
    for (before, had_moved, during, taken) in [
        // In time when it was shown.
        (LIFE, false, Duration::ZERO, true),
        (LIFE, false, MILLI, false),
        (LIFE, true, MILLI, true),
        (LIFE, true, LATE + MILLI, false),
        // Late already, and too late by then.
        (LIFE + LATE, true, Duration::ZERO, true),
        (LIFE + LATE, true, MILLI, false),
    ] {
        let s = if had_moved { paid_before() } else { Shop::new() };
        let c = s.coupon("b1").await;
        s.rail.next(Step::Check, [Act::Slow(checking)]);
        s.clock.advance(before);
        let shown = async {
            let shown = deliver(&s, &c).await;
            everything_runs().await;
            shown
        };
        let meanwhile = async {
            everything_runs().await;
            s.clock.advance(during);
        };
        let (shown, ()) = tokio::join!(shown, meanwhile);
        let wanted = if taken { Ok(()) } else { Err(EXPIRED) };
        assert_eq!(shown, wanted, "shown {before:?} after it was made, moved: {had_moved}");
        assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (taken.into(), taken.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_check_has_against_a_late_claim_is_told_as_it_is() {
    for (act, code, told) in [
        (Act::Answers, "x1", (402, Reason::BAD_PROOF, 1)),
        (Act::Refuses, "b1", (402, Reason::BAD_PROOF, 1)),
        // Perhaps it is paid, and cannot be seen now: nobody is invited to pay again.
        (Act::NeverHears, "b1", (500, Reason::OUR_FAULT, 0)),
        (Act::Hangs, "b1", (503, Reason::OUR_FAULT, 0)),
    ] {
        let s = paid_before();
        let c = s.coupon(code).await;
        s.clock.advance(LIFE + MINUTE);
        s.rail.next(Step::Check, [act]);
        assert_eq!((s.refused(&c).await, s.rail.asked(Step::Settle)), (told, 0), "{act:?}");
    }
    let s = paid_before();
    let challenge = s.coupon("b1").await.challenge;
    s.clock.advance(LIFE + MINUTE);
    let payload = serde_json::value::RawValue::from_string(r#"{"coupon":1}"#.into()).unwrap();
    let unreadable = Credential::from_parts(challenge, None, payload).unwrap();
    assert_eq!(s.refused(&unreadable).await, (402, Reason::UNREADABLE, 1));
}

#[tokio::test]
async fn a_claim_is_told_whether_it_is_late() {
    let s = Shop::new();
    for (after, late) in [(LIFE, false), (LIFE + MILLI, true)] {
        let keys = mpp_core::binding::Keys::new(crate::booth::SECRET).unwrap();
        let c = s.coupon("b1").await;
        let known = keys.recognise(c.clone(), &c.challenge.realm).unwrap();
        let claim = known.admit_late(&s.clock.now().plus(after)).unwrap();
        let claim = claim.claim::<CouponCharge>().unwrap();
        assert_eq!((claim.late, claim.in_time().is_err()), (late, late));
    }
}

#[derive(Debug)]
struct TwoChecks(std::sync::atomic::AtomicUsize);

impl Limiter for TwoChecks {
    fn admit(&self, effort: Effort, _: Option<&str>) -> Result<(), Duration> {
        let full = effort == Effort::Verify
            && self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 2;
        if full { Err(MINUTE) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_late_claim_is_limited_like_any_other_and_asks_the_rail_no_more() {
    let s = Shop::set(|gate| gate.limiter(TwoChecks(Default::default())));
    s.rail.is_paid_before();
    let credentials = [s.coupon("b1").await, s.coupon("b2").await, s.coupon("b3").await];
    assert_eq!(deliver(&s, &credentials[0]).await, Ok(()));
    s.clock.advance(LIFE + MINUTE);
    assert_eq!(deliver(&s, &credentials[1]).await, Ok(()));
    assert_eq!(s.refused(&credentials[2]).await, (429, Reason::RATE_LIMITED, 0));
    let asked = [Step::Check, Step::Settle, Step::Reconcile].map(|step| s.rail.asked(step));
    assert_eq!(asked, [2, 2, 0]);
}

/// Pays for something else, so that the store in memory hears what time it is and forgets what it may.
async fn business_goes_on(s: &Shop, code: &str) {
    let c = s.coupon(code).await;
    deliver(s, &c).await.unwrap();
}

#[tokio::test]
async fn what_the_ledger_forgot_is_too_late_for_whoever_shows_it_again() {
    // Delivered or failed, at once or at the last moment at which it is looked at.
    for (shown_after, act) in [
        (Duration::ZERO, Act::Answers),
        (LIFE + LATE, Act::Answers),
        (Duration::ZERO, Act::Refuses),
        (LIFE + LATE, Act::Refuses),
    ] {
        let s = paid_before();
        let c = s.coupon("b1").await;
        s.clock.advance(shown_after);
        s.rail.next(Step::Settle, [act]);
        let first = deliver(&s, &c).await;
        assert_eq!(first.is_ok(), act == Act::Answers);
        let (mut told, mut checks) = (BTreeSet::new(), s.rail.asked(Step::Check));
        for minute in 0..240 {
            business_goes_on(&s, &format!("b-else-{minute}")).await;
            checks += 1;
            let refused = s.refused(&c).await;
            assert_eq!(s.rail.asked(Step::Check), checks, "looked at again in minute {minute}");
            told.insert(refused.1.as_str());
            s.clock.advance(MINUTE);
        }
        // Remembered first and forgotten in the end; else this shows nothing.
        assert_eq!(told, BTreeSet::from(["already-used", "expired"]), "{shown_after:?} {act:?}");
    }
}

async fn marks(s: &Shop) -> usize {
    s.store.scan(&Key::of(&["proof"]).unwrap(), None, 10_000).await.unwrap().len()
}

/// A rail whose coupons are no good from a moment on, so that their marks may be forgotten.
struct Dated {
    rail: Arc<Rail>,
    clock: Hands,
    until: Timestamp,
}

impl Verifier for Dated {
    type Method = CouponCharge;
    type Evidence = Order;

    fn settles_at(&self) -> Cow<'_, str> {
        self.rail.settles_at()
    }
    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        self.rail.terms(price)
    }
    async fn details(
        &self,
        terms: &ChargeTerms,
        asking: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        self.rail.details(terms, asking).await
    }
    async fn check(&self, claim: &Claim<CouponCharge>) -> Result<Order, Rejection> {
        let order = self.rail.check(claim).await?;
        let over = self.until.expired_at(&self.clock.now());
        if over { Err(Rejection::failed("This coupon is too old.")) } else { Ok(order) }
    }
    fn spends<'e>(&self, order: &'e Order) -> Option<Spend<'e>> {
        Some(Spend::of(&*order.code).until(self.until.clone()))
    }
    fn has_moved(&self, _: &Order) -> bool {
        true
    }
    async fn settle(&self, order: &Order) -> Fate {
        self.rail.settle(order).await
    }
    async fn reconcile(&self, order: &Order) -> Fate {
        self.rail.reconcile(order).await
    }
}

#[tokio::test]
async fn s1_a_proof_whose_mark_was_forgotten_buys_nothing_by_another_challenge_that_is_late() {
    for good_for in [LIFE / 2, LIFE, LIFE + LATE, LIFE + 3 * LATE] {
        let s = Shop::new();
        let until = s.clock.now().plus(good_for);
        let dated = Dated { rail: s.rail.clone(), clock: s.clock.clone(), until };
        let offers = Offers::<Charge>::of("1 coupon".parse().unwrap()).via(&Arc::new(dated));
        let undated = s.another();
        let s = Shop { route: offers.into_vec().unwrap().into(), ..s };
        let first = s.coupon("b1").await;
        deliver(&s, &first).await.unwrap();
        assert_eq!(marks(&s).await, 1);
        let (mut others, mut told) = (Vec::new(), BTreeSet::new());
        for minute in 0..240 {
            business_goes_on(&undated, &format!("b-else-{minute}")).await;
            others.push(s.coupon("b1").await);
            for other in &others {
                told.insert(s.refused(other).await.1.as_str());
            }
            others.retain(|other| !end(&other.challenge).plus(LATE).expired_at(&s.clock.now()));
            assert_eq!(s.rail.took_for("b1").as_deref(), Some(first.challenge.id().as_str()));
            s.clock.advance(MINUTE);
        }
        // Of the rest of the business the marks stay; of this coupon it is forgotten in the end.
        assert_eq!((s.rail.taken(), marks(&s).await), (241, 240));
        assert!(told.contains("credited-elsewhere") && told.contains("bad-proof"), "{told:?}");
    }
}

/// A store that dies before any entry is written: what is left is a mark alone.
#[derive(Debug)]
pub(crate) struct MarksAlone(pub(crate) Arc<Memory>);

impl Store for MarksAlone {
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
        if key.as_str().starts_with("paid") {
            return Box::pin(async { Err(StoreError::unavailable("crashed")) });
        }
        self.0.swap(key, expect, value, keep)
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

#[tokio::test]
async fn a_mark_that_a_crash_left_alone_is_gone_on_from_while_it_is_not_too_late() {
    for (after, taken) in [(LIFE, true), (LIFE + LATE, true), (LIFE + LATE + MILLI, false)] {
        let s = paid_before();
        let c = s.coupon("b1").await;
        let store = MarksAlone(s.store.clone());
        let gate = crate::shop::builder(store, &s.clock).build().unwrap();
        let s = Shop { gate, ..s };
        assert_eq!(s.refused(&c).await, (503, Reason::OUTCOME_UNKNOWN, 0));
        assert_eq!(marks(&s).await, 1);
        let next = s.another();
        next.clock.advance(after);
        assert_eq!(deliver(&next, &c).await, if taken { Ok(()) } else { Err(EXPIRED) });
        assert_eq!(next.rail.taken(), usize::from(taken));
    }
}

#[tokio::test]
async fn s5_a_clock_that_is_set_back_makes_no_late_claim_timely() {
    for had_moved in [false, true] {
        let s = if had_moved { paid_before() } else { Shop::new() };
        let (c, seen) = (s.coupon("b1").await, LIFE + LATE * u32::from(had_moved) + MILLI);
        s.clock.advance(seen);
        s.judge(None).await.unwrap_err();
        s.clock.back(seen);
        assert_eq!((s.refused(&c).await, s.rail.asked(Step::Settle)), (EXPIRED, 0));
    }
}
