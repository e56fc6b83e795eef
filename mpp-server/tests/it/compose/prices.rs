//! One price in the units of several methods: what cannot be said exactly is not offered, and why.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::get};
use http::{StatusCode, request::Parts};
use mpp_core::{
    Amount, Charge,
    intent::{PriceError, Rate, Session},
    problem::{Reason, Rejection},
};
use mpp_server::{ConfigError, Offer, Offers, Route, permit::Ending};
use mpp_testkit::{
    rail::CouponCharge,
    stall::{Stall, StampCharge},
};

use super::{Fair, methods, of, pay, price};
use crate::shop::{get_, send, show};

/// What the challenges of an address ask, method by method.
async fn asked(app: &Router, path: &str) -> Vec<(String, String)> {
    let amount = |c: &mpp_core::Challenge| {
        let request = c.request.decode::<serde_json::Value>().unwrap();
        request["amount"].as_str().unwrap().to_owned()
    };
    let challenges = send(app, get_(path)).await.challenges();
    challenges.iter().map(|c| (c.method.as_str().to_owned(), amount(c))).collect()
}

fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected.map(|(method, amount)| (method.to_owned(), amount.to_owned())).to_vec()
}

#[tokio::test]
async fn a_price_is_said_in_the_units_of_each_method_and_left_out_where_it_cannot_be() {
    let fair = Fair::new();
    // Coupons are whole, stamps cost a coin at least.
    let stamp = Arc::new(Stall::<StampCharge>::new("coin", 2).at_least(100));
    let both: &[(&str, &[(&str, &str)])] = &[
        ("2 coin", &[("coupon", "2"), ("token", "200"), ("stamp", "200")]),
        ("1.5 coin", &[("token", "150"), ("stamp", "150")]),
        ("1 coin", &[("coupon", "1"), ("token", "100"), ("stamp", "100")]),
        ("0.99 coin", &[("token", "99")]),
    ];
    for (price, expected) in both {
        let selling = fair.gate.charge(*price).unwrap();
        let wall = selling.via(&fair.coupon).via(&fair.token).via(&stamp).layer().unwrap();
        let app = Router::new().route("/a", get(|| async { "a" }).layer(wall));
        let expected: Vec<_> =
            expected.iter().map(|(m, a)| (m.to_string(), a.to_string())).collect();
        assert_eq!(asked(&app, "/a").await, expected, "{price}");
    }
}

#[tokio::test]
async fn a_route_that_no_method_can_sell_is_not_built_and_says_why_for_each() {
    let fair = Fair::new();
    let stamp = Arc::new(Stall::<StampCharge>::new("coin", 2).at_least(100));
    let inexact = fair.gate.charge("0.5 coin").unwrap().via(&fair.coupon).via(&stamp).layer();
    let Err(ConfigError::NothingToOffer(why)) = &inexact else { panic!("{inexact:?}") };
    assert!(matches!(why[0].why, PriceError::Amount(_)), "{why:?}");
    assert_eq!(why[1].why, PriceError::BelowMinimum { least: Amount::new(100) });
    let said = inexact.unwrap_err().to_string();
    assert!(said.contains("coupon/charge: ") && said.contains("stamp/charge: "), "{said}");
    assert!(said.contains("100 base units"), "{said}");

    // Of one method the reason is the error.
    let low = fair.gate.charge("0.5 coin").unwrap().via(&stamp).layer();
    let least = Amount::new(100);
    assert!(
        matches!(&low, Err(ConfigError::Price(PriceError::BelowMinimum { least: l })) if *l == least)
    );
    let foreign = fair.gate.charge("1 usd").unwrap().via(&stamp).layer();
    assert!(matches!(foreign, Err(ConfigError::NothingToOffer(why)) if why.len() == 1));
    let none = fair.gate.paywall(Route::of([]));
    assert!(matches!(none, Err(ConfigError::NothingToOffer(why)) if why.is_empty()));
}

#[test]
fn offers_by_hand_name_what_they_leave_out() {
    let fair = Fair::new();
    let offers = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon).via(&fair.token);
    let left: Vec<_> = offers.left_out().iter().map(|not| not.id.to_string()).collect();
    assert_eq!(left, ["coupon/charge"]);
    let offers = offers.into_vec().unwrap();
    let made = Vec::from_iter(offers.iter().map(|it| (it.id().to_string(), !it.is_left_out())));
    assert_eq!(made, [("coupon/charge".to_owned(), false), ("token/charge".to_owned(), true)]);
    let nothing = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon);
    assert!(matches!(nothing.into_vec(), Err(ConfigError::Price(PriceError::Amount(_)))));
    // Beside a session an intent may have none at all.
    let rate: Rate = "1 coin per joke".parse().unwrap();
    let nothing = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon);
    let both = Route::of(Offers::<Session>::of(rate).via(&fair.bank).into_iter().chain(nothing));
    let made = both.offers.iter().filter(|offer| !offer.is_left_out()).count();
    assert_eq!((made, fair.gate.paywall(both).is_ok()), (1, true));
    // What stands for earlier payments alone sells nothing.
    let nothing = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon);
    let route = Route::of(nothing);
    assert!(route.offers.iter().all(Offer::is_left_out) && route.offers.len() == 1);
    assert!(matches!(fair.gate.paywall(route), Err(ConfigError::NothingToOffer(_))));
}

#[tokio::test]
async fn one_method_may_have_a_price_of_its_own_and_each_is_paid_at_its_own() {
    let fair = Fair::new();
    let stamp = Arc::new(Stall::<StampCharge>::new("coin", 2).at_least(50));
    let selling = fair.gate.charge("0.10 coin").unwrap();
    let wall = selling.via(&fair.token).via_at(&stamp, price("0.50 coin")).layer().unwrap();
    let app = Router::new().route("/a", get(|| async { "a" }).layer(wall));
    assert_eq!(asked(&app, "/a").await, pairs([("token", "10"), ("stamp", "50")]));
    for method in ["token", "stamp"] {
        let credential = pay(of(&send(&app, get_("/a")).await.challenges(), method), "a");
        assert_eq!(show(&app, get_("/a"), &credential).await.code(), 200, "{method}");
    }
    assert_eq!((fair.token.rail().taken(), stamp.rail().taken()), (1, 1));
}

#[tokio::test]
async fn a_price_for_each_request_is_offered_by_whom_it_can_be_said() {
    let fair = Fair::new();
    let asked_for = |head: &Parts| {
        let text = head.uri.query().unwrap_or("1").to_owned();
        std::future::ready(format!("{text} coin").parse().map_err(Rejection::internal))
    };
    let selling = fair.gate.charge_each(asked_for).via(&fair.coupon).via(&fair.token);
    let wall = selling.via_at(&fair.stamp, price("4 coin")).layer().unwrap();
    let app = Router::new().route("/a", get(|| async { "a" }).layer(wall));
    let fixed = ("stamp", "400");
    assert_eq!(asked(&app, "/a?1").await, pairs([("coupon", "1"), ("token", "100"), fixed]));
    assert_eq!(asked(&app, "/a?0.5").await, pairs([("token", "50"), fixed]));
    assert_eq!(asked(&app, "/a?0.001").await, pairs([fixed]));
    // Where the rest can say it neither, nobody is told a price that is not the price.
    let selling = fair.gate.charge_each(asked_for).via(&fair.coupon).via(&fair.token);
    let app = Router::new().route("/a", get(|| async { "a" }).layer(selling.layer().unwrap()));
    let none = send(&app, get_("/a?0.001")).await;
    assert_eq!((none.code(), &*none.reason()), (500, "nothing-to-offer"));
    assert!(none.challenges().is_empty());
    assert_eq!(methods(&send(&app, get_("/a?0.01")).await.challenges()), ["token"]);
}

#[tokio::test]
async fn what_was_paid_is_served_though_the_price_fell_below_what_its_method_can_say() {
    let fair = Fair::new();
    let stamp = Arc::new(Stall::<StampCharge>::new("coin", 2).at_least(100));
    let at = |text: &str| {
        let offers = Offers::<Charge>::of(price(text));
        let offers = offers.via(&fair.coupon).via(&stamp).via(&fair.token);
        let route = Route::from(offers.into_vec().unwrap()).per_request();
        fair.gate.recovers(&route);
        route
    };
    // Coupons are whole, and stamps cost a coin at least.
    for method in ["coupon", "stamp"] {
        let dear = at("1 coin");
        let credential = pay(of(&fair.ask(&dear).await.challenges, method), method);
        let permit = fair.serve(&dear, &credential).await.unwrap();
        permit.finish(Ending::NotDelivered).await.unwrap();
        let cheap = at("0.50 coin");
        assert_eq!(methods(&fair.ask(&cheap).await.challenges), ["token"]);
        // The same request costs more than was paid by now, in units that the method cannot say; then less.
        let wrong = (403, Reason::WRONG_TERMS, 0);
        assert_eq!(fair.serve(&at("1.01 coin"), &credential).await.unwrap_err(), wrong, "{method}");
        fair.deliver(&cheap, &credential).await;
    }
}

#[tokio::test]
async fn what_was_paid_in_another_currency_or_elsewhere_does_not_cover_what_a_method_cannot_say() {
    let fair = Fair::new();
    let dear =
        Route::from(Offers::<Charge>::of(price("1 coin")).via(&fair.coupon).into_vec().unwrap());
    let credential = pay(of(&fair.ask(&dear).await.challenges, "coupon"), "a");
    let permit = fair.serve(&dear, &credential).await.unwrap();
    permit.finish(Ending::NotDelivered).await.unwrap();
    let elsewhere = Arc::new(Stall::<CouponCharge>::new("coin", 0).at("another stall"));
    // At the same place, as of one account that sells in two currencies.
    let pearls = Arc::new(Stall::<CouponCharge>::new("pearl", 0).at("a stall for coupons"));
    let by_another = Offers::<Charge>::of(price("0.50 coin")).via(&elsewhere);
    let in_pearls = Offers::<Charge>::of(price("0.50 pearl")).via(&pearls);
    for left_out in [by_another, in_pearls] {
        assert_eq!(left_out.left_out().len(), 1);
        let token = Offers::<Charge>::of(price("0.50 coin")).via(&fair.token);
        let route = Route::of(left_out.into_iter().chain(token)).per_request();
        let wrong = (403, Reason::WRONG_TERMS, 0);
        assert_eq!(fair.serve(&route, &credential).await.unwrap_err(), wrong);
    }
}

#[tokio::test]
async fn what_was_paid_is_served_where_nobody_can_take_the_price_any_more() {
    let fair = Fair::new();
    let tried = Arc::new(AtomicUsize::new(0));
    let asked_for = |head: &Parts| {
        let text = head.headers.get("x-price").map_or("1", |v| v.to_str().unwrap());
        std::future::ready(format!("{text} coin").parse().map_err(Rejection::internal))
    };
    let wall = fair.gate.charge_each(asked_for).via(&fair.coupon).layer().unwrap();
    let handler = {
        let tried = tried.clone();
        move || async move {
            // The first time it fails, after the money moved.
            match tried.fetch_add(1, Ordering::SeqCst) {
                0 => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            }
        }
    };
    let app = Router::new().route("/a", get(handler).layer(wall));
    let credential = pay(of(&send(&app, get_("/a")).await.challenges(), "coupon"), "a");
    assert_eq!(show(&app, get_("/a"), &credential).await.code(), 500);
    let fallen = |price: &str| {
        let mut request = get_("/a");
        request.headers_mut().insert("x-price", price.parse().unwrap());
        request
    };
    let unpaid = send(&app, fallen("0.5")).await;
    assert_eq!((unpaid.code(), &*unpaid.reason()), (500, "nothing-to-offer"));
    assert_eq!(show(&app, fallen("1.5"), &credential).await.code(), 403);
    assert_eq!(show(&app, fallen("0.5"), &credential).await.code(), 200);
    assert_eq!((fair.coupon.rail().taken(), tried.load(Ordering::SeqCst)), (1, 2));
}
