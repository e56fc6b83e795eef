//! A credential is routed by its method and intent, and never to the first offer that fits.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Router, routing::get};
use http::request::Parts;
use mpp_core::{
    Challenge, Charge, Credential, Draft,
    intent::{Rate, Session},
    name::MethodName,
    problem::{Reason, Rejection},
};
use mpp_server::{Offers, Route, permit::Ending};
use mpp_testkit::{bank, rail::CouponCharge, stall::Stall};
use serde_json::value::RawValue;

use super::{Fair, NOT_OFFERED, methods, of, pay, price};
use crate::shop::{get_, send, show};

/// Every order of so many things.
fn orders(of: usize) -> Vec<Vec<usize>> {
    let Some(last) = of.checked_sub(1) else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(last) {
        for at in 0..of {
            let mut order = order.clone();
            order.insert(at, last);
            all.push(order);
        }
    }
    all
}

/// The same challenge, said to be of another method.
fn renamed(challenge: &Challenge, method: &str) -> Challenge {
    let draft = Draft { method: MethodName::parse(method).unwrap(), ..challenge.to_draft() };
    Challenge::received(challenge.id().clone(), draft)
}

/// The proof of one credential under the challenge of another.
fn under(challenge: &Challenge, proof: &Credential) -> Credential {
    let payload = RawValue::from_string(proof.payload_json().to_owned()).unwrap();
    Credential::from_parts(challenge.clone(), None, payload).unwrap()
}

#[tokio::test]
async fn swapping_the_order_of_offers_changes_nothing() {
    let mut asked_for = BTreeSet::new();
    for order in orders(4) {
        let fair = Fair::new();
        let all = fair.route();
        let route = Route::of(order.iter().map(|at| all.offers[*at].clone()));
        let asked = fair.ask(&route).await;
        let expected: Vec<_> = route.offers.iter().map(|o| o.id().method.as_str()).collect();
        assert_eq!(methods(&asked.challenges), expected, "the server's order is kept");
        let mut demands: Vec<_> = asked
            .challenges
            .iter()
            .map(|c| (c.method_id().to_string(), c.request.as_str().to_owned()))
            .collect();
        demands.sort();
        asked_for.insert(demands);

        // The proof of one method under the challenge of any other, and challenges passed off as another method's.
        for challenge in &asked.challenges {
            for other in asked.challenges.iter().filter(|c| c.method != challenge.method) {
                let shown = under(challenge, &pay(other, "x"));
                let (status, reason, challenges) = fair.serve(&route, &shown).await.unwrap_err();
                let kinds = [Reason::BAD_PROOF, Reason::UNREADABLE];
                assert!(status == 402 && challenges == 4 && kinds.contains(&reason), "{order:?}");
                let renamed = renamed(challenge, other.method.as_str());
                let shown = under(&renamed, &pay(other, "y"));
                let refused = fair.serve(&route, &shown).await.unwrap_err();
                assert_eq!(refused, (402, Reason::NOT_OURS, 4), "{order:?}");
            }
        }
        assert_eq!(fair.taken(), [0; 4], "{order:?}");

        // Each is taken by its own method, once, whatever stands before it.
        let names = ["coupon", "token", "stamp", "tab"];
        let mut taken = [0; 4];
        for at in order {
            let credential = pay(of(&asked.challenges, names[at]), "a");
            let permit = fair.serve(&route, &credential).await.unwrap();
            assert_eq!(permit.paid().method.method.as_str(), names[at]);
            permit.finish(Ending::Delivered).await.unwrap();
            taken[at] += 1;
            assert_eq!(fair.taken(), taken);
        }
        for name in &names[..3] {
            let again = fair.serve(&route, &pay(of(&asked.challenges, name), "a")).await;
            assert_eq!(again.unwrap_err(), (402, Reason::ALREADY_USED, 4));
        }
    }
    assert_eq!(asked_for.len(), 1, "the order of offers changed what is asked");
}

#[tokio::test]
async fn a_credential_of_a_method_that_the_route_does_not_offer_is_402_with_all_offers() {
    let fair = Fair::new();
    let all = fair.route();
    let before = fair.ask(&all).await.challenges;
    for left in 0..4 {
        let offers = all.offers.iter().enumerate().filter(|(at, _)| *at != left);
        let route = Route::of(offers.map(|(_, offer)| offer.clone()));
        let name = all.offers[left].id().method.as_str();
        let refused = fair.serve(&route, &pay(of(&before, name), "a")).await.unwrap_err();
        assert_eq!(refused, (402, NOT_OFFERED, 3), "{name}");
    }
    assert_eq!((fair.taken(), fair.checks()), ([0; 4], [0; 3]));
}

#[tokio::test]
async fn s2_compose_does_not_pick_the_first_handler_of_the_method() {
    let fair = Fair::new();
    let dear = Arc::new(Stall::<CouponCharge>::new("coin", 0).at("the dear stall"));
    let offers = Offers::<Charge>::of(price("1 coin")).via(&fair.coupon).via(&fair.token);
    let offers = offers.via_at(&dear, &price("5 coin"));
    let route = Route::of(offers.into_vec().unwrap());
    let challenges = fair.ask(&route).await.challenges;
    assert_eq!(methods(&challenges), ["coupon", "token", "coupon"]);
    fair.deliver(&route, &pay(&challenges[2], "a")).await;
    assert_eq!((dear.rail().taken(), fair.taken()), (1, [0; 4]));
    fair.deliver(&route, &pay(&challenges[0], "b")).await;
    assert_eq!((dear.rail().taken(), fair.taken()), (1, [1, 0, 0, 0]));
    // The second has no say where it is not the method, and is not asked.
    fair.deliver(&route, &pay(&challenges[1], "c")).await;
    assert_eq!((fair.taken(), fair.checks()), ([1, 1, 0, 0], [1, 1, 0]));
}

#[tokio::test]
async fn s2_one_handler_with_many_prices_takes_no_cheap_credential_for_a_dear_request() {
    let fair = Fair::new();
    let by_size = |head: &Parts| {
        let dear = head.headers.contains_key("x-large");
        std::future::ready(
            if dear { "9 coin" } else { "1 coin" }.parse().map_err(Rejection::internal),
        )
    };
    let wall = fair.gate.charge_each(by_size).via(&fair.coupon).via(&fair.token).layer().unwrap();
    let app = Router::new().route("/{*path}", get(|| async { "a" }).layer(wall));
    let large = |path: &str| {
        let mut request = get_(path);
        request.headers_mut().insert("x-large", "1".parse().unwrap());
        request
    };
    for method in ["coupon", "token"] {
        let cheap = send(&app, get_("/a")).await.challenges();
        let credential = pay(of(&cheap, method), "cheap");
        let refused = show(&app, large("/a"), &credential).await;
        assert_eq!((refused.code(), &*refused.reason()), (402, "wrong-terms"), "{method}");
        assert_eq!(methods(&refused.challenges()), ["coupon", "token"]);
        assert_eq!(fair.taken(), [0; 4]);
    }
    // Nor does the cheap price of one method buy what is dear by another.
    let (cheap, dear) = (send(&app, get_("/a")).await, send(&app, large("/a")).await);
    let credential = pay(of(&cheap.challenges(), "token"), "t");
    let crossed = under(of(&dear.challenges(), "coupon"), &credential);
    assert_eq!(show(&app, large("/a"), &crossed).await.reason(), "bad-proof");
    assert_eq!(show(&app, get_("/a"), &credential).await.code(), 200);
    assert_eq!(fair.taken(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn s2_the_same_price_by_the_same_methods_buys_no_other_resource() {
    let fair = Fair::new();
    let wall = fair.gate.charge("2 coin").unwrap().via(&fair.coupon).via(&fair.token);
    let wall = wall.layer().unwrap();
    let app = Router::new().route("/{*path}", get(|| async { "a" }).layer(wall));
    for method in ["coupon", "token"] {
        let challenges = send(&app, get_("/a")).await.challenges();
        let credential = pay(of(&challenges, method), "a");
        let refused = show(&app, get_("/b"), &credential).await;
        assert_eq!((refused.code(), &*refused.reason()), (402, "wrong-scope"), "{method}");
        assert_eq!((refused.challenges().len(), fair.checks()), (2, [0; 3]));
    }
    let paid = pay(of(&send(&app, get_("/a")).await.challenges(), "token"), "a");
    assert_eq!(show(&app, get_("/a"), &paid).await.code(), 200);
    assert_eq!(fair.taken(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn one_code_pays_once_whichever_of_two_methods_is_told_of_it_first() {
    let fair = Fair::new();
    let route = fair.route();
    let (one, two) = (fair.ask(&route).await.challenges, fair.ask(&route).await.challenges);
    fair.deliver(&route, &pay(of(&one, "token"), "a")).await;
    let again = fair.serve(&route, &pay(of(&two, "token"), "a")).await.unwrap_err();
    assert_eq!(again, (403, Reason::CREDITED_ELSEWHERE, 0));
    // The same name is another proof by another method: marks are each method's own.
    fair.deliver(&route, &pay(of(&two, "stamp"), "a")).await;
    assert_eq!(fair.taken(), [0, 1, 1, 0]);
}

#[tokio::test]
async fn what_one_method_paid_and_was_not_delivered_is_served_and_asks_no_other() {
    let fair = Fair::new();
    let route = fair.route();
    let challenges = fair.ask(&route).await.challenges;
    for method in ["coupon", "token", "stamp"] {
        let credential = pay(of(&challenges, method), "a");
        let permit = fair.serve(&route, &credential).await.unwrap();
        permit.finish(Ending::NotDelivered).await.unwrap();
        // Also when its method has left the route meanwhile.
        let others = route.offers.iter().filter(|o| o.id().method.as_str() != method).cloned();
        let permit = fair.serve(&Route::of(others), &credential).await.unwrap();
        assert_eq!(permit.paid().method.method.as_str(), method);
        permit.finish(Ending::Delivered).await.unwrap();
    }
    assert_eq!((fair.taken(), fair.checks()), ([1, 1, 1, 0], [1; 3]));
}

#[tokio::test]
async fn a_charge_and_a_session_of_one_route_are_paid_side_by_side() {
    let fair = Fair::new();
    let rate: Rate = "2 coin per joke".parse().unwrap();
    let sessions = Offers::<Session>::of(rate).via(&fair.bank);
    let charges = Offers::<Charge>::of(price("3 coin")).via(&fair.coupon);
    let wall = fair.gate.paywall(Route::of(sessions.into_iter().chain(charges))).unwrap();
    let app = Router::new().route("/joke", wall.guard(get(|| async { "ha" })));
    let challenges = send(&app, get_("/joke")).await.challenges();
    let intents: Vec<_> = challenges.iter().map(|c| c.method_id().to_string()).collect();
    assert_eq!(intents, ["tab/session", "coupon/charge"]);
    let at_once = pay(&challenges[1], "a");
    assert_eq!(show(&app, get_("/joke"), &at_once).await.code(), 200);
    assert_eq!(show(&app, get_("/joke"), &at_once).await.reason(), "already-used");
    for total in [2, 4, 6] {
        let slip = if total == 2 { bank::open("t", 10, 2) } else { bank::voucher("t", total) };
        let drawn = bank::answer(&challenges[0], &slip);
        let heard = show(&app, get_("/joke"), &drawn).await;
        assert_eq!((heard.code(), heard.has_receipt()), (200, true), "{total}: {}", heard.body);
    }
    let closing = http::Request::post("/joke").header("host", "127.0.0.1");
    let closing = closing.body(axum::body::Body::empty()).unwrap();
    let closed = show(&app, closing, &bank::answer(&challenges[0], &bank::close("t", 6))).await;
    assert_eq!((closed.code(), fair.bank.earned(), fair.bank.refunded()), (204, 6, 4));
    assert_eq!(fair.taken()[0], 1);
}
