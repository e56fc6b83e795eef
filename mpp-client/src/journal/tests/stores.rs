//! Stores that fail at each write: nothing leaves that is not written down, and nobody is told that nothing was paid.

use super::*;

/// The writes of a paid request: the budget, the intent, the credential, the receipt, the delivery.
const WRITES: i64 = 5;

#[tokio::test]
async fn nothing_leaves_before_it_is_written_and_the_money_is_told_honestly() {
    for how in [How::Fails, How::FailsLate] {
        for at in 0..WRITES {
            let world = World::default();
            world.rail.lock().unwrap().recall = Some(false);
            let wallet = world.wallet_over(Fragile::at(world.memory(), at, how)).unwrap().unwrap();
            let sent = world.request(&wallet).await;
            match (at, sent) {
                (0, Err(e)) => {
                    assert!(matches!(
                        e.kind(),
                        Kind::Denied(crate::policy::Denied::Unavailable(_))
                    ));
                    assert_eq!((e.funds(), world.pays()), (Funds::Untouched, 0));
                }
                (1, Err(e)) => {
                    assert!(matches!(e.kind(), Kind::Journal), "{e}");
                    assert_eq!((e.funds(), world.pays()), (Funds::Untouched, 0));
                    assert_eq!(world.left(), 1000);
                }
                (2, Err(e)) => {
                    assert!(matches!(e.kind(), Kind::Journal), "{e}");
                    // What is not stored must not leave, by nobody's hand.
                    assert!(e.unfinished().is_none());
                    assert!(wallet.unfinished()[0].unfinished.is_none());
                    assert_eq!((e.funds(), world.pays()), (Funds::Unknown, 1));
                    assert_eq!(world.shop.seen(), 0, "it left unwritten");
                }
                (3 | 4, Ok(mut exchange)) => {
                    assert!(exchange.receipt().is_some(), "what was served is handed on");
                    exchange.delivered().await;
                }
                (at, sent) => panic!("{how:?} {at}: {sent:?}"),
            }
            // The same process goes on: what was signed is shown, and signed once.
            if at <= 2 {
                world.request(&wallet).await.unwrap().delivered().await;
                assert_eq!((world.pays(), world.shop.seen()), (1, 1), "{how:?} {at}");
            }
            if at < 4 {
                let open: Vec<_> = world.open().into_iter().map(|open| open.state).collect();
                let ghost = at == 1 && how == How::FailsLate;
                assert_eq!(open, if ghost { vec![State::Intent] } else { vec![] }, "{how:?} {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_credential_that_is_not_written_down_is_shown_to_nobody_before_it_is() {
    for how in [How::Fails, How::FailsLate] {
        let world = World::default();
        let fragile = Fragile::at(world.memory(), 2, how);
        let wallet = world.wallet_over(fragile.clone()).unwrap().unwrap();
        let e = begin(&wallet).hear(world.shop.asks(10)).await.unwrap_err();
        assert!(matches!((e.kind(), e.funds()), (Kind::Journal, Funds::Unknown)), "{e}");
        assert!(e.unfinished().is_none() && e.credential().is_none());
        // As long as it cannot be written, no request has it.
        for _ in 0..2 {
            fragile.left.store(0, Ordering::SeqCst);
            let e = begin(&wallet).adopt().await.unwrap_err();
            assert!(matches!((e.kind(), e.funds()), (Kind::Journal, Funds::Unknown)), "{e}");
            assert!(e.unfinished().is_none() && e.credential().is_none());
            let open = wallet.unfinished();
            assert_eq!((open.len(), open[0].state), (1, State::Signed));
            assert!(open[0].unfinished.is_none());
        }
        let mut again = begin(&wallet);
        let Ok(Some(Turn::Send(shown))) = again.adopt().await else { panic!("{how:?}") };
        let stored = world.open();
        assert_eq!(stored[0].state, State::Signed);
        let stored = stored[0].unfinished.as_ref().unwrap();
        assert_eq!(stored.credential().fingerprint(), shown.fingerprint());
        drop(again);
        // Once it is written, its owner has it too.
        assert!(wallet.unfinished()[0].unfinished.is_some());
        assert_eq!(world.pays(), 1);
    }
}

#[tokio::test]
async fn what_a_payer_left_alone_is_given_back_once_whatever_the_store_does() {
    for how in [How::Fails, How::FailsLate] {
        for at in 2..5 {
            let world = World::default();
            world.rail.lock().unwrap().recall = Some(false);
            let fragile = Fragile::at(world.memory(), at, how);
            let journal = Journal::open(fragile.clone(), "w").await.unwrap();
            let payer = Holder::<Coupon>::new(&world.diary).on(&world.rail);
            *payer.fails.lock().unwrap() = Some(PayError::untouched("empty"));
            let wallet = Wallet::new(world.limits(fragile)).payer(payer);
            let wallet = wallet.clock(world.hands.clone()).journal(journal);
            let e = world.request(&wallet).await.unwrap_err();
            assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Untouched)), "{e}");
            let _ = world.request(&wallet).await;
            let _ = world.request(&wallet).await;
            // Never more than there is: the one or two that were signed are spent.
            assert_eq!(world.pays(), world.shop.seen());
            assert!(world.left() <= 1000 - 10 * world.pays() as u128, "{how:?} {at}");
        }
    }
}

#[tokio::test]
async fn a_journal_that_another_process_wrote_to_is_not_written_over() {
    let world = World::default();
    let (one, two) = (world.wallet(), world.wallet());
    begin(&one).hear(world.shop.asks(10)).await.unwrap();
    let mut ours = begin(&one);
    assert!(ours.adopt().await.unwrap().is_some());
    let theirs = world.wallet();
    let mut stolen = begin(&theirs);
    assert!(stolen.adopt().await.unwrap().is_some());
    stolen.hear(Answer::Served(Some(receipt()))).await.unwrap();
    stolen.delivered().await;
    ours.lost("reset").await;
    assert!(world.open().is_empty());
    drop(two);
}

#[tokio::test]
async fn without_a_journal_nothing_is_written() {
    let world = World::default();
    let fragile = Fragile::at(world.memory(), 0, How::Fails);
    let payer = Holder::<Coupon>::new(&world.diary);
    let wallet = Wallet::new(Limits::usd("1").unwrap()).payer(payer).clock(world.hands.clone());
    world.request(&wallet).await.unwrap().delivered().await;
    assert_eq!(fragile.left.load(Ordering::SeqCst), 0);
    assert!(wallet.unfinished().is_empty());
}
