//! Wherever a run dies, the next goes on: one signature leaves, and what may be mined counts.

use super::*;

/// The writes of a whole run: the promise, that signing begins, the signature, the end.
const WRITES: usize = 4;

#[tokio::test]
async fn wherever_a_run_dies_one_signature_leaves_and_counts() {
    for (at, after) in (1..=WRITES).flat_map(|at| [(at, false), (at, true)]) {
        let store = Mortal::new(at, after);
        let world = World::over(store.clone());
        let (signed, approved) = world.payment(1, 0);
        let mut left = Vec::new();
        let sponsor = world.sponsor();
        if let Ok(cosigned) = sponsored(&sponsor, &signed, &approved).await {
            left.push(cosigned.signed().encode());
            let _ = sponsor.ended(&cosigned).await;
        }
        assert_eq!(left.len(), usize::from(at == WRITES), "{at} {after}");
        store.mend();
        // Somebody else of the same sender has to wait, whatever is left, but where it was never promised or has ended.
        let promised = (at, after) != (1, false) && (at, after) != (WRITES, true);
        let busy = world.sponsor().reserve(&world.payment(1, 1).1).await;
        assert_eq!(matches!(busy, Err(Unsponsored::Busy)), promised, "{at} {after}");
        if let Ok(reserved) = busy {
            assert!(world.sponsor().withdraw(reserved).await.unwrap());
        }
        let again = sponsored(&world.sponsor(), &signed, &approved).await.unwrap();
        left.push(again.signed().encode());
        let third = sponsored(&world.sponsor(), &signed, &approved).await.unwrap();
        left.push(third.signed().encode());
        left.dedup();
        assert_eq!(left.len(), 1, "{at} {after}: the very same bytes");
        // Only a signature that was not on record, and so did not leave, is made anew.
        let lost = u64::from((at, after) == (3, false));
        assert_eq!(world.remote.count(), 1 + lost, "{at} {after}");
        world.sponsor().ended(&again).await.unwrap();
        assert!(world.book().await.live.is_empty());
    }
}

#[tokio::test]
async fn what_the_books_cannot_tell_is_told_from_what_was_not_signed() {
    for (at, after, open) in [(1, true, false), (2, true, false), (3, false, true), (3, true, true)]
    {
        let world = World::over(Mortal::new(at, after));
        let (signed, approved) = world.payment(1, 0);
        let cause = sponsored(&world.sponsor(), &signed, &approved).await.unwrap_err();
        assert_eq!(cause.may_be_signed(), open, "{at} {after}");
        let refusal = Rejection::from(cause);
        assert_eq!((refusal.kind.status, refusal.kind.fresh), (503, false));
    }
}

#[tokio::test]
async fn a_record_outlives_the_promise_and_is_sent_again_as_it_is() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let sponsor = world.sponsor();
    assert!(sponsor.cosigned(&signed).await.unwrap().is_none());
    let first = sponsored(&sponsor, &signed, &approved).await.unwrap();
    sponsor.ended(&first).await.unwrap();
    world.hands.advance(Duration::from_secs(7200));
    // What the store is told of the time reaches it by the next write.
    sponsored(&sponsor, &world.payment(2, 0).0, &world.payment(2, 0).1).await.unwrap();
    let again = world.sponsor().cosigned(&signed).await.unwrap().unwrap();
    assert_eq!(again.signed(), first.signed());
}

#[tokio::test]
async fn two_runs_of_one_payment_at_once_send_the_same_bytes() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let (one, other) = (world.sponsor(), world.sponsor());
    let (first, second) =
        tokio::join!(sponsored(&one, &signed, &approved), sponsored(&other, &signed, &approved));
    let mut left: Vec<_> =
        [first, second].into_iter().flatten().map(|made| made.signed().encode()).collect();
    assert!(!left.is_empty());
    left.dedup();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_turn_that_was_taken_over_before_signing_is_no_good() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let sponsor = world.sponsor();
    let slow = sponsor.reserve(&approved).await.unwrap();
    let taken = sponsor.reserve(&approved).await.unwrap();
    assert!(!sponsor.withdraw(slow).await.unwrap(), "it is another's to take back");
    let slow = sponsor.reserve(&approved).await.unwrap();
    let refused = sponsor.cosign(taken, &signed).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::Lapsed));
    sponsor.cosign(slow, &signed).await.unwrap();
    assert_eq!(world.remote.count(), 1);
}

/// While one run waits for its signer, a second takes its promise over, and its signer fails: the first may still sign, so
/// the promise stays.
#[tokio::test(start_paused = true)]
async fn a_promise_that_somebody_else_may_be_signing_for_is_not_taken_back() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let slow = world.sponsor();
    world.remote.is(Mood::Hangs);
    let reserved = slow.reserve(&approved).await.unwrap();
    let mut signing = Box::pin(slow.cosign(reserved, &signed));
    let waits = tokio::time::timeout(Duration::from_secs(1), &mut signing).await;
    assert!(waits.is_err(), "the signer hangs");
    let second = world.sponsor();
    let taken = second.reserve(&approved).await.unwrap();
    world.remote.is(Mood::Refuses);
    assert!(matches!(second.cosign(taken, &signed).await, Err(Unsponsored::Signer(_))));
    assert_eq!(world.book().await.live.len(), 1);
    // The first gives its signer up, and cannot take back what is no longer its own.
    assert!(matches!(signing.await, Err(Unsponsored::Signer(_))));
    assert_eq!(world.book().await.live.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_fails_costs_no_budget_and_nothing_of_it_leaves() {
    let moods = [Mood::Refuses, Mood::Hangs, Mood::SignsAsAnother, Mood::SignsInAnotherKind];
    for mood in moods {
        let world = World::new();
        world.remote.is(mood);
        let (signed, approved) = world.payment(1, 0);
        let cause = sponsored(&world.sponsor(), &signed, &approved).await.unwrap_err();
        assert!(matches!(cause, Unsponsored::Signer(_)) && !cause.may_be_signed(), "{mood:?}");
        assert!(world.book().await.live.is_empty(), "{mood:?}");
        assert!(world.sponsor().cosigned(&signed).await.unwrap().is_none(), "{mood:?}");
        world.remote.is(Mood::Signs);
        sponsored(&world.sponsor(), &signed, &approved).await.unwrap();
    }
}

#[tokio::test]
async fn a_payment_signed_twice_by_its_sender_is_co_signed_once() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    sponsored(&world.sponsor(), &signed, &approved).await.unwrap();
    let hash = signed.transaction.signing_hash();
    let twin = signed.transaction.clone().signed(noisy(secret(1), hash, [5; 32]));
    assert_eq!(twin.sender().unwrap(), approved.sender);
    let refused = sponsored(&world.sponsor(), &twin, &approved).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::Otherwise) && refused.may_be_signed());
    assert_eq!(world.remote.count(), 1);
}

#[tokio::test]
async fn a_sponsor_that_was_replaced_is_still_the_one_that_pays() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let old = world.sponsor();
    let first = sponsored(&old, &signed, &approved).await.unwrap();
    let heir = Sponsor::new(&Chain::MODERATO, Arc::new(payer(250)), world.store.clone())
        .unwrap()
        .clock(Arc::new(world.hands.clone()));
    let reserved = heir.reserve(&approved).await.unwrap();
    let again = heir.cosign(reserved, &signed).await.unwrap();
    assert_eq!(again.signed(), first.signed());
    assert!(heir.keeper.book(heir.address()).await.unwrap().live.is_empty());
    heir.ended(&again).await.unwrap();
    assert!(world.book().await.live.is_empty(), "the book of whoever signed");
}

#[tokio::test]
async fn books_that_do_not_read_are_left_as_they_are_and_nothing_is_signed() {
    let sponsor = World::new().sponsor().address();
    let (id, chain) = (World::new().payment(1, 0).1.id, Chain::MODERATO.id.to_string());
    let book = StoreKey::of(&["sponsor", &chain, &format!("{sponsor:#x}")]).unwrap();
    let record = StoreKey::of(&["sponsored", &format!("{id:#x}")]).unwrap();
    let damaged: [&[u8]; 5] = [b"", b"{", b"{\"v\":1}", b"{\"v\":0}", b"{\"v\":2}"];
    for (key, bytes) in [book, record].iter().flat_map(|k| damaged.map(|bytes| (k, bytes))) {
        let world = World::new();
        world.store.swap(key, None, Some(bytes), Keep::Forever).await.unwrap();
        let (signed, approved) = world.payment(1, 0);
        let cause = sponsored(&world.sponsor(), &signed, &approved).await.unwrap_err();
        let newer = bytes == b"{\"v\":2}";
        let told = match &cause {
            Unsponsored::Books(StoreError::Newer { .. }) => newer,
            Unsponsored::Books(StoreError::Corrupt { .. }) => !newer,
            _ => false,
        };
        assert!(told, "{cause:?}");
        assert_eq!(world.store.get(key).await.unwrap().unwrap().value, bytes);
        assert_eq!(world.remote.count(), 0);
    }
}

#[tokio::test]
async fn a_record_of_another_payments_signature_is_damage() {
    let world = World::new();
    let ((one, first), (other, _)) = (world.payment(1, 0), world.payment(2, 0));
    sponsored(&world.sponsor(), &one, &first).await.unwrap();
    let key = |id: B256| StoreKey::of(&["sponsored", &format!("{id:#x}")]).unwrap();
    let stolen = world.store.get(&key(first.id)).await.unwrap().unwrap().value;
    let id = world.payment(2, 0).1.id;
    world.store.swap(&key(id), None, Some(&stolen), Keep::Forever).await.unwrap();
    let cause = world.sponsor().cosigned(&other).await.unwrap_err();
    assert!(matches!(cause, Unsponsored::Books(StoreError::Corrupt { .. })), "{cause:?}");
}
