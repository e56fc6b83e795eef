//! Many at once: payments of one account, shops on one store, and one payment shown to all of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{http::StatusCode, routing::any};
use mpp_core::store::Memory;
use mpp_server::Paid;
use mpp_tempo::charge::Mode;
use mpp_testkit::devnet::PATH_USD;

use super::{
    shop::{Counter, client},
    stage::{CENT, Stage},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_purchases_of_one_account_at_once_are_twenty_payments() {
    for (mode, sponsored) in [(Mode::Pull, false), (Mode::Push, false), (Mode::Pull, true)] {
        let stage = Stage::new().await;
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let shop = stage.selling("0.01 usd", till).await;
        let (before, mined) = (stage.books().await, stage.mined().await);
        let client = client(stage.payer().mode(mode.clone()));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let request = client.get(shop.url("/joke"));
                tokio::spawn(async move {
                    let response = request.send().await.unwrap();
                    (response.status().as_u16(), response.text().await.unwrap())
                })
            })
            .collect();
        for task in tasks {
            let (status, body) = task.await.unwrap();
            assert_eq!(status, 200, "{mode:?} sponsored: {sponsored}: {body}");
        }
        assert_eq!(shop.served(), 20);
        let [payer, recipient, ..] = stage.books().await.since(before);
        assert_eq!((payer, recipient), (-200_000, 200_000), "{mode:?} {sponsored}");
        assert_eq!(stage.mined().await - mined, 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_payment_shown_ten_times_to_three_shops_on_one_store_moves_and_serves_once() {
    for (mode, sponsored) in [(Mode::Pull, false), (Mode::Push, false), (Mode::Pull, true)] {
        let stage = Stage::new().await;
        let store = Arc::new(Memory::volatile());
        let mut shops = Vec::new();
        for _ in 0..3 {
            let till = stage.verifier();
            let till = match sponsored {
                true => till.sponsored_by(stage.sponsor_on(store.clone())).unwrap(),
                false => till,
            };
            let gate = stage.gate(store.clone()).build().unwrap();
            shops.push(Counter::at(gate).sell("/joke", "0.01 usd", till).open().await);
        }
        let (before, mined) = (stage.books().await, stage.mined().await);
        let paid = shops[0].sign(&stage.payer().mode(mode.clone()), "/joke").await;
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let (shop, paid) = (shops[n % 3].clone(), paid.clone());
                tokio::spawn(async move { shop.show("/joke", &paid).await })
            })
            .collect();
        let mut served = 0;
        for task in tasks {
            let heard = task.await.unwrap();
            served += usize::from(heard.code() == 200);
            assert!(matches!(heard.code(), 200 | 402 | 403 | 503), "{heard:?}");
            // Who came late is told that it was used; who came too early, to come again.
            assert!(heard.code() != 402 || heard.why().1 == "already-used", "{heard:?}");
        }
        let handed: usize = shops.iter().map(super::shop::Shop::served).sum();
        assert_eq!((served, handed), (1, 1), "{mode:?} {sponsored}");
        let [payer, recipient, ..] = stage.books().await.since(before);
        assert_eq!((payer, recipient), (-10_000, 10_000));
        assert_eq!(stage.mined().await - mined, 1);
    }
}

#[tokio::test]
async fn who_pays_for_success_pays_for_nothing_else() {
    let stage = Stage::new().await;
    let works = Arc::new(AtomicBool::new(false));
    let (state, till) = (works.clone(), Arc::new(stage.verifier()));
    let shop = stage.counter().with(|router, gate| {
        let handler = move |_: Paid| async move {
            if state.load(Ordering::SeqCst) { Ok("done") } else { Err(StatusCode::BAD_GATEWAY) }
        };
        let wall = gate.charge("0.01 usd").unwrap().via(&till).charge_on_success();
        router.route("/job", any(handler).layer(wall.layer().unwrap()))
    });
    let shop = shop.open().await;
    let poor = stage.holding(0x61, PATH_USD, 10 * CENT).await;
    let account = poor.address().to_string();
    let (before, mined) = (stage.books_of(&account).await, stage.mined().await);
    let payer = stage.payer_of(poor);
    let paid = shop.sign(&payer, "/job").await;
    for _ in 0..2 {
        assert_eq!(shop.show("/job", &paid).await.code(), 502);
        assert_eq!(
            (stage.books_of(&account).await.since(before), stage.mined().await),
            ([0; 4], mined)
        );
    }
    works.store(true, Ordering::SeqCst);
    let heard = shop.show("/job", &paid).await;
    assert_eq!((heard.code(), heard.body.as_str()), (200, "done"));
    let [lost, got, ..] = stage.books_of(&account).await.since(before);
    assert!(got == 10_000 && (-60_000..-10_000).contains(&lost), "{lost} {got}");
    shop.show("/job", &paid).await.is_refused(402, "already-used");

    // What was sent already was taken, whether it works or not, and is good for it once it does.
    works.store(false, Ordering::SeqCst);
    let pushed = shop.sign(&payer.mode(Mode::Push), "/job").await;
    assert_eq!(shop.show("/job", &pushed).await.code(), 502);
    works.store(true, Ordering::SeqCst);
    assert_eq!(shop.show("/job", &pushed).await.code(), 200);
}

#[tokio::test]
async fn money_that_is_gone_when_the_work_is_done_buys_nothing() {
    let stage = Stage::new().await;
    let till = Arc::new(stage.verifier());
    let poor = stage.holding(0x62, PATH_USD, 9 * CENT).await;
    let (before, account) =
        (stage.books_of(&poor.address().to_string()).await, poor.address().to_string());
    let payer = stage.payer_of(poor);
    let (node, spent) = (stage.node.clone(), Arc::new(std::sync::Mutex::new(None)));
    let other = spent.clone();
    let shop = stage.counter().with(|router, gate| {
        let handler = move |_: Paid| async move {
            use mpp_tempo::chain::rpc::Rpc;
            let raw: alloy::primitives::Bytes = other.lock().unwrap().take().unwrap();
            assert!(node.send(raw).await.unwrap().success);
            "done for nothing"
        };
        let wall = gate.charge("0.05 usd").unwrap().via(&till).charge_on_success();
        router.route("/job", any(handler).layer(wall.layer().unwrap()))
    });
    let shop = shop.open().await;
    let paid = shop.sign(&payer, "/job").await;
    let elsewhere = shop.sign(&payer, "/job").await;
    *spent.lock().unwrap() = Some(super::shop::signed(&elsewhere).encode().into());
    let heard = shop.show("/job", &paid).await;
    assert!(heard.code() == 402 && !heard.body.contains("done"), "{heard:?}");
    assert!(!heard.has_receipt());
    assert_eq!(stage.books_of(&account).await.since(before)[1], 50_000, "once, elsewhere");
}
