//! Routes that ask who it is and for no money: one credential, shown as often as its challenge lasts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    routing::{any, get, post},
};
use mpp_core::{
    Charge, Credential,
    credential::Source,
    problem::Reason,
    store::{Key, Store},
};
use mpp_server::{ConfigError, Gate, Offers, Paid, Route, permit::Ending, tower::Paywall};
use mpp_testkit::rail::{self, Act, Rail, Step};

use crate::shop::{
    Shop, Why, answering, credential, everything_runs, get_, named, post_, send, show,
};

const EXPIRED: Why = (402, Reason::EXPIRED, 1);
const WRONG_TERMS: Why = (402, Reason::WRONG_TERMS, 1);
const LIFE: Duration = Duration::from_secs(300);
const MILLI: Duration = Duration::from_millis(1);

fn offers(rail: &Arc<Rail>, price: &str) -> Route {
    Offers::<Charge>::of(price.parse().unwrap()).via(rail).into_vec().unwrap().into()
}

/// A shop that asks who it is.
fn asking() -> Shop {
    let shop = Shop::new();
    Shop { route: offers(&shop.rail, "0 coupon").reusable().unwrap(), ..shop }
}

fn wall(s: &Shop) -> Paywall {
    s.gate.identify("coupon").via(&s.rail).layer().unwrap()
}

/// How many things are in the store.
async fn written(s: &Shop) -> usize {
    let mut written = 0;
    for what in ["paid", "proof"] {
        written += s.store.scan(&Key::of(&[what]).unwrap(), None, 1_000).await.unwrap().len();
    }
    written
}

/// Shows a credential and is served; tells who the handler sees.
async fn who(s: &Shop, credential: &Credential) -> Result<String, Why> {
    let permit = s.serve(credential).await?;
    let who = permit.paid().payer.clone().expect("an account").as_str().to_owned();
    assert!(permit.receipt().is_some_and(|r| r.reference.starts_with('b')));
    permit.finish(Ending::Delivered).await.unwrap();
    Ok(who)
}

#[tokio::test]
async fn a_credential_is_served_as_often_as_it_is_shown_and_nothing_is_written() {
    let s = Shop::new();
    let handler = |paid: Paid| async move { paid.payer.unwrap().as_str().to_owned() };
    let app = Router::new().route("/{*path}", any(handler).layer(wall(&s)));
    let asked = send(&app, get_("/a")).await;
    assert_eq!((asked.code(), asked.reason().as_str()), (402, "no-credential"));
    let c = rail::answer(&asked.challenge(), "b1@alice");
    for _ in 0..3 {
        let served = show(&app, get_("/a"), &c).await;
        assert_eq!((served.code(), &*served.body), (200, "did:coupon:alice"));
        assert!(served.has_receipt());
    }
    assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle), written(&s).await), (0, 3, 0));
    // Another route, another address: another challenge.
    for elsewhere in [get_("/b"), get_("/a?x=1"), post_("/a", "")] {
        let refused = show(&app, elsewhere, &c).await;
        assert_eq!((refused.code(), refused.reason().as_str()), (402, "wrong-scope"));
        assert!(!refused.has_receipt() && refused.challenges().len() == 1);
    }
}

#[tokio::test]
async fn s5_once_its_challenge_has_ended_it_is_refused_even_where_money_had_moved_before() {
    for paid_before in [false, true] {
        let s = asking();
        if paid_before {
            s.rail.is_paid_before();
        }
        let c = s.coupon("b1@alice").await;
        s.clock.advance(LIFE);
        assert_eq!(who(&s, &c).await.as_deref(), Ok("did:coupon:alice"));
        s.clock.advance(MILLI);
        assert_eq!((s.refused(&c).await, s.rail.asked(Step::Check)), (EXPIRED, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn s5_what_ends_while_it_is_checked_or_settled_is_refused() {
    for step in [Step::Check, Step::Settle] {
        let s = asking();
        let c = s.coupon("b1@alice").await;
        s.clock.advance(LIFE);
        s.rail.next(step, [Act::Slow(Duration::from_secs(5))]);
        let meanwhile = async {
            everything_runs().await;
            s.clock.advance(MILLI);
        };
        let (shown, ()) = tokio::join!(who(&s, &c), meanwhile);
        assert_eq!(shown, Err(EXPIRED), "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_copies_at_once_are_all_served() {
    let s = Arc::new(asking());
    let c = s.coupon("b1@alice").await;
    let copies: Vec<_> = (0..100)
        .map(|_| {
            let (s, c) = (s.clone(), c.clone());
            tokio::spawn(async move { who(&s, &c).await })
        })
        .collect();
    for copy in copies {
        assert_eq!(copy.await.unwrap().as_deref(), Ok("did:coupon:alice"));
    }
    assert_eq!((s.rail.taken(), written(&s).await), (0, 0));
}

#[test]
fn a_route_that_asks_for_money_cannot_be_one() {
    let s = Shop::new();
    let not_free = |built: Result<_, ConfigError>| matches!(built, Err(ConfigError::NotFree));
    assert!(not_free(offers(&s.rail, "1 coupon").reusable()));
    let (free, priced) = (offers(&s.rail, "0 coupon"), offers(&s.rail, "1 coupon"));
    let both = Route::of(free.offers.iter().chain(priced.offers.iter()).cloned());
    assert!(not_free(both.reusable()));
    let mut turned = free.reusable().unwrap();
    turned.offers = priced.offers;
    assert!(matches!(s.gate.paywall(turned), Err(ConfigError::NotFree)));
    let nobody = s.gate.identify("sat").via(&s.rail).layer();
    assert!(matches!(nobody, Err(ConfigError::NothingToOffer(why)) if why.len() == 1));
}

#[tokio::test]
async fn offers_that_were_changed_under_a_gate_are_charged_for_as_ever() {
    let s = asking();
    let mut route = s.route.clone();
    route.offers = offers(&s.rail, "1 coupon").offers;
    let s = Shop { route, ..s };
    let c = s.coupon("b1@alice").await;
    assert!(who(&s, &c).await.is_ok());
    assert_eq!(s.refused(&c).await, (402, Reason::ALREADY_USED, 1));
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test]
async fn at_a_price_of_zero_a_credential_is_good_once_unless_its_route_says_otherwise() {
    let s = Shop::new();
    let wall = s.gate.charge("0 coupon").unwrap().via(&s.rail).layer().unwrap();
    let (app, runs) = answering(wall, &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1@alice").await;
    assert_eq!(show(&app, get_("/a"), &c).await.code(), 200);
    let again = show(&app, get_("/a"), &c).await;
    assert_eq!((again.code(), again.reason().as_str()), (402, "already-used"));
    assert_eq!((s.rail.taken(), runs.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn s2_neither_of_a_price_and_an_identity_passes_for_the_other() {
    let s = asking();
    let identity = s.coupon("b1@alice").await;
    let priced = Shop { route: offers(&s.rail, "1 coupon"), ..s.another() };
    let payment = priced.coupon("b2@alice").await;
    assert_eq!(s.refused(&payment).await, WRONG_TERMS);
    assert_eq!(priced.refused(&identity).await, WRONG_TERMS);
    // What was paid is redeemed all the same once its route asks for nothing, and used up.
    priced.serve(&payment).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    assert!(who(&s, &payment).await.is_ok());
    assert_eq!(s.refused(&payment).await, (402, Reason::ALREADY_USED, 1));
    assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn whom_the_rail_does_not_know_is_refused_and_who_cannot_be_told_now_may_come_again() {
    for (step, act, told) in [
        (Step::Check, Act::Refuses, (402, Reason::BAD_PROOF, 1)),
        (Step::Check, Act::NeverHears, (500, Reason::OUR_FAULT, 0)),
        (Step::Check, Act::Hangs, (503, Reason::OUR_FAULT, 0)),
        (Step::Settle, Act::Refuses, (402, Reason::BAD_PROOF, 1)),
        (Step::Settle, Act::NeverHears, (503, Reason::OUR_FAULT, 0)),
        (Step::Settle, Act::Hangs, (503, Reason::OUR_FAULT, 0)),
    ] {
        let s = asking();
        let c = s.coupon("b1@alice").await;
        s.rail.next(step, [act]);
        assert_eq!(s.refused(&c).await, told, "{step:?} {act:?}");
        assert_eq!(who(&s, &c).await.as_deref(), Ok("did:coupon:alice"));
        assert_eq!(s.rail.asked(Step::Reconcile), 0);
    }
}

#[tokio::test]
async fn a_proof_of_nobody_in_particular_is_our_fault_and_runs_no_handler() {
    let s = asking();
    let c = s.coupon("b1").await;
    assert_eq!(s.refused(&c).await, (500, Reason::OUR_FAULT, 0));
}

#[tokio::test]
async fn a_handler_that_fails_or_a_client_that_names_its_request_changes_nothing() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s), &[(500, "oh"), (302, ""), (200, "one"), (200, "two")]);
    let c = credential(&app, get_("/a"), "b1@alice").await;
    for (code, body) in [(500, "oh"), (302, ""), (200, "one"), (200, "two")] {
        let heard = show(&app, named(get_("/a"), "k"), &c).await;
        assert_eq!((heard.code(), &*heard.body, heard.has_receipt()), (code, body, code == 200));
    }
    assert_eq!((runs.load(Ordering::SeqCst), written(&s).await), (4, 0));
}

#[tokio::test]
async fn it_can_be_bound_to_a_body_and_to_another_header() {
    let s = Shop::new();
    let wall = s.gate.identify("coupon").via(&s.rail).in_payment_authorization().layer().unwrap();
    let (app, _) = answering(wall.bind_body(64), &[(200, "ha")]);
    let c = credential(&app, post_("/a", "x"), "b1@alice").await;
    assert!(c.challenge.header.is_some() && c.challenge.digest.is_some());
    for _ in 0..2 {
        assert_eq!(show(&app, post_("/a", "x"), &c).await.code(), 200);
    }
    assert_eq!(show(&app, post_("/a", "y"), &c).await.reason(), "wrong-body");
}

/// Starts jobs for money and lets whoever paid for one ask after it.
fn jobs(gate: &Gate, rail: &Arc<Rail>) -> Result<Router, ConfigError> {
    let jobs = Arc::new(Mutex::new(HashMap::<usize, Source>::new()));
    let owners = jobs.clone();
    let start = async move |paid: Paid| {
        let Some(payer) = paid.payer else { return Err(StatusCode::FORBIDDEN) };
        let mut jobs = owners.lock().unwrap();
        let id = jobs.len();
        jobs.insert(id, payer);
        Ok(id.to_string())
    };
    let poll = async move |Path(id): Path<usize>, who: Paid| match (
        jobs.lock().unwrap().get(&id),
        &who.payer,
    ) {
        (Some(owner), Some(who)) if owner == who => Ok("half done"),
        _ => Err(StatusCode::NOT_FOUND),
    };
    Ok(Router::new()
        .route("/jobs", post(start).route_layer(gate.charge("1 coupon")?.via(rail).layer()?))
        .route("/jobs/{id}", get(poll).route_layer(gate.identify("coupon").via(rail).layer()?)))
}

#[tokio::test]
async fn who_pays_once_polls_freely_and_nobody_else_does() {
    let s = Shop::new();
    let app = jobs(&s.gate, &s.rail).unwrap();
    let paid = credential(&app, post_("/jobs", ""), "b1@alice").await;
    assert_eq!(&*show(&app, post_("/jobs", ""), &paid).await.body, "0");
    let alice = credential(&app, get_("/jobs/0"), "b2@alice").await;
    for _ in 0..5 {
        let polled = show(&app, get_("/jobs/0"), &alice).await;
        assert_eq!((polled.code(), &*polled.body), (200, "half done"));
    }
    let bob = credential(&app, get_("/jobs/0"), "b3@bob").await;
    assert_eq!(show(&app, get_("/jobs/0"), &bob).await.code(), 404);
    assert_eq!(send(&app, get_("/jobs/0")).await.code(), 402);
    let other = show(&app, get_("/jobs/1"), &alice).await;
    assert_eq!((other.code(), other.reason().as_str()), (402, "wrong-scope"));
    assert_eq!(s.rail.taken(), 1);
}
