//! Offers that are made to some callers and not to others, and what the others may do with a credential of theirs.

use axum::{Router, body::Body, routing::any};
use http::Request;
use mpp_core::{Charge, problem::Reason, transport::Wants};
use mpp_server::{Admission, Offers, Route, permit::Ending, tower::Paywall};
use mpp_testkit::{bank, rail::Act, rail::Step};

use super::{Fair, NOT_OFFERED, methods, of, only, pay, price};
use crate::shop::{get_, send, show, why};

/// The same request from a caller who may see a method.
fn welcome(mut request: Request<Body>, method: &str) -> Request<Body> {
    request.headers_mut().append("x-welcome", method.parse().unwrap());
    request
}

/// Tokens for everybody; the others for those who are welcome to them.
fn picky(wall: Paywall) -> Paywall {
    wall.offer_when(|head, offer| {
        let method = offer.id().method.as_str();
        method == "token" || head.headers.get_all("x-welcome").iter().any(|v| v == method)
    })
}

fn app(fair: &Fair, answer: (u16, &'static str)) -> Router {
    let selling = fair.gate.charge("2 coin").unwrap();
    let wall = selling.via(&fair.coupon).via(&fair.token).via(&fair.stamp).layer().unwrap();
    let status = http::StatusCode::from_u16(answer.0).unwrap();
    let handler = any(move || async move { (status, answer.1) });
    Router::new().route("/{*path}", handler.layer(picky(wall)))
}

#[tokio::test]
async fn a_caller_sees_the_offers_that_are_made_to_it_in_the_servers_order() {
    let fair = Fair::new();
    let app = app(&fair, (200, "a"));
    assert_eq!(methods(&send(&app, get_("/a")).await.challenges()), ["token"]);
    let some = send(&app, welcome(get_("/a"), "stamp")).await.challenges();
    assert_eq!(methods(&some), ["token", "stamp"]);
    let mut all = welcome(welcome(get_("/a"), "stamp"), "coupon");
    assert_eq!(methods(&send(&app, all).await.challenges()), ["coupon", "token", "stamp"]);
    // What a caller may not see is not got by wishing; a wish that nothing meets is answered with what it may see.
    for wish in ["stamp/charge", "stamp/charge, coupon/charge;q=0.5", "token/charge;q=0"] {
        all = get_("/a");
        all.headers_mut().insert("accept-payment", wish.parse().unwrap());
        assert_eq!(methods(&send(&app, all).await.challenges()), ["token"], "{wish}");
    }
}

#[tokio::test]
async fn a_credential_of_an_offer_that_is_not_made_to_its_caller_is_402_with_those_that_are() {
    let fair = Fair::new();
    let app = app(&fair, (200, "a"));
    let challenges = send(&app, welcome(get_("/a"), "stamp")).await.challenges();
    let credential = pay(of(&challenges, "stamp"), "a");
    let refused = show(&app, get_("/a"), &credential).await;
    assert_eq!((refused.code(), &*refused.reason()), (402, "not-offered"));
    assert_eq!(methods(&refused.challenges()), ["token"]);
    assert_eq!(fair.taken(), [0; 4], "nothing was sent");
    // Nothing came of it: who is welcome is served by the same credential.
    assert_eq!(show(&app, welcome(get_("/a"), "stamp"), &credential).await.code(), 200);
    assert_eq!(fair.taken(), [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_bad_proof_by_an_offer_that_is_not_made_is_told_no_more_than_that() {
    let fair = Fair::new();
    let route = only(&fair.stamp, "1 coin");
    let challenge = fair.ask(&route).await.challenges.remove(0);
    let both =
        Route::of(route.offers.iter().chain(only(&fair.token, "1 coin").offers.iter()).cloned());
    let withheld = both.offering(|offer| offer.id().method.as_str() != "stamp");
    fair.stamp.rail().next(Step::Check, [Act::Refuses]);
    let refused = fair.serve(&withheld, &pay(&challenge, "a")).await.unwrap_err();
    assert_eq!(refused, (402, NOT_OFFERED, 1));
    // What a rail cannot tell now is told as it is: the money may have moved.
    fair.stamp.rail().next(Step::Check, [Act::NeverHears]);
    let refused = fair.serve(&withheld, &pay(&challenge, "a")).await.unwrap_err();
    assert_eq!(refused, (500, Reason::OUR_FAULT, 0));
}

#[tokio::test]
async fn what_was_paid_and_not_delivered_is_served_though_it_is_not_offered_any_more() {
    let fair = Fair::new();
    let (works, fails) = (app(&fair, (200, "a")), app(&fair, (502, "")));
    let challenges = send(&fails, welcome(get_("/a"), "stamp")).await.challenges();
    let credential = pay(of(&challenges, "stamp"), "a");
    assert_eq!(show(&fails, welcome(get_("/a"), "stamp"), &credential).await.code(), 502);
    assert_eq!(show(&works, get_("/a"), &credential).await.code(), 200);
    assert_eq!(show(&works, get_("/a"), &credential).await.reason(), "already-used");
    assert_eq!((fair.taken(), fair.checks()), ([0, 0, 1, 0], [0, 0, 1]));
}

#[tokio::test]
async fn money_that_had_moved_is_taken_whoever_shows_it_and_is_asked_for_by_nobody_again() {
    let fair = Fair::new();
    fair.stamp.rail().is_paid_before();
    let app = app(&fair, (200, "a"));
    let challenges = send(&app, welcome(get_("/a"), "stamp")).await.challenges();
    let credential = pay(of(&challenges, "stamp"), "a");
    assert_eq!(show(&app, get_("/a"), &credential).await.code(), 200);
    assert_eq!(fair.taken(), [0, 0, 1, 0]);
}

#[tokio::test]
async fn s2_money_that_had_moved_at_a_price_for_others_is_no_less_than_what_this_caller_is_asked() {
    let fair = Fair::new();
    fair.stamp.rail().is_paid_before();
    let offers = Offers::<Charge>::of(price("1 coin")).via(&fair.stamp);
    let offers = offers.via_at(&fair.stamp, &price("10 coin")).via(&fair.token);
    let all = Route::of(offers.into_vec().unwrap());
    let members: Vec<_> = all.offers.iter().take(1).cloned().collect();
    let credential = pay(&fair.ask(&Route::of(members)).await.challenges[0], "a");
    // Two offers of one method: the cheap one is for members.
    let nth = std::cell::Cell::new(0);
    let others = all.clone().offering(|_| nth.replace(nth.get() + 1) > 0);
    assert_eq!(methods(&fair.ask(&others).await.challenges), ["stamp", "token"]);
    let refused = fair.serve(&others, &credential).await.unwrap_err();
    assert_eq!(refused, (403, Reason::WRONG_TERMS, 0), "it is paid, and not enough");
    fair.deliver(&all, &credential).await;
}

#[tokio::test]
async fn who_is_offered_nothing_is_refused_and_not_invited() {
    let fair = Fair::new();
    let wall = || fair.gate.charge("2 coin").unwrap().via(&fair.stamp).layer().unwrap();
    let app = Router::new()
        .route("/a", any(|| async { "a" }).layer(picky(wall())))
        .route("/b", any(|| async { "b" }).layer(picky(wall()).offer_when(|_, _| false)));
    let refused = send(&app, get_("/a")).await;
    assert_eq!((refused.code(), &*refused.reason()), (403, "nothing-to-offer"));
    assert!(refused.challenges().is_empty());
    let welcome_to_stamps = send(&app, welcome(get_("/a"), "stamp")).await;
    let credential = pay(&welcome_to_stamps.challenge(), "a");
    let refused = show(&app, get_("/a"), &credential).await;
    assert_eq!((refused.code(), &*refused.reason()), (403, "nothing-to-offer"));
    // Of two conditions both must hold.
    assert_eq!(send(&app, welcome(get_("/b"), "stamp")).await.code(), 403);
    let plain = fair.gate.ask(
        &only(&fair.stamp, "2 coin").offering(|_| false),
        &mpp_core::transport::Call::to(mpp_core::transport::Resource::at("GET /a")),
    );
    assert_eq!(why(&plain.unwrap()), (403, Reason::NOTHING_TO_OFFER, 0));
    assert_eq!(fair.taken(), [0; 4]);
}

#[tokio::test]
async fn a_session_that_is_not_offered_serves_nothing_and_can_still_be_managed() {
    let fair = Fair::new();
    let all = fair.route();
    let others = all.clone().offering(|offer| !offer.is_metered());
    let challenges = fair.ask(&all).await.challenges;
    let tab = of(&challenges, "tab");
    let manage = async |slip: &bank::Slip| {
        let mut call = mpp_core::transport::Call::to(
            mpp_core::transport::Resource::at("POST /joke").in_place("/joke"),
        );
        call.credential = Ok(Some(bank::answer(tab, slip)));
        call.wants = Wants::Nothing;
        fair.gate.judge(&others, call).await
    };
    // Nothing is opened for this caller.
    for opened in
        [fair.judge(&others, Some(&pay(tab, "t"))).await, manage(&bank::open("t", 10, 2)).await]
    {
        assert_eq!(why(&opened.unwrap_err()), (402, NOT_OFFERED, 3));
    }
    assert_eq!(fair.taken(), [0; 4]);
    let permit = fair.serve(&all, &pay(tab, "t")).await.unwrap();
    permit.finish(Ending::Delivered).await.unwrap();
    // Nor served from an account that is open; what was signed for it and what it is due come and go.
    let draw = bank::answer(tab, &bank::voucher("t", 4));
    assert_eq!(fair.serve(&others, &draw).await.unwrap_err(), (402, NOT_OFFERED, 3));
    for slip in [bank::voucher("t", 4), bank::top_up("t", "more", 5), bank::close("t", 4)] {
        let taken = manage(&slip).await;
        assert!(matches!(taken, Ok(Admission::Acknowledge(_))), "{slip:?}: {taken:?}");
    }
    assert_eq!(fair.bank.earned() + fair.bank.refunded(), 15);
}

#[tokio::test]
async fn who_proves_an_account_by_a_method_that_is_not_offered_is_nobody() {
    let fair = Fair::new();
    // Its proofs say that they were money before they were shown: of a price of nothing that says nothing.
    fair.stamp.rail().is_paid_before();
    let wall = fair.gate.identify("coin").via(&fair.token).via(&fair.stamp).layer().unwrap();
    let who = |paid: mpp_server::Paid| async move {
        paid.payer.map(|payer| payer.as_str().to_owned()).unwrap_or_default()
    };
    let app = Router::new().route("/me", any(who).layer(picky(wall)));
    let challenges = send(&app, welcome(get_("/me"), "stamp")).await.challenges();
    let named = |method: &str| pay(of(&challenges, method), "1@alice");
    assert_eq!(show(&app, get_("/me"), &named("token")).await.body, "did:coupon:alice");
    assert_eq!(show(&app, get_("/me"), &named("stamp")).await.reason(), "not-offered");
    let welcomed = show(&app, welcome(get_("/me"), "stamp"), &named("stamp")).await;
    assert_eq!(welcomed.body, "did:coupon:alice");
}
