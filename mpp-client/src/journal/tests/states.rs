//! A restart in each state, and what the next request of the same purpose does.

use super::*;

#[tokio::test]
async fn a_payment_goes_through_its_states_and_ends_delivered() {
    let world = World::default();
    let wallet = world.wallet();
    let mut exchange = begin(&wallet);
    exchange.hear(world.shop.asks(10)).await.unwrap();
    assert_eq!(world.open()[0].state, State::Signed);
    exchange.hear(Answer::Served(Some(receipt()))).await.unwrap();
    let open = &world.open()[0];
    assert_eq!((open.state, open.receipt.as_deref()), (State::Settled, Some(&receipt())));
    assert_eq!((open.to(), open.quote.exposes.amount.get()), (&to(), 10));
    exchange.delivered().await;
    assert!(world.open().is_empty());
    drop(exchange);
    // Over: the next is another payment.
    world.request(&wallet).await.unwrap();
    assert_eq!(world.pays(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_by_the_next_request_and_not_paid_again() {
    for restart in [false, true] {
        let world = World::default();
        let wallet = world.wallet();
        let mut exchange = begin(&wallet);
        let Ok(Turn::Send(first)) = exchange.hear(world.shop.asks(10)).await else { panic!() };
        assert_eq!(exchange.lost("reset").await.funds(), Funds::Unknown);
        assert_eq!(world.open()[0].state, State::Sent);
        drop(exchange);
        let wallet = if restart { world.wallet() } else { wallet };
        let mut again = begin(&wallet);
        let Ok(Some(Turn::Send(second))) = again.adopt().await else { panic!() };
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(again.idempotency_key(), Some("k"));
        // While it is in somebody's hands nobody else shows it.
        assert!(begin(&wallet).adopt().await.unwrap().is_none());
        again.hear(Answer::Served(Some(receipt()))).await.unwrap();
        again.delivered().await;
        assert_eq!((world.pays(), world.open().len()), (1, 0));
    }
}

#[tokio::test]
async fn other_purposes_are_other_payments_and_two_at_once_are_two() {
    let world = World::default();
    let wallet = world.wallet();
    let mut one = begin(&wallet);
    let mut two = begin(&wallet);
    one.hear(world.shop.asks(10)).await.unwrap();
    assert!(two.adopt().await.unwrap().is_none());
    two.hear(world.shop.asks(10)).await.unwrap();
    one.lost("reset").await;
    two.lost("reset").await;
    drop((one, two));
    assert_eq!((world.pays(), world.open().len()), (2, 2));
    let purposes = [
        Purpose::of(&to(), b"x", None),
        Purpose::of(&to(), b"", Some("own")),
        Purpose::of(&Site { resource: "POST /joke".into(), ..to() }, b"", None),
        Purpose::of(&Site { origin: "https://other".into(), ..to() }, b"", None),
    ];
    for purpose in purposes {
        let mut other = wallet.exchange(to()).about(Some(purpose), None);
        assert!(other.adopt().await.unwrap().is_none());
    }
    // Each is adopted once.
    world.request(&wallet).await.unwrap().delivered().await;
    world.request(&wallet).await.unwrap().delivered().await;
    assert_eq!((world.pays(), world.open().len()), (2, 0));
}

#[tokio::test]
async fn an_intent_is_asked_about_and_never_paid_again_in_doubt() {
    for (recall, pays, funds) in
        [(Some(false), 1, None), (Some(true), 0, None), (None, 0, Some(Funds::Unknown))]
    {
        let world = World::default();
        world.rail.lock().unwrap().recall = recall;
        // The process dies between the intent and the credential: the third write, after the budget's and the intent's.
        let fragile = Fragile::at(world.memory(), 2, How::Stops);
        let wallet = world.wallet_over(fragile).unwrap().unwrap();
        assert!(now(world.request(&wallet)).is_none());
        drop(wallet);
        world.diary.lock().unwrap().clear();
        assert_eq!(world.open()[0].state, State::Intent);
        let wallet = world.wallet();
        let sent = world.request(&wallet).await;
        assert_eq!((world.pays(), sent.as_ref().err().map(Error::funds)), (pays, funds));
        match sent {
            Ok(mut exchange) => exchange.delivered().await,
            Err(e) => {
                assert!(matches!(e.kind(), Kind::StillOpen(None)), "{e}");
                assert_eq!(world.shop.seen(), 0);
                // Its owner may give it up, and only then is it paid anew.
                let id = wallet.unfinished()[0].id.clone();
                assert!(wallet.write_off(&id).await.unwrap());
                assert!(!wallet.write_off(&id).await.unwrap());
                world.request(&wallet).await.unwrap().delivered().await;
            }
        }
        assert!(world.open().is_empty());
    }
}

async fn refused_after_a_lost_answer(world: &World) -> (Wallet, Result<Exchange, Error>) {
    let wallet = world.wallet();
    let mut exchange = begin(&wallet);
    let Ok(Turn::Send(credential)) = exchange.hear(world.shop.asks(10)).await else { panic!() };
    world.shop.shown(&credential);
    exchange.lost("reset").await;
    drop((exchange, wallet));
    *world.shop.refuses.lock().unwrap() = true;
    let wallet = world.wallet();
    let sent = world.request(&wallet).await;
    (wallet, sent)
}

#[tokio::test]
async fn a_refusal_is_no_proof_and_an_open_payment_is_neither_paid_again_nor_forgotten() {
    for became in [None, Some(Became::Open)] {
        let world = World::default();
        world.rail.lock().unwrap().became = became;
        let before = world.left_after_one_payment().await;
        let (wallet, sent) = refused_after_a_lost_answer(&world).await;
        let e = sent.unwrap_err();
        assert!(matches!((e.kind(), e.funds()), (Kind::StillOpen(None), Funds::Unknown)), "{e}");
        assert!(e.unfinished().is_some());
        assert_eq!(std::error::Error::source(&e).is_some(), became.is_none());
        assert_eq!((world.pays(), wallet.unfinished().len()), (1, 1));
        let again = world.request(&wallet).await.unwrap_err();
        assert!(matches!(again.kind(), Kind::StillOpen(_)));
        assert_eq!((world.pays(), world.left()), (1, before));
    }
}

#[tokio::test]
async fn what_is_dead_gives_its_budget_back_and_is_paid_anew_by_the_same_request() {
    for (became, gives_back) in [(Became::Dead, true), (Became::Failed, false)] {
        let world = World::default();
        world.says(became);
        let (_, sent) = refused_after_a_lost_answer(&world).await;
        // Paid anew, and refused once more: that is the caller's answer.
        assert_eq!(sent.unwrap().verdict().unwrap().funds(), Funds::Unknown);
        assert_eq!((world.pays(), world.open().len()), (2, 1));
        assert_eq!(world.left(), 1000 - if gives_back { 10 } else { 20 });
    }
}

#[tokio::test]
async fn what_was_taken_and_used_up_is_told_once_and_then_paid_anew() {
    let world = World::default();
    world.says(Became::Paid);
    let (wallet, sent) = refused_after_a_lost_answer(&world).await;
    // Refused without a word, it may still be taken, until its challenge is over.
    let e = sent.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::StillOpen(_), Funds::Committed)));
    world.hands.0.store(3_000_000_000_000, Ordering::SeqCst);
    let e = world.request(&wallet).await.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::Consumed(None), Funds::Committed)), "{e}");
    assert!(world.open().is_empty());
    world.hands.0.store(0, Ordering::SeqCst);
    *world.shop.refuses.lock().unwrap() = false;
    assert!(world.request(&wallet).await.unwrap().receipt().is_some());
    assert_eq!(world.pays(), 2);
}

#[tokio::test]
async fn a_second_payment_after_a_refusal_waits_for_proof_though_the_wallet_allows_two() {
    for (became, pays) in [(Became::Open, 1), (Became::Paid, 1), (Became::Dead, 2)] {
        let world = World::default();
        world.says(became);
        *world.shop.refuses.lock().unwrap() = true;
        let exchange = world.request(&world.wallet().max_payments(2)).await.unwrap();
        assert_eq!((world.pays(), exchange.verdict().is_some()), (pays, true), "{became:?}");
    }
}

#[tokio::test]
async fn a_pass_over_what_is_open_closes_the_dead_and_leaves_the_rest() {
    let world = World::default();
    world.says(Became::Open);
    let wallet = world.wallet();
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    assert_eq!((wallet.reconcile().await.unwrap().len(), wallet.unfinished().len()), (0, 2));
    world.says(Became::Dead);
    let closed = wallet.reconcile().await.unwrap();
    assert!(closed.iter().all(|closed| closed.state == State::Dead));
    assert_eq!((closed.len(), wallet.unfinished().len(), world.left()), (2, 0, 1000));
}

#[tokio::test]
async fn resuming_by_hand_goes_on_with_the_record_and_pays_nothing() {
    let world = World::default();
    world.says(Became::Dead);
    let wallet = world.wallet();
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    let unfinished = world.open()[0].unfinished.clone().unwrap();
    assert_eq!(unfinished.key(), Some("k"));
    let mut resumed = wallet.resume(&unfinished);
    assert!(begin(&wallet).adopt().await.unwrap().is_none());
    resumed.hear(Answer::Served(None)).await.unwrap();
    resumed.delivered().await;
    assert_eq!((world.pays(), world.open().len()), (1, 0));
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    let mut resumed = wallet.resume(&world.open()[0].unfinished.clone().unwrap());
    assert!(matches!(resumed.hear(world.shop.asks(10)).await, Ok(Turn::Done)));
    assert_eq!((world.pays(), world.open().len()), (2, 0));
}

#[tokio::test]
async fn an_account_that_was_being_opened_is_gone_on_with() {
    let world = World::default();
    let journal = Journal::open(world.memory().clone(), "w").await.unwrap();
    let payer = Holder::<Coupon>::new(&world.diary).on(&world.rail).opening();
    let wallet = Wallet::new(world.limits(world.memory().clone())).payer(payer);
    let wallet = wallet.clock(world.hands.clone()).journal(journal);
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    let wallet = world.wallet();
    let mut again = begin(&wallet);
    assert!(matches!(again.adopt().await, Ok(Some(Turn::Manage(_)))));
    let Ok(Turn::Send(_)) = again.hear(Answer::Acknowledged(receipt())).await else { panic!() };
    again.hear(Answer::Served(Some(receipt()))).await.unwrap();
    again.delivered().await;
    assert_eq!(
        world.diary.lock().unwrap().join(", "),
        "open coupon, unknown, pay coupon, accepted"
    );
    assert!(world.open().is_empty());
}

#[test]
fn nothing_of_it_shows_a_credential() {
    let world = World::default();
    let wallet = world.wallet();
    now(begin(&wallet).hear(world.shop.asks(10))).unwrap().unwrap();
    let shown = format!("{:?} {:?}", world.open(), wallet.journal);
    assert!(shown.contains("https://shop") && !shown.contains(crate::double::SECRET), "{shown}");
}

impl World {
    /// What is left of the budget once ten cents are spent.
    async fn left_after_one_payment(&self) -> u128 {
        let other = Self::default();
        begin(&other.wallet()).hear(other.shop.asks(10)).await.unwrap();
        other.left()
    }
}

#[tokio::test]
async fn whoever_listens_hears_what_is_shown_again_and_how_it_ended() {
    let world = World::default();
    world.says(Became::Dead);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let wallet = world.wallet().on_event(move |event| {
        let word = match event {
            crate::Event::Adopted { state, .. } => format!("adopted {state:?}"),
            crate::Event::Closed { state, .. } => format!("closed {state:?}"),
            _ => return,
        };
        hears.lock().unwrap().push(word);
    });
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    world.request(&wallet).await.unwrap().delivered().await;
    begin(&wallet).hear(world.shop.asks(10)).await.unwrap();
    wallet.reconcile().await.unwrap();
    let heard = heard.lock().unwrap().join(", ");
    assert_eq!(heard, "adopted Signed, closed Delivered, closed Dead");
}
