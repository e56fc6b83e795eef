//! Offers of one method side by side, and prices that change between a payment and its showing: which offer is answered, and
//! what money that is there already still buys.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    Charge, Credential, Method, Price, Request,
    binding::Claim,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::NoDetails,
    name::MethodName,
    problem::{ProblemType, Reason, Rejection},
    verifier::{Asking, Minted, Spend, Verifier},
};
use mpp_server::{Admission, Offers, Route, permit::Ending};
use mpp_testkit::rail::{self, Act, Code, CouponCharge, Order, Rail, Step};
use serde::{Deserialize, Serialize};

use crate::shop::{Shop, Why, why};

const WRONG_TERMS: Why = (402, Reason::WRONG_TERMS, 1);
/// Paid, and not enough: nobody is invited to pay again.
const TOO_LITTLE: Why = (403, Reason::WRONG_TERMS, 0);
const LIFE: Duration = Duration::from_secs(300);

/// The method `coupon` where a coupon is handed in at a window.
struct WindowCharge;

impl Method for WindowCharge {
    const NAME: MethodName = MethodName::from_static("coupon");
    type Intent = Charge;
    type Details = Window;
    type Payload = Code;
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Window {
    window: String,
}

/// Takes coupons at one window, and calls no other's challenges its own.
struct Clerk {
    rail: Arc<Rail>,
    window: Window,
    recipient: &'static str,
    checks: AtomicUsize,
}

fn clerk(window: &str) -> Arc<Clerk> {
    clerk_for(window, "the shop")
}

fn clerk_for(window: &str, recipient: &'static str) -> Arc<Clerk> {
    let (rail, window) = (Rail::at(window), Window { window: window.to_owned() });
    Arc::new(Clerk { rail, window, recipient, checks: AtomicUsize::new(0) })
}

impl Clerk {
    fn checks(&self) -> usize {
        self.checks.swap(0, Ordering::SeqCst)
    }
}

impl Verifier for Clerk {
    type Method = WindowCharge;
    type Evidence = Order;

    fn settles_at(&self) -> Cow<'_, str> {
        self.rail.settles_at()
    }
    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        Ok(self.rail.terms(price)?.to(self.recipient))
    }
    async fn details(&self, _: &ChargeTerms, _: Asking<'_>) -> Result<Minted<Window>, Rejection> {
        Ok(Minted::lasting(self.window.clone()))
    }
    async fn check(&self, claim: &Claim<WindowCharge>) -> Result<Order, Rejection> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        let Claim { challenge, request, payload, source, late } = claim;
        if request.details != self.window {
            let (kind, detail) = (ProblemType::INVALID_CHALLENGE, "Go to the other window.");
            return Err(Rejection::new(kind, Reason::WRONG_TERMS, detail));
        }
        let request = Request { terms: request.terms.clone(), details: NoDetails {} };
        let (challenge, source) = (challenge.clone(), source.clone());
        let payload = payload.clone();
        let claim = Claim::<CouponCharge> { challenge, request, payload, source, late: *late };
        self.rail.check(&claim).await
    }
    fn spends<'e>(&self, order: &'e Order) -> Option<Spend<'e>> {
        self.rail.spends(order)
    }
    fn has_moved(&self, order: &Order) -> bool {
        self.rail.has_moved(order)
    }
    async fn settle(&self, order: &Order) -> Fate {
        self.rail.settle(order).await
    }
    async fn reconcile(&self, order: &Order) -> Fate {
        self.rail.reconcile(order).await
    }
}

fn priced(text: &str) -> Price {
    text.parse().unwrap()
}

/// A route with each of these at its price, made anew: no offer has written a request yet, as after a restart.
fn at_windows<'a>(offers: impl IntoIterator<Item = (&'a str, &'a Arc<Clerk>)>) -> Route {
    Route::of(
        offers
            .into_iter()
            .flat_map(|(price, clerk)| Offers::<Charge>::of(priced(price)).via(clerk)),
    )
}

fn two(clerks: &[Arc<Clerk>; 2], price: &'static str) -> Route {
    at_windows(clerks.iter().map(|clerk| (price, clerk)))
}

/// A shop with another route.
fn with(s: &Shop, route: Route) -> Shop {
    Shop { route, ..s.another() }
}

fn coupons(s: &Shop, price: &str) -> Route {
    Route::of(Offers::<Charge>::of(priced(price)).via(&s.rail))
}

/// The same shop at another price.
fn at(s: &Shop, price: &str) -> Shop {
    with(s, coupons(s, price))
}

/// A shop whose coupons cost five, and were paid in before they are shown.
fn paid_before() -> Shop {
    let s = Shop::new();
    s.rail.is_paid_before();
    at(&s, "5 coupon")
}

async fn answered(s: &Shop, nth: usize, code: &str) -> Credential {
    rail::answer(&s.judge(None).await.unwrap_err().challenges[nth], code)
}

async fn deliver(s: &Shop, credential: &Credential) -> Result<(), Why> {
    s.serve(credential).await?.finish(Ending::Delivered).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn of_two_offers_at_one_price_each_is_paid_where_it_was_asked_before_and_after_a_restart() {
    for (nth, paid_before, restarted) in [
        (0, false, false),
        (1, false, false),
        (0, true, false),
        (1, true, false),
        (0, false, true),
        (1, false, true),
        (0, true, true),
        (1, true, true),
    ] {
        let clerks = [clerk("left"), clerk("right")];
        let mut s = with(&Shop::new(), two(&clerks, "1 coupon"));
        if paid_before {
            clerks.iter().for_each(|clerk| clerk.rail.is_paid_before());
        }
        let c = answered(&s, nth, "b1").await;
        if restarted {
            s = with(&s, two(&clerks, "1 coupon"));
        }
        assert_eq!(deliver(&s, &c).await, Ok(()), "{nth} {paid_before} {restarted}");
        let took = [0, 1].map(|i| clerks[i].rail.taken() == 1);
        assert_eq!(took, [nth == 0, nth == 1], "{nth} {paid_before} {restarted}");
        // Whose text the challenge bears need not be looked for.
        let asked = [0, 1].map(|i| clerks[i].checks());
        let looked_for = usize::from(restarted && nth == 1);
        assert_eq!((asked[nth], asked[1 - nth]), (1, looked_for));
    }
}

#[tokio::test]
async fn what_the_right_one_of_two_offers_refuses_is_told_as_it_is() {
    for restarted in [false, true] {
        let clerks = [clerk("left"), clerk("right")];
        let s = with(&Shop::new(), two(&clerks, "1 coupon"));
        let c = answered(&s, 1, "x1").await;
        let s = if restarted { with(&s, two(&clerks, "1 coupon")) } else { s };
        assert_eq!(s.refused(&c).await, (402, Reason::BAD_PROOF, 2));
        clerks[1].rail.next(Step::Check, [Act::NeverHears]);
        assert_eq!(s.refused(&c).await, (500, Reason::OUR_FAULT, 0));
    }
}

#[tokio::test]
async fn s2_a_challenge_that_neither_of_two_offers_asked_for_buys_nothing() {
    for paid_before in [false, true] {
        let gone = clerk("gone");
        let clerks = [clerk("left"), clerk("right")];
        for clerk in clerks.iter().chain([&gone]).filter(|_| paid_before) {
            clerk.rail.is_paid_before();
        }
        let before = with(&Shop::new(), at_windows([("1 coupon", &gone)]));
        let c = answered(&before, 0, "b1").await;
        let s = with(&before, two(&clerks, "1 coupon"));
        assert_eq!(s.refused(&c).await, (402, Reason::WRONG_TERMS, 2));
        let asked = [&gone, &clerks[0], &clerks[1]].map(|clerk| clerk.rail.asked(Step::Settle));
        assert_eq!(asked, [0; 3]);
    }
}

#[tokio::test]
async fn who_proves_an_account_at_the_second_of_two_windows_is_known_there() {
    let clerks = [clerk("left"), clerk("right")];
    let free = || two(&clerks, "0 coupon").reusable().unwrap();
    let s = with(&Shop::new(), free());
    let c = answered(&s, 1, "b1@alice").await;
    for s in [&s, &with(&s, free())] {
        let payer = s.serve(&c).await.unwrap().paid().payer.clone();
        assert_eq!(payer.unwrap().as_str(), "did:coupon:alice");
    }
    let asked = [0, 1].map(|i| clerks[i].rail.asked(Step::Settle));
    assert_eq!(asked, [0, 2]);
}

#[tokio::test]
async fn s2_money_that_had_moved_buys_what_costs_no_more_today_and_an_order_only_at_its_own_price()
{
    for (price, moved, order) in [
        ("5 coupon", Ok(()), Ok(())),
        ("4 coupon", Ok(()), Err(WRONG_TERMS)),
        ("0 coupon", Ok(()), Err(WRONG_TERMS)),
        ("6 coupon", Err(TOO_LITTLE), Err(WRONG_TERMS)),
    ] {
        for (had_moved, told) in [(true, moved), (false, order)] {
            let s = if had_moved { paid_before() } else { at(&Shop::new(), "5 coupon") };
            let c = s.coupon("b1").await;
            let today = at(&s, price);
            assert_eq!(deliver(&today, &c).await, told, "{price}, moved: {had_moved}");
            assert_eq!(s.rail.asked(Step::Settle), usize::from(told.is_ok()));
            // What was refused is on no books: at its own price it is as good as ever, and what was taken is used up.
            let later = deliver(&s, &c).await;
            let used = Err((402, Reason::ALREADY_USED, 1));
            assert_eq!(later, if told.is_ok() { used } else { Ok(()) }, "{price} {had_moved}");
        }
    }
}

#[tokio::test]
async fn s2_a_cheap_payment_that_had_moved_does_not_buy_a_dear_request_of_the_same_address() {
    let s = paid_before();
    let (small, big) = (coupons(&s, "5 coupon").per_request(), coupons(&s, "500 coupon"));
    let (small, big) = (with(&s, small), with(&s, big.per_request()));
    let c = small.coupon("b1").await;
    assert_eq!(big.refused(&c).await, TOO_LITTLE);
    small.serve(&c).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    assert_eq!(big.refused(&c).await, TOO_LITTLE);
    assert_eq!(deliver(&small, &c).await, Ok(()));
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    // And a dear one buys a cheap request once.
    let c = big.coupon("b2").await;
    assert_eq!(deliver(&small, &c).await, Ok(()));
    assert_eq!(big.refused(&c).await, (402, Reason::ALREADY_USED, 1));
}

#[tokio::test]
async fn s2_money_for_another_recipient_or_in_another_currency_covers_nothing() {
    let (theirs, ours) = (clerk_for("left", "somebody else"), clerk_for("left", "the shop"));
    for clerk in [&theirs, &ours] {
        clerk.rail.is_paid_before();
    }
    let s = with(&Shop::new(), at_windows([("9 coupon", &theirs)]));
    let c = answered(&s, 0, "b1").await;
    // A check that does not look at the recipient is not the last word.
    let today = with(&s, at_windows([("1 coupon", &ours)]));
    assert_eq!((today.refused(&c).await, ours.rail.asked(Step::Settle)), (TOO_LITTLE, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_check_has_against_a_payment_of_before_is_a_change_of_terms_unless_it_invites_nobody()
 {
    for (act, code, told) in [
        (Act::Answers, "x1", WRONG_TERMS),
        (Act::Refuses, "b1", WRONG_TERMS),
        // Perhaps it is paid, and cannot be seen now.
        (Act::NeverHears, "b1", (500, Reason::OUR_FAULT, 0)),
        (Act::Hangs, "b1", (503, Reason::OUR_FAULT, 0)),
    ] {
        for price in ["4 coupon", "6 coupon"] {
            let s = paid_before();
            let c = s.coupon(code).await;
            s.rail.next(Step::Check, [act]);
            let told_today = at(&s, price).refused(&c).await;
            assert_eq!((told_today, s.rail.asked(Step::Settle)), (told, 0), "{act:?} {price}");
        }
    }
}

#[tokio::test]
async fn of_two_prices_today_the_one_that_is_covered_takes_the_payment() {
    for prices in [["9 coupon", "4 coupon"], ["4 coupon", "9 coupon"]] {
        let one = clerk("left");
        one.rail.is_paid_before();
        let s = with(&Shop::new(), at_windows([("5 coupon", &one)]));
        let c = answered(&s, 0, "b1").await;
        let today = with(&s, at_windows(prices.map(|price| (price, &one))));
        assert_eq!(deliver(&today, &c).await, Ok(()), "{prices:?}");
        // Where neither is, that the money is there outweighs that a window is the wrong one.
        let (other, c) = (clerk("right"), answered(&s, 0, "b2").await);
        for offers in [[&one, &other], [&other, &one]] {
            let today = with(&s, at_windows(offers.map(|clerk| ("9 coupon", clerk))));
            assert_eq!(today.refused(&c).await, TOO_LITTLE);
        }
    }
}

#[tokio::test]
async fn s5_a_change_of_price_makes_no_late_payment_timely_and_no_timely_one_late() {
    for (after, moved_after, told) in [
        (LIFE, false, Ok(())),
        (LIFE + mpp_core::binding::LATE, false, Ok(())),
        (LIFE + Duration::from_secs(60), true, Err(WRONG_TERMS)),
        (LIFE + mpp_core::binding::LATE * 2, false, Err((402, Reason::EXPIRED, 1))),
    ] {
        let s = paid_before();
        let c = s.coupon("b1").await;
        let end = c.challenge.expires.clone().unwrap();
        if moved_after {
            s.rail.is_paid_at(end.plus(Duration::from_millis(1)));
        }
        s.clock.advance(after);
        assert_eq!(deliver(&at(&s, "4 coupon"), &c).await, told, "{after:?}");
    }
}

#[tokio::test]
async fn s1_one_payment_of_before_is_credited_once_whatever_the_prices() {
    let s = paid_before();
    let (first, second) = (s.coupon("b1").await, s.coupon("b1").await);
    let today = at(&s, "4 coupon");
    today.serve(&first).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    for shop in [&s, &today, &at(&s, "3 coupon")] {
        assert_eq!(shop.refused(&second).await, (403, Reason::CREDITED_ELSEWHERE, 0));
    }
    assert_eq!(deliver(&s, &first).await, Ok(()));
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
}

#[tokio::test]
async fn what_was_paid_before_is_booked_under_its_own_name_and_before_its_handler_runs() {
    let s = paid_before();
    let named = |name: &str| {
        let price = priced("5 coupon").external_id(name);
        let route = Route::of(Offers::<Charge>::of(price).via(&s.rail));
        with(&s, route.charge_on_success())
    };
    let c = named("order-1").coupon("b1").await;
    let Ok(Admission::Serve(permit)) = named("order-2").judge(Some(&c)).await else {
        panic!("it is paid")
    };
    let receipt = permit.receipt().expect("booked first");
    assert_eq!((receipt.external_id.as_deref(), s.rail.taken()), (Some("order-1"), 1));
}

#[tokio::test]
async fn a_refusal_that_knows_of_the_money_says_whom_to_ask() {
    let s = paid_before();
    let c = s.coupon("b1").await;
    let refused = at(&s, "6 coupon").judge(Some(&c)).await.unwrap_err();
    assert_eq!(why(&refused), TOO_LITTLE);
    let said = &refused.rejection.detail;
    assert!(said.contains("Do not pay again") && said.contains("contact the seller"), "{said}");
}

#[tokio::test]
async fn two_windows_write_two_texts_at_one_price() {
    // Else the tests above show nothing of offers that differ in their details alone.
    let s = with(&Shop::new(), two(&[clerk("left"), clerk("right")], "1 coupon"));
    let asked = s.judge(None).await.unwrap_err();
    let [left, right] = &asked.challenges[..] else { panic!("two") };
    assert_ne!(left.request, right.request);
    let terms = [left, right].map(|c| c.request.decode::<ChargeTerms>().unwrap());
    assert_eq!(terms[0], terms[1]);
}
