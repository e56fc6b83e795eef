//! One price in the units of several methods: what cannot be said exactly is not offered, and why.

use std::sync::Arc;

use axum::{Router, routing::get};
use http::request::Parts;
use mpp_core::{
    Amount, Charge,
    intent::{PriceError, Rate, Session},
    problem::Rejection,
};
use mpp_server::{ConfigError, Offers, Route};
use mpp_testkit::stall::{Stall, StampCharge};

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
    assert_eq!(offers.into_vec().unwrap().len(), 1);
    let nothing = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon);
    assert!(matches!(nothing.into_vec(), Err(ConfigError::Price(PriceError::Amount(_)))));
    // Beside a session an intent may have none at all.
    let rate: Rate = "1 coin per joke".parse().unwrap();
    let nothing = Offers::<Charge>::of(price("0.5 coin")).via(&fair.coupon);
    let both = Route::of(Offers::<Session>::of(rate).via(&fair.bank).into_iter().chain(nothing));
    assert_eq!((both.offers.len(), fair.gate.paywall(both).is_ok()), (1, true));
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
