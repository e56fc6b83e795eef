//! S5: in time is in time, however late it is shown; and after the end nothing is sent.

use mpp_core::time::Clock as _;
use mpp_tempo::{
    chain::{PATH_USD as PATH, attribution::Attribution, tip20::Transfer},
    charge::{Mode, Payload},
};
use mpp_testkit::devnet::{PAYER, RECIPIENT};

use super::{
    shop::with_payload,
    stage::{CENT, Stage, key},
};

/// For how long challenges live, and for how long after that money that had moved is still taken.
const LIFE: i64 = 300;
const LATE: i64 = 1800;

#[tokio::test]
async fn s5_who_paid_in_time_is_served_late_and_nobody_forever() {
    for (seconds, served) in
        [(LIFE + 1, true), (LIFE + 600, true), (LIFE + LATE - 5, true), (LIFE + LATE + 5, false)]
    {
        let stage = Stage::new().await;
        let shop = stage.selling("0.01 usd", stage.verifier()).await;
        let before = stage.books().await;
        let paid = shop.sign(&stage.payer().mode(Mode::Push), "/joke").await;
        stage.clock.advance(seconds);
        let heard = shop.show("/joke", &paid).await;
        match served {
            true => assert_eq!(heard.code(), 200, "{seconds}: {heard:?}"),
            false => heard.is_refused(402, "expired"),
        }
        assert_eq!(shop.served(), usize::from(served));
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    }
}

#[tokio::test]
async fn s5_who_paid_after_the_end_is_not_served_for_the_price_of_before() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let pushed = shop.sign(&stage.payer().mode(Mode::Push), "/joke").await;
    let asked = shop.ask("/joke").await;
    stage.wait(LIFE + 10).await;
    assert!(asked.expires.as_ref().unwrap().expired_at(&stage.clock.now()));
    let memo = Attribution::new("127.0.0.1", asked.id().as_str()).memo(None);
    let to = RECIPIENT.address.parse().unwrap();
    let amount = alloy::primitives::U256::from(CENT);
    let transfer = Transfer { to, amount, memo: Some(memo) }.call(PATH);
    let hash = stage.run(&key(PAYER.key.hex()), vec![transfer]).await;
    let late = super::shop::moved_to(&with_payload(&pushed, &Payload::Hash { hash }), &asked);
    shop.show("/joke", &late).await.is_refused(402, "expired");
    // The one of before the end is.
    assert_eq!((shop.show("/joke", &pushed).await.code(), shop.served()), (200, 1));
}

#[tokio::test]
async fn s5_nothing_is_sent_for_a_challenge_that_is_over() {
    for sponsored in [false, true] {
        let stage = Stage::new().await;
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let counter = stage.counter().sell("/joke", "0.01 usd", till);
        let shop = counter.sell("/free", "0 usd", stage.verifier()).open().await;
        let (before, mined) = (stage.books().await, stage.mined().await);
        let (order, proof) =
            (shop.sign(&stage.payer(), "/joke").await, shop.sign(&stage.payer(), "/free").await);
        stage.clock.advance(LIFE + 1);
        for (path, shown) in [("/joke", &order), ("/free", &proof)] {
            let heard = shop.show(path, shown).await;
            heard.is_refused(402, "expired");
            assert_eq!(heard.challenges().len(), 1);
        }
        assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
        assert_eq!(shop.served(), 0);
    }
}

#[tokio::test]
async fn s5_a_transaction_that_is_about_to_end_is_not_sent_and_a_sponsor_wants_more_time() {
    // Signed for 25 seconds; so many later.
    let cases = [
        (false, 8, Ok(())),
        (false, 18, Ok(())),
        (false, 24, Err("expired")),
        (false, 40, Err("expired")),
        (true, 8, Ok(())),
        (true, 12, Err("ends-too-soon")),
        (true, 40, Err("ends-too-soon")),
    ];
    for (sponsored, seconds, expected) in cases {
        let stage = Stage::new().await;
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let shop = stage.selling("0.01 usd", till).await;
        let (before, mined) = (stage.books().await, stage.mined().await);
        let paid = shop.sign(&stage.payer(), "/joke").await;
        stage.clock.advance(seconds);
        let heard = shop.show("/joke", &paid).await;
        match expected {
            Ok(()) => assert_eq!(heard.code(), 200, "{sponsored} {seconds}: {heard:?}"),
            Err(reason) => {
                heard.is_refused(402, reason);
                let moved = stage.books().await.since(before);
                assert_eq!((moved, stage.mined().await), ([0; 4], mined));
            }
        }
        assert_eq!(shop.served(), usize::from(expected.is_ok()));
    }
}

#[tokio::test]
async fn s5_what_was_paid_and_not_handed_over_is_served_after_the_end() {
    use super::faulty::{Act, Asked, Faulty};
    let stage = Stage::new().await;
    let line = Faulty::new(&stage.node);
    let shop = stage.selling("0.01 usd", stage.verifier_at(line.clone())).await;
    let before = stage.books().await;
    let paid = shop.sign(&stage.payer(), "/joke").await;
    // Taken by the node, and whether it was is not known.
    line.next(Asked::Send, Act::DoesAndIsMute);
    for _ in 0..3 {
        line.next(Asked::Receipt, Act::NeverHears);
    }
    let heard = shop.show("/joke", &paid).await;
    assert_eq!((heard.code(), heard.challenges().len()), (503, 0), "{heard:?}");
    line.heals();
    stage.clock.advance(LIFE + 60);
    let mut heard = shop.show("/joke", &paid).await;
    for _ in 0..40 {
        if heard.code() == 200 {
            break;
        }
        assert_eq!(heard.challenges().len(), 0, "{heard:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        heard = shop.show("/joke", &paid).await;
    }
    assert_eq!((heard.code(), shop.served()), (200, 1), "{heard:?}");
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
}
