//! S1 and S2: one payment buys one thing, whoever shows it, wherever and how often.

use std::{sync::Arc, time::Duration};

use mpp_core::problem::Reason;
use mpp_server::permit::Ending;
use mpp_testkit::stripe::Fault;

use super::stage::{ELSEWHERE, Stage, USED, VISA, answer};

#[tokio::test]
async fn s1_a_confirmed_payment_intent_is_not_served_twice() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let shown = shop.pay(VISA).await;
    shop.delivers(&shown).await;
    assert_eq!(shop.refused(&shown).await, USED);
    assert_eq!((stage.charges(), stage.succeeded()), (1, 1));
}

#[tokio::test]
async fn s1_a_confirmed_payment_intent_is_not_served_twice_after_the_ledger_was_lost() {
    let stage = Stage::new().await;
    let shown = {
        let shop = stage.shop();
        let shown = shop.pay(VISA).await;
        shop.delivers(&shown).await;
        shown
    };
    let shop = stage.with_another_ledger().shop();
    assert_eq!(shop.refused(&shown).await, ELSEWHERE);
    assert_eq!(shop.refused(&shown).await, USED);
    assert_eq!((stage.intents().len(), stage.succeeded()), (1, 1));
}

#[tokio::test]
async fn s1_two_sellers_on_two_ledgers_serve_one_payment_once() {
    let stage = Stage::new().await;
    let shops = [stage.shop(), stage.with_another_ledger().shop()];
    let shown = shops[0].pay(VISA).await;
    let (first, second) = tokio::join!(shops[0].serve(&shown), shops[1].serve(&shown));
    let served = [first, second].into_iter().filter_map(Result::ok).count();
    assert_eq!((served, stage.succeeded()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_what_another_ledger_has_in_hand_is_not_taken_over() {
    let stage = Stage::new().await;
    let shops = [stage.shop(), stage.with_another_ledger().shop()];
    let shown = shops[0].pay(VISA).await;
    stage.sim.next(Fault::Slow(Duration::from_millis(800)));
    let second = async {
        while stage.charges() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shops[1].refused(&shown).await
    };
    let (first, second) = tokio::join!(shops[0].serve(&shown), second);
    assert_eq!((first.is_ok(), second), (true, ELSEWHERE));
    stage.sim.advance(Duration::from_secs(60));
    assert_eq!(shops[1].refused(&shown).await, USED);
    assert_eq!(stage.succeeded(), 1);
}

#[tokio::test]
async fn s1_one_token_for_two_challenges_buys_once() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let spt = stage.token(VISA);
    let (first, second) = (shop.answer(&spt).await, shop.answer(&spt).await);
    shop.delivers(&first).await;
    assert_eq!(shop.refused(&second).await, ELSEWHERE);
    assert_eq!((stage.charges(), stage.succeeded()), (1, 1));
}

#[tokio::test]
async fn s1_a_declined_token_is_free_for_another_challenge() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let spt = stage.token("pm_card_chargeDeclined");
    for _ in 0..2 {
        let shown = shop.answer(&spt).await;
        assert_eq!(shop.refused(&shown).await, (402, Reason::DECLINED, 1));
        assert_eq!(shop.refused(&shown).await, USED);
    }
    assert_eq!((stage.charges(), stage.succeeded()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_a_thousand_copies_of_one_credential_are_one_payment_and_one_serve() {
    let stage = Stage::new().await;
    let shop = std::sync::Arc::new(stage.shop());
    let shown = shop.pay(VISA).await;
    let copies = Vec::from_iter((0..1_000).map(|_| {
        let (shop, shown) = (shop.clone(), shown.clone());
        tokio::spawn(async move {
            match shop.serve(&shown).await {
                Ok(permit) => {
                    permit.finish(Ending::Delivered).await.unwrap();
                    1
                }
                Err((status, reason, challenges)) => {
                    let told = [Reason::IN_FLIGHT, Reason::ALREADY_USED].contains(&reason);
                    assert!(told, "{status} {reason:?} {challenges}");
                    0
                }
            }
        })
    }));
    let mut served = 0;
    for copy in copies {
        served += copy.await.unwrap();
    }
    assert_eq!(served, 1);
    assert_eq!((stage.charges(), stage.intents().len(), stage.succeeded()), (1, 1, 1));
}

#[tokio::test]
async fn s2_a_cheap_payment_buys_no_dear_thing() {
    let stage = Stage::new().await;
    let (cheap, dear) = (stage.shop(), stage.selling("6 usd".parse().unwrap(), stage.verifier()));
    let spt = stage.sim.token(VISA, "usd", 600, stage.sim.now() + 300);
    let shown = answer(&cheap.challenge().await, &spt, None);
    assert_eq!(dear.refused(&shown).await, (402, Reason::WRONG_TERMS, 1));
    assert_eq!(stage.charges(), 0);
}

#[tokio::test]
async fn s2_a_challenge_of_another_profile_or_with_other_notes_is_foreign() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let price = || "5 usd".parse().unwrap();
    let others = [
        stage.verifier().metadata("plan", "pro").unwrap(),
        stage.verifier().payment_methods(["card"]).unwrap(),
        mpp_stripe::charge::Verifier::new(stage.api(), "profile_2", mpp_stripe::Currency::USD)
            .unwrap(),
    ];
    for other in others {
        let shown = stage.selling(price(), other).pay(VISA).await;
        assert_eq!(shop.refused(&shown).await, (402, Reason::WRONG_TERMS, 1));
    }
    assert_eq!(stage.charges(), 0);
}

#[tokio::test]
async fn an_expired_challenge_takes_no_money() {
    let stage = Stage::new().await;
    let shop = stage.shop();
    let spt = stage.sim.token(VISA, "usd", 500, stage.sim.now() + 3600);
    let shown = shop.answer(&spt).await;
    stage.sim.advance(Duration::from_secs(301));
    assert_eq!(shop.refused(&shown).await, (402, Reason::EXPIRED, 1));
    assert_eq!(stage.charges(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_two_servers_on_one_store_serve_each_payment_once_whatever_the_line_does() {
    let stage = Stage::new().await;
    let shops = [Arc::new(stage.shop()), Arc::new(stage.shop())];
    let faults = [
        Fault::AnswerLost,
        Fault::ServerError,
        Fault::ServerErrorStored,
        Fault::ConnectionLost,
        Fault::RateLimited,
        Fault::Garbage(200, "<html>".to_owned()),
        Fault::Garbage(502, String::new()),
        Fault::Slow(Duration::from_millis(40)),
    ];
    for (round, fault) in faults.iter().chain(&faults).enumerate() {
        let before = stage.succeeded();
        let shown = shops[round % 2].pay(VISA).await;
        stage.sim.next(fault.clone());
        let mut delivered = 0;
        for _ in 0..5 {
            let shows = Vec::from_iter((0..6).map(|n| {
                let (shop, shown) = (shops[n % 2].clone(), shown.clone());
                tokio::spawn(async move {
                    let Ok(permit) = shop.serve(&shown).await else { return false };
                    permit.finish(Ending::Delivered).await.is_ok()
                })
            }));
            for shows in shows {
                delivered += usize::from(shows.await.unwrap());
            }
            // Past any lease of the other's.
            stage.sim.advance(Duration::from_secs(100));
        }
        assert_eq!(delivered, stage.succeeded() - before, "{fault:?}");
        assert_eq!(delivered, usize::from(!matches!(fault, Fault::ServerErrorStored)), "{fault:?}");
    }
}
