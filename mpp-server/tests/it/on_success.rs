//! Routes that charge on success: the handler runs first, and the money moves for what is handed over.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{Router, routing::get};
use http::request::Parts;
use mpp_core::problem::{Reason, Rejection};
use mpp_server::{Gate, permit::Ending, tower::Paywall};
use mpp_testkit::rail::{Act, Rail, Step};
use tower::ServiceExt;

use crate::{
    booth::with,
    shop::{Shop, answering, builder, credential, everything_runs, get_, send, show},
};

const IN_FLIGHT: (u16, Reason, usize) = (403, Reason::IN_FLIGHT, 0);

fn wall(gate: &Gate, rail: &std::sync::Arc<Rail>) -> Paywall {
    gate.charge("1 coupon").unwrap().via(rail).charge_on_success().layer().unwrap()
}

#[tokio::test]
async fn a_handler_that_fails_moves_no_money_and_its_credential_stays_good() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s.gate, &s.rail), &[(500, "oh"), (404, "no"), (200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    for status in [500, 404] {
        let failed = show(&app, get_("/a"), &c).await;
        assert_eq!((failed.code(), failed.has_receipt(), s.rail.taken()), (status, false, 0));
        assert_eq!(failed.headers["cache-control"], "no-store");
    }
    let served = show(&app, get_("/a"), &c).await;
    assert_eq!((served.code(), &*served.body, served.has_receipt()), (200, "ha", true));
    assert_eq!((s.rail.taken(), runs.load(Ordering::SeqCst)), (1, 3));
    assert_eq!(show(&app, get_("/a"), &c).await.reason(), "already-used");
}

#[tokio::test]
async fn what_was_paid_before_it_was_shown_is_booked_before_the_handler_and_redeemed_after_its_failure()
 {
    let s = Shop::new();
    s.rail.is_paid_before();
    let (app, _) = answering(wall(&s.gate, &s.rail), &[(500, "oh"), (200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    assert_eq!((show(&app, get_("/a"), &c).await.code(), s.rail.taken()), (500, 1));
    // Long after its challenge is over.
    s.clock.advance(Duration::from_secs(3_600));
    let served = show(&app, get_("/a"), &c).await;
    assert_eq!((served.code(), served.has_receipt(), s.rail.taken()), (200, true, 1));
}

#[tokio::test]
async fn a_proof_whose_handler_failed_is_good_for_another_challenge_too() {
    let s = Shop::on_success();
    let (one, other) = (s.coupon("b1").await, s.coupon("b1").await);
    s.serve(&one).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    s.serve(&other).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.refused(&one).await, (403, Reason::CREDITED_ELSEWHERE, 0));
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test]
async fn what_the_rail_refuses_at_the_end_is_402_and_not_a_byte_of_the_handler_is_released() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s.gate, &s.rail), &[(200, "the secret recipe")]);
    let c = credential(&app, get_("/a"), "b1").await;
    s.rail.next(Step::Settle, [Act::Refuses]);
    let refused = show(&app, get_("/a"), &c).await;
    assert_eq!(
        (refused.code(), &*refused.reason(), refused.has_receipt()),
        (402, "bad-proof", false)
    );
    assert_eq!((refused.challenges().len(), runs.load(Ordering::SeqCst)), (1, 1));
    assert!(!refused.body.contains("recipe") && !refused.headers.contains_key("x-made-by"));
    assert_eq!(show(&app, get_("/a"), &c).await.reason(), "already-used");
    // The fresh challenge is as good as any.
    let again = mpp_testkit::rail::answer(&refused.challenge(), "b1");
    assert_eq!(show(&app, get_("/a"), &again).await.code(), 200);
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test]
async fn what_became_of_the_money_is_unknown_so_nothing_is_released_and_it_is_redeemed_later() {
    for act in [Act::TakesAndIsMute, Act::NeverHears, Act::TakesAndPanics, Act::Panics] {
        let s = Shop::new();
        let (app, _) = answering(wall(&s.gate, &s.rail), &[(200, "ha")]);
        let c = credential(&app, get_("/a"), "b1").await;
        s.rail.next(Step::Settle, [act]);
        let unknown = show(&app, get_("/a"), &c).await;
        assert_eq!((unknown.code(), unknown.challenges().len()), (503, 0), "{act:?}");
        assert!(unknown.headers.contains_key("retry-after"));
        assert!(!unknown.body.contains("ha\"") && !unknown.headers.contains_key("x-made-by"));
        s.clock.advance(Duration::from_secs(120));
        let served = show(&app, get_("/a"), &c).await;
        assert_eq!((served.code(), &*served.body, served.has_receipt()), (200, "ha", true));
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_while_the_handler_runs_is_not_charged() {
    let s = Shop::new();
    let slow = async || {
        tokio::time::sleep(Duration::from_secs(5)).await;
        "ha"
    };
    let app = Router::new().route("/a", get(slow).layer(wall(&s.gate, &s.rail)));
    let c = credential(&app, get_("/a"), "b1").await;
    let hung = app.clone().oneshot(with(get_("/a"), &c));
    assert!(tokio::time::timeout(Duration::from_secs(1), hung).await.is_err());
    everything_runs().await;
    assert_eq!(s.rail.asked(Step::Settle), 0);
    assert_eq!(show(&app, get_("/a"), &c).await.code(), 200);
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_while_the_money_moves_redeems_it() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s.gate, &s.rail), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    s.rail.next(Step::Settle, [Act::TakesAndIsSlow(Duration::from_secs(5))]);
    let hung = app.clone().oneshot(with(get_("/a"), &c));
    assert!(tokio::time::timeout(Duration::from_secs(1), hung).await.is_err());
    assert_eq!(show(&app, get_("/a"), &c).await.reason(), "in-flight");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let served = show(&app, get_("/a"), &c).await;
    assert_eq!((served.code(), served.has_receipt()), (200, true));
    assert_eq!(
        (s.rail.taken(), s.rail.asked(Step::Settle), runs.load(Ordering::SeqCst)),
        (1, 1, 2)
    );
}

#[tokio::test]
async fn a_crash_while_the_handler_ran_charges_nothing_and_the_next_life_runs_it_again() {
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    let dead = s.serve(&c).await.unwrap();
    let next = s.another();
    assert_eq!(next.refused(&c).await, IN_FLIGHT);
    s.clock.advance(Duration::from_secs(120));
    let mut permit = next.serve(&c).await.unwrap();
    assert_eq!((s.rail.taken(), permit.receipt()), (0, None));
    permit.charge().await.unwrap();
    assert_eq!(s.rail.taken(), 1);
    permit.finish(Ending::Delivered).await.unwrap();
    // Whoever was thought dead finds that the payment is not its own any more, and hands nothing over.
    let late = dead.finish(Ending::Delivered).await.unwrap_err();
    assert_eq!((late.rejection.kind.status, late.challenges.len()), (403, 0));
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
}

#[tokio::test]
async fn two_copies_run_one_handler() {
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    let permit = s.serve(&c).await.unwrap();
    assert_eq!(s.refused(&c).await, IN_FLIGHT);
    assert_eq!(s.another().refused(&c).await, IN_FLIGHT);
    permit.finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.refused(&c).await, (402, Reason::ALREADY_USED, 1));
}

#[tokio::test]
async fn s5_what_expired_while_its_handler_ran_takes_no_money() {
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    let mut permit = s.serve(&c).await.unwrap();
    s.clock.advance(Duration::from_secs(301));
    let refused = permit.charge().await.unwrap_err();
    assert_eq!(crate::shop::why(&refused), (402, Reason::EXPIRED, 1));
    assert_eq!(s.refused(&c).await, (402, Reason::EXPIRED, 1));
    // Nothing was sent, so the proof is free for the fresh challenge.
    let fresh = mpp_testkit::rail::answer(&refused.challenges[0], "b1");
    s.serve(&fresh).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test]
async fn s5_what_was_reserved_before_a_crash_and_has_expired_since_takes_no_money() {
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    let dead = s.serve(&c).await.unwrap();
    s.clock.advance(Duration::from_secs(301));
    let next = s.another();
    assert_eq!(next.refused(&c).await, (402, Reason::EXPIRED, 1));
    assert_eq!(next.gate.recover().await.unwrap(), Default::default());
    drop(dead);
    everything_runs().await;
    assert_eq!(s.rail.asked(Step::Settle), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_was_never_charged_is_charged_late_or_not_called_one() {
    for (act, counted) in [(Act::Answers, 1), (Act::Refuses, 0)] {
        let s = Shop::on_success();
        let c = s.coupon("b1").await;
        s.rail.next(Step::Settle, [act]);
        // A driver that forgot to charge before it handed the response over.
        s.serve(&c).await.unwrap().finish_soon(Ending::Delivered);
        everything_runs().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((s.rail.taken(), s.refused(&c).await.1), (counted, Reason::ALREADY_USED));
    }
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    s.rail.next(Step::Settle, [Act::NeverHears]);
    s.serve(&c).await.unwrap().finish_soon(Ending::Delivered);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    s.clock.advance(Duration::from_secs(60));
    s.serve(&c)
        .await
        .expect("unknown, and so not delivered")
        .finish(Ending::Delivered)
        .await
        .unwrap();
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
}

#[tokio::test]
async fn a_price_that_cannot_be_told_any_more_does_not_turn_the_order_of_money_round() {
    let s = Shop::new();
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = down.clone();
    let price = move |_: &Parts| {
        let down = seen.load(Ordering::SeqCst);
        async move {
            if down {
                Err(Rejection::internal("no prices"))
            } else {
                Ok("1 coupon".parse().unwrap())
            }
        }
    };
    let sold = |gate: &Gate| {
        let wall = gate.charge_each(price.clone()).via(&s.rail).charge_on_success();
        answering(wall.layer().unwrap(), &[(500, "oh")]).0
    };
    let app = sold(&s.gate);
    let c = credential(&app, get_("/a"), "b1").await;
    // Its server dies while the handler runs.
    let slow = async || std::future::pending::<&str>().await;
    let hangs = s.gate.charge_each(price.clone()).via(&s.rail).charge_on_success().layer().unwrap();
    let hangs = Router::new().route("/a", get(slow).layer(hangs));
    let held = tokio::spawn(hangs.oneshot(with(get_("/a"), &c)));
    everything_runs().await;
    s.clock.advance(Duration::from_secs(120));
    down.store(true, Ordering::SeqCst);
    let next = builder(s.store.clone(), &s.clock).build().unwrap();
    let failed = show(&sold(&next), get_("/a"), &c).await;
    assert_eq!((failed.code(), s.rail.taken()), (500, 0), "charged for an error");
    held.abort();
    assert_eq!(send(&app, get_("/a")).await.code(), 500);
}
