//! How payments end that were not delivered: what proves it, what is told, and what comes back.

use mpp_core::problem::{Problem, ProblemType, Reason, Rejection};

use super::*;

/// The write that ends a payment: the one after the budget's, the intent's and the credential's.
const END: i64 = 3;

fn denied(reason: Reason) -> Answer {
    let problem = Problem::of(&Rejection::new(ProblemType::DENIED, reason, "No."));
    Answer::Troubled { status: 403, problem: Some(problem) }
}

/// A demand that is over so many seconds from now.
fn asks_for(world: &World, seconds: i64) -> Answer {
    let until = world.hands.now().unix_millis() + 1000 * seconds;
    let expires = Some(Timestamp::from_unix_millis(until));
    let challenges = vec![challenge("coupon", 10, |draft| draft.expires = expires)];
    Answer::Required { challenges, problem: None }
}

/// Signs one, and lets go of it.
async fn leave_one(world: &World, wallet: &Wallet) {
    begin(wallet).hear(world.shop.asks(10)).await.unwrap();
}

/// S14: a paid answer was lost, and the server that took it refuses it without a challenge.
#[tokio::test]
async fn s14_what_was_redeemed_and_is_refused_without_a_challenge_is_told_once() {
    for reason in [Reason::REDEEMED_TOO_OFTEN, Reason::CREDITED_ELSEWHERE] {
        for settled in [false, true] {
            let world = World::default();
            world.says(Became::Paid);
            let wallet = world.wallet();
            let mut exchange = begin(&wallet);
            exchange.hear(world.shop.asks(10)).await.unwrap();
            match settled {
                true => drop(exchange.hear(Answer::Served(Some(receipt()))).await.unwrap()),
                false => drop(exchange.lost("reset").await),
            }
            drop(exchange);
            let mut again = begin(&wallet);
            assert!(again.adopt().await.unwrap().is_some());
            let e = again.hear(denied(reason)).await.unwrap_err();
            let Kind::Consumed(told) = e.kind() else { panic!("{e}") };
            assert_eq!((told.is_some(), e.funds()), (settled, Funds::Committed));
            assert!(e.unfinished().is_none());
            assert!(world.open().is_empty() && wallet.unfinished().is_empty());
            assert_eq!(world.left(), 990);
            // Told once: the next pays anew.
            world.request(&wallet).await.unwrap().delivered().await;
            assert_eq!((world.pays(), world.left()), (2, 980));
        }
    }
}

#[tokio::test]
async fn s14_what_is_in_flight_or_not_paid_is_not_over_by_the_servers_word() {
    for (reason, became) in [
        (Reason::IN_FLIGHT, Became::Paid),
        (Reason::OUTCOME_UNKNOWN, Became::Paid),
        (Reason::RATE_LIMITED, Became::Paid),
        (Reason::REDEEMED_TOO_OFTEN, Became::Open),
    ] {
        let world = World::default();
        world.says(became);
        let wallet = world.wallet();
        leave_one(&world, &wallet).await;
        for _ in 0..3 {
            let mut again = begin(&wallet);
            assert!(again.adopt().await.unwrap().is_some());
            assert!(matches!(again.hear(denied(reason)).await, Ok(Turn::Done)), "{reason:?}");
        }
        assert_eq!((world.pays(), world.open().len()), (1, 1));
        // And is shown again when the server has made up its mind.
        assert!(world.request(&wallet).await.unwrap().receipt().is_some());
        assert_eq!((world.pays(), world.shop.seen()), (1, 1));
    }
}

#[tokio::test]
async fn a_server_that_hangs_on_every_credential_blocks_nothing_once_the_challenge_is_over() {
    for restart in [false, true] {
        let world = World::default();
        let mut wallet = world.wallet();
        begin(&wallet).hear(asks_for(&world, 60)).await.unwrap();
        world.says(Became::Dead);
        // While its challenge holds, it is shown; nobody ever answers.
        for _ in 0..3 {
            assert!(begin(&wallet).adopt().await.unwrap().is_some());
        }
        assert_eq!((world.pays(), world.left()), (1, 990));
        world.hands.0.store(120_000, Ordering::SeqCst);
        if restart {
            wallet = world.wallet();
        }
        let mut next = begin(&wallet);
        assert!(next.adopt().await.unwrap().is_none(), "it was shown");
        assert_eq!((world.open().len(), world.left()), (0, 1000));
        assert!(matches!(next.hear(asks_for(&world, 60)).await, Ok(Turn::Send(_))));
        next.hear(Answer::Served(Some(receipt()))).await.unwrap();
        next.delivered().await;
        assert_eq!((world.pays(), world.open().len(), world.left()), (2, 0, 990));
    }
}

#[tokio::test]
async fn what_may_still_move_is_shown_though_its_challenge_is_over() {
    for became in [Some(Became::Open), Some(Became::Paid), None] {
        let world = World::default();
        world.rail.lock().unwrap().became = became;
        let wallet = world.wallet();
        begin(&wallet).hear(asks_for(&world, 60)).await.unwrap();
        world.hands.0.store(120_000, Ordering::SeqCst);
        assert!(begin(&wallet).adopt().await.unwrap().is_some());
        assert_eq!((world.pays(), world.open().len(), world.left()), (1, 1, 990));
    }
}

#[tokio::test]
async fn what_another_process_ended_is_not_given_back_a_second_time() {
    let world = World::default();
    let ours = world.wallet();
    leave_one(&world, &ours).await;
    let theirs = world.wallet();
    world.says(Became::Dead);
    assert_eq!((theirs.reconcile().await.unwrap().len(), world.left()), (1, 1000));
    // What is spent by now would come back with it, in the same slot of the books.
    world.request(&theirs).await.unwrap().delivered().await;
    let id = ours.unfinished()[0].id.clone();
    for _ in 0..3 {
        assert!(ours.reconcile().await.is_err());
        assert!(ours.write_off(&id).await.is_err());
        let e = world.request(&ours).await.unwrap_err();
        assert!(matches!(e.kind(), Kind::Journal), "{e}");
        assert_eq!((world.pays(), world.left(), world.open().len()), (2, 990, 0));
    }
}

#[tokio::test]
async fn an_end_that_was_written_and_not_answered_is_taken_over_and_given_back_once() {
    for how in [How::Fails, How::FailsLate] {
        let world = World::default();
        let fragile = Fragile::at(world.memory(), END, how);
        let wallet = world.wallet_over(fragile).unwrap().unwrap();
        leave_one(&world, &wallet).await;
        world.says(Became::Dead);
        assert!(wallet.reconcile().await.is_err());
        assert_eq!((wallet.unfinished().len(), world.left()), (1, 990));
        assert_eq!((wallet.reconcile().await.unwrap().len(), world.left()), (1, 1000));
        assert!(wallet.reconcile().await.unwrap().is_empty());
        world.request(&wallet).await.unwrap().delivered().await;
        assert_eq!((world.pays(), world.open().len(), world.left()), (2, 0, 990));
    }
}

#[tokio::test]
async fn an_end_that_was_written_and_not_answered_blocks_no_request() {
    for refused in [false, true] {
        let world = World::default();
        // Where it was shown and refused, that it was sent is written down before.
        let end = END + i64::from(refused);
        let fragile = Fragile::at(world.memory(), end, How::FailsLate);
        let wallet = world.wallet_over(fragile).unwrap().unwrap();
        leave_one(&world, &wallet).await;
        world.says(Became::Dead);
        if refused {
            let mut again = begin(&wallet);
            again.adopt().await.unwrap();
            let e = again.hear(world.shop.asks(10)).await.unwrap_err();
            assert!(matches!(e.kind(), Kind::StillOpen(None)), "{e}");
        } else {
            assert!(wallet.reconcile().await.is_err());
        }
        // Nobody has read the answer to its end here: the next is shown no more, and paid anew.
        world.request(&wallet).await.unwrap().delivered().await;
        assert_eq!((world.pays(), world.shop.seen(), world.open().len()), (2, 1, 0));
        assert!(wallet.unfinished().is_empty() && world.left() <= 990, "{}", world.left());
        assert!(wallet.reconcile().await.unwrap().is_empty() && world.left() <= 990);
    }
}

#[tokio::test]
async fn what_its_owner_gave_up_without_hearing_so_is_given_up() {
    for again in [false, true] {
        let world = World::default();
        let fragile = Fragile::at(world.memory(), END, How::FailsLate);
        let wallet = world.wallet_over(fragile).unwrap().unwrap();
        leave_one(&world, &wallet).await;
        let id = wallet.unfinished()[0].id.clone();
        assert!(wallet.write_off(&id).await.is_err());
        if again {
            assert!(wallet.write_off(&id).await.unwrap());
        }
        world.request(&wallet).await.unwrap().delivered().await;
        assert_eq!((world.pays(), world.shop.seen(), world.left()), (2, 1, 980));
        assert!(wallet.unfinished().is_empty() && world.open().is_empty());
    }
}

#[tokio::test]
async fn an_intent_whose_end_was_written_and_not_answered_blocks_no_request_of_a_forgetful_payer() {
    let world = World::default();
    // The third write: the payer left it alone, and there is no credential.
    let fragile = Fragile::at(world.memory(), 2, How::FailsLate);
    let journal = Journal::open(fragile.clone(), "w").await.unwrap();
    let payer = Holder::<Coupon>::new(&world.diary).on(&world.rail);
    *payer.fails.lock().unwrap() = Some(PayError::untouched("empty"));
    let wallet = Wallet::new(world.limits(fragile)).payer(payer);
    let wallet = wallet.clock(world.hands.clone()).journal(journal);
    let e = world.request(&wallet).await.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Untouched)), "{e}");
    assert!(world.open().is_empty());
    world.request(&wallet).await.unwrap().delivered().await;
    assert_eq!((world.pays(), wallet.unfinished().len()), (1, 0));
    assert!(world.left() <= 990);
}

#[tokio::test]
async fn what_is_open_is_due_for_questions_at_most_once_in_half_a_minute() {
    let world = World::default();
    world.says(Became::Open);
    let wallet = world.wallet();
    assert!(!wallet.is_reconcile_due() && !wallet.is_reconcile_due());
    leave_one(&world, &wallet).await;
    // Where nothing was open nobody asked, so it is due at once; clones share when that was.
    assert!(wallet.is_reconcile_due());
    assert!(!wallet.is_reconcile_due() && !wallet.clone().is_reconcile_due());
    let asked = |ago: u64| {
        let then = Instant::now().checked_sub(Duration::from_secs(ago)).unwrap();
        *wallet.journal.as_ref().unwrap().0.tended.lock().unwrap() = Some(then);
    };
    asked(25);
    assert!(!wallet.is_reconcile_due());
    asked(31);
    assert!(wallet.is_reconcile_due() && !wallet.is_reconcile_due());
    world.request(&wallet).await.unwrap().delivered().await;
    asked(31);
    assert!(!wallet.is_reconcile_due());
    let bare = Wallet::new(Limits::usd("1").unwrap());
    assert!(!bare.is_reconcile_due());
}
