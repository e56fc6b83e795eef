//! Demands that take time: made side by side, within a deadline of their own, and who is late holds nobody up.

use std::time::Duration;

use mpp_core::{
    accept::Accept,
    problem::Reason,
    transport::{Call, Resource},
};
use mpp_testkit::{rail::Step, stall::Minting};
use tokio::time::Instant;

use super::{Fair, methods, of, pay};
use crate::shop::why;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn methods_make_out_what_they_ask_side_by_side_and_in_the_servers_order() {
    let fair = Fair::new();
    let route = fair.route();
    fair.coupon.mints(Minting::Anew(SECOND));
    fair.token.mints(Minting::Anew(SECOND / 2));
    fair.stamp.mints(Minting::Anew(SECOND));
    let begun = Instant::now();
    let asked = fair.ask(&route).await;
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(methods(&asked.challenges), ["coupon", "token", "stamp", "tab"]);
    for name in ["coupon", "token", "stamp"] {
        fair.deliver(&route, &pay(of(&asked.challenges, name), "a")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_late_or_fails_is_left_out_and_can_be_asked_again() {
    for (set, seconds) in [(None, 2), (Some(5), 5)] {
        let fair = Fair::set(|gate| match set {
            Some(seconds) => gate.mint_within(SECOND * seconds),
            None => gate,
        });
        let route = fair.route();
        fair.coupon.mints(Minting::Hangs);
        fair.stamp.mints(Minting::Fails);
        let begun = Instant::now();
        let asked = fair.ask(&route).await;
        assert_eq!(begun.elapsed(), SECOND * seconds);
        assert_eq!(why(&asked), (402, Reason::NO_CREDENTIAL, 2));
        assert_eq!(methods(&asked.challenges), ["token", "tab"]);
        // An answer is judged whatever else can be minted right now.
        fair.deliver(&route, &pay(&asked.challenges[0], "a")).await;
        fair.coupon.mints(Minting::Lasting);
        fair.stamp.mints(Minting::Lasting);
        assert_eq!(methods(&fair.ask(&route).await.challenges).len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_in_time_nobody_is_invited_to_what_cannot_be_paid() {
    let fair = Fair::new();
    let all = fair.route();
    let route = mpp_server::Route::of(all.offers.iter().take(3).cloned());
    fair.coupon.mints(Minting::Hangs);
    fair.token.mints(Minting::Fails);
    fair.stamp.mints(Minting::Fails);
    let late = fair.ask(&route).await;
    assert_eq!(why(&late), (503, Reason::NOTHING_TO_OFFER, 0), "it may be better in a moment");
    assert_eq!(late.rejection.retry_after, Some(SECOND * 2));
    fair.coupon.mints(Minting::Fails);
    assert_eq!(why(&fair.ask(&route).await), (500, Reason::OUR_FAULT, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unwanted_offer_holds_nobody_up() {
    let fair = Fair::new();
    let route = fair.route();
    fair.coupon.mints(Minting::Hangs);
    let mut call = Call::to(Resource::at("GET /joke").in_place("/joke"));
    call.accept = Accept::parse("token/charge, stamp/charge;q=0.5").unwrap();
    let begun = Instant::now();
    let asked = fair.gate.judge(&route, call).await.unwrap_err();
    assert_eq!(methods(&asked.challenges), ["token", "stamp"]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn what_every_demand_has_is_asked_for_without_waiting() {
    let fair = Fair::new();
    let all = fair.route();
    let call = || Call::to(Resource::at("GET /joke").in_place("/joke"));
    assert!(fair.gate.ask(&all, &call()).is_none(), "nothing was made out yet");
    fair.ask(&all).await;
    let at_once = fair.gate.ask(&all, &call()).unwrap();
    assert_eq!(methods(&at_once.challenges), ["coupon", "token", "stamp", "tab"]);
    let paid = pay(&at_once.challenges[1], "a");
    fair.deliver(&all, &paid).await;
    assert_eq!(fair.token.rail().asked(Step::Settle), 1);
}
