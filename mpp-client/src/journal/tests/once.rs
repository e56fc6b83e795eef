//! One intent by the application's own word: while it is being paid for, nothing else is.

use super::*;

fn once(wallet: &Wallet) -> Exchange {
    begin(wallet).only_once()
}

fn is_still_open(heard: Result<Turn, Error>) {
    let e = heard.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::StillOpen(None), Funds::Unknown)), "{e}");
    assert!(e.unfinished().is_none());
}

#[tokio::test]
async fn of_two_at_once_under_the_apps_own_key_one_pays_and_the_other_signs_nothing() {
    let world = World::default();
    let wallet = world.wallet();
    let (mut one, mut two) = (once(&wallet), once(&wallet));
    assert!(one.adopt().await.unwrap().is_none());
    assert!(two.adopt().await.unwrap().is_none());
    assert!(matches!(one.hear(world.shop.asks(10)).await, Ok(Turn::Send(_))));
    is_still_open(two.hear(world.shop.asks(10)).await);
    assert_eq!((world.pays(), world.open().len(), world.left()), (1, 1, 990));
    // Heard, and not read to its end: it is not over.
    one.hear(Answer::Served(Some(receipt()))).await.unwrap();
    is_still_open(once(&wallet).hear(world.shop.asks(10)).await);
    one.delivered().await;
    assert!(matches!(once(&wallet).hear(world.shop.asks(10)).await, Ok(Turn::Send(_))));
    assert_eq!((world.pays(), world.left()), (2, 980));
}

#[tokio::test]
async fn what_was_lost_under_the_apps_own_key_is_not_paid_again_by_who_does_not_adopt_it() {
    for restart in [false, true] {
        let world = World::default();
        let mut wallet = world.wallet();
        let mut exchange = once(&wallet);
        exchange.hear(world.shop.asks(10)).await.unwrap();
        exchange.lost("reset").await;
        drop(exchange);
        if restart {
            wallet = world.wallet();
        }
        is_still_open(once(&wallet).hear(world.shop.asks(10)).await);
        assert_eq!((world.pays(), world.left()), (1, 990));
        // Who adopts it gets its answer, and the next is another payment.
        let mut again = once(&wallet);
        assert!(matches!(again.adopt().await, Ok(Some(Turn::Send(_)))));
        is_still_open(once(&wallet).hear(world.shop.asks(10)).await);
        again.hear(Answer::Served(Some(receipt()))).await.unwrap();
        again.delivered().await;
        assert!(matches!(once(&wallet).hear(world.shop.asks(10)).await, Ok(Turn::Send(_))));
        assert_eq!((world.pays(), world.left()), (2, 980));
    }
}

#[tokio::test]
async fn what_was_never_begun_is_in_nobodys_way() {
    let world = World::default();
    // The intent cannot be written.
    let wallet = world.wallet_over(Fragile::at(world.memory(), 1, How::Fails)).unwrap().unwrap();
    let e = once(&wallet).hear(world.shop.asks(10)).await.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::Journal, Funds::Untouched)), "{e}");
    assert!(matches!(once(&wallet).hear(world.shop.asks(10)).await, Ok(Turn::Send(_))));
    assert_eq!((world.pays(), world.left()), (1, 990));
}

#[tokio::test]
async fn what_is_used_up_is_in_nobodys_way_though_the_exchange_that_told_it_lives_on() {
    let world = World::default();
    world.says(Became::Paid);
    let wallet = world.wallet();
    once(&wallet).hear(world.shop.asks(10)).await.unwrap();
    let mut again = once(&wallet);
    assert!(again.adopt().await.unwrap().is_some());
    world.hands.0.store(3_000_000_000_000, Ordering::SeqCst);
    let e = again.hear(world.shop.asks(10)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Consumed(None)), "{e}");
    world.hands.0.store(0, Ordering::SeqCst);
    assert!(matches!(once(&wallet).hear(world.shop.asks(10)).await, Ok(Turn::Send(_))));
    drop(again);
}

/// Threads that take what is open and put it back, and one that would pay once: at no instant is it in neither place.
#[test]
fn on_its_way_from_hand_to_hand_it_is_never_taken_for_over() {
    let world = World::default();
    let wallet = world.wallet();
    now(once(&wallet).hear(world.shop.asks(10))).unwrap().unwrap();
    let journal = wallet.journal.as_ref().unwrap();
    let (purpose, over) = (Purpose::of(&to(), b"", None), AtomicBool::new(false));
    let begun = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                drop(journal.take_for(&purpose));
            }
        });
        let holds = |_: &_| journal.0.shelf().hold(Some(&purpose), true);
        let begun = (0..200_000).filter(holds).count();
        over.store(true, Ordering::SeqCst);
        begun
    });
    assert_eq!(begun, 0);
}
