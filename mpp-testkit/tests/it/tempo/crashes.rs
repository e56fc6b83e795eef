//! A shop that dies on the way to the chain: its next life goes on, and the money moves once.

use std::{sync::Arc, time::Duration};

use mpp_core::{Credential, store::Memory};
use mpp_tempo::charge::Mode;
use mpp_testkit::devnet::{PATH_USD, SPONSOR};
use tokio::runtime::{Builder, Runtime};

use super::{
    faulty::{Act, Asked, Faulty},
    shop::{Counter, Heard, Shop},
    stage::Stage,
};

fn life() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Sends a credential to a shop that will not answer.
fn shown(shop: &Shop, credential: &Credential) -> tokio::task::JoinHandle<()> {
    let (shop, credential) = (shop.clone(), credential.clone());
    tokio::spawn(async move {
        let asked = tokio::time::timeout(Duration::from_secs(20), shop.try_show(&credential));
        let _ = asked.await;
    })
}

async fn settled(shop: &Shop, credential: &Credential) -> Heard {
    for _ in 0..60 {
        let heard = shop.show("/joke", credential).await;
        if heard.code() == 200 {
            return heard;
        }
        assert_eq!((heard.code() == 402, heard.challenges().len()), (false, 0), "{heard:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never settled")
}

#[tokio::test]
async fn a_shop_that_died_with_a_payment_on_its_way_goes_on_with_it_in_its_next_life() {
    let ways = [
        // Nothing was sent; it was sent and mined.
        (false, Asked::Send, Act::Hangs, false),
        (false, Asked::Send, Act::DoesAndHangs, true),
        (true, Asked::Simulate, Act::Hangs, false),
        (true, Asked::Send, Act::Hangs, false),
        (true, Asked::Send, Act::DoesAndHangs, true),
    ];
    for (sponsored, asked, act, moves) in ways {
        let stage = Stage::new().await;
        let store = Arc::new(Memory::volatile());
        let till = |node| {
            let till = stage.verifier_at(node);
            match sponsored {
                true => till.sponsored_by(stage.sponsor_on(store.clone())).unwrap(),
                false => till,
            }
        };
        let open = |node| {
            let gate = stage.gate(store.clone()).alone().build().unwrap();
            Counter::at(gate).sell("/joke", "0.01 usd", till(node))
        };
        let line = Faulty::new(&stage.another_line());
        let first_life = life();
        let shop = open(line.clone()).open_in(first_life.handle());
        let (before, mined) = (stage.books().await, stage.mined().await);
        let paid = shop.sign(&stage.payer(), "/joke").await;
        line.next(asked, act.clone());
        let waiting = shown(&shop, &paid);
        let case = format!("{sponsored} {asked:?} {act:?}");
        for round in 0.. {
            let moved = stage.books().await.since(before)[1] != 0;
            if line.is_quiet() && moved == moves {
                break;
            }
            assert!(round < 100, "{case}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        first_life.shutdown_background();
        waiting.abort();

        let counter = open(stage.another_line());
        let gate = counter.gate.clone();
        let again = counter.open().await;
        gate.recover().await.unwrap();
        let heard = settled(&again, &paid).await;
        assert!(heard.has_receipt(), "{case}");
        assert_eq!(again.served(), 1, "{case}");
        let [payer, recipient, sponsor, _] = stage.books().await.since(before);
        assert_eq!((payer, recipient), (-10_000, 10_000), "{case}");
        assert_eq!((sponsor < 0, sponsor > -50_000), (sponsored, true), "{case}: {sponsor}");
        assert_eq!(stage.mined().await - mined, 1, "{case}");
        again.show("/joke", &paid).await.is_refused(402, "already-used");
    }
}

#[tokio::test]
async fn what_the_dead_had_sent_is_found_by_the_books_alone_and_served_late() {
    let stage = Stage::new().await;
    let store = Arc::new(Memory::volatile());
    let sponsor = stage.held(PATH_USD, SPONSOR.address).await;
    let open = |node| {
        let gate = stage.gate(store.clone()).alone().build().unwrap();
        Counter::at(gate).sell("/joke", "0.01 usd", stage.verifier_at(node))
    };
    let line = Faulty::new(&stage.another_line());
    let first_life = life();
    let shop = open(line.clone()).open_in(first_life.handle());
    let before = stage.books().await;
    let paid = shop.sign(&stage.payer().mode(Mode::Pull), "/joke").await;
    line.next(Asked::Send, Act::DoesAndHangs);
    let waiting = shown(&shop, &paid);
    while stage.books().await.since(before)[1] == 0 {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    first_life.shutdown_background();
    waiting.abort();
    // An hour later: the challenge is long over, and the transaction too.
    stage.wait(3000).await;
    let counter = open(stage.another_line());
    let gate = counter.gate.clone();
    let again = counter.open().await;
    gate.recover().await.unwrap();
    assert_eq!(settled(&again, &paid).await.code(), 200);
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    assert_eq!(stage.held(PATH_USD, SPONSOR.address).await, sponsor);
}
