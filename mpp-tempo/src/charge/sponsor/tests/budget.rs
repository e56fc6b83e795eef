//! The budget holds whatever comes at once, in one process or in several.

use super::*;

/// Sends payments of `count` senders at once through the sponsors in turn, and counts those that were co-signed.
async fn flood(world: &World, sponsors: Vec<Sponsor>, count: u8) -> usize {
    let mut runs = tokio::task::JoinSet::new();
    for n in 0..count {
        let (signed, approved) = world.payment(n, 0);
        let sponsor = sponsors[usize::from(n) % sponsors.len()].clone();
        runs.spawn(async move { sponsored(&sponsor, &signed, &approved).await });
    }
    let mut cosigned = 0;
    while let Some(run) = runs.join_next().await {
        match run.unwrap() {
            Ok(_) => cosigned += 1,
            Err(cause) => assert!(matches!(cause, Unsponsored::Full), "{cause}"),
        }
    }
    cosigned
}

#[tokio::test]
async fn s6_of_fifty_at_once_a_budget_for_ten_co_signs_exactly_ten() {
    let count = World { policy: Policy { budget: u128::MAX, ..policy() }, ..World::new() };
    let money = World { policy: Policy { max_reservations: 100, ..policy() }, ..World::new() };
    for world in [World::new(), count, money] {
        assert_eq!(flood(&world, vec![world.sponsor()], 50).await, 10);
        assert_eq!(world.remote.count(), 10);
    }
}

#[tokio::test]
async fn s6_two_processes_on_one_store_share_the_budget() {
    let world = World::new();
    assert_eq!(flood(&world, vec![world.sponsor(), world.sponsor()], 50).await, 10);
    assert_eq!(world.remote.count(), 10);
}

#[tokio::test]
async fn a_full_budget_refuses_politely_and_what_is_in_it_goes_on() {
    let world = World::new();
    let sponsor = world.sponsor();
    assert_eq!(flood(&world, vec![sponsor.clone()], 10).await, 10);
    let refusal = sponsor.has_room(&world.payment(77, 0).1).await.unwrap_err();
    assert_eq!((refusal.kind.status, refusal.kind.fresh), (503, false));
    assert_eq!(refusal.reason, reason::SPONSOR_BUSY);
    assert!(refusal.retry_after.is_some());
    sponsor.has_room(&world.payment(3, 0).1).await.unwrap();
}

#[tokio::test]
async fn what_has_ended_makes_room_and_what_is_open_does_not() {
    let world = World::new();
    let sponsor = world.sponsor();
    let (signed, approved) = world.payment(0, 0);
    let first = sponsored(&sponsor, &signed, &approved).await.unwrap();
    assert_eq!(flood(&world, vec![sponsor.clone()], 10).await, 10);
    sponsor.pending(&first).await.unwrap();
    let (_, late) = world.payment(77, 0);
    assert!(matches!(sponsor.reserve(&late).await, Err(Unsponsored::Full)));
    sponsor.ended(&first).await.unwrap();
    sponsor.reserve(&late).await.unwrap();
}

#[tokio::test]
async fn what_may_be_mined_counts_until_the_chain_can_no_longer_take_it() {
    let world = World { policy: Policy { max_reservations: 1, ..policy() }, ..World::new() };
    let sponsor = world.sponsor();
    let (signed, approved) = world.payment(1, 0);
    sponsored(&sponsor, &signed, &approved).await.unwrap();
    let mut past = 0;
    for (seconds, free) in [(0, false), (31, false), (34, false), (35, true)] {
        world.hands.advance(Duration::from_secs(seconds - past));
        past = seconds;
        let room = sponsor.has_room(&world.payment(2, 0).1).await;
        assert_eq!(room.is_ok(), free, "after {seconds} s");
        let reserved = sponsor.reserve(&world.payment(2, 0).1).await;
        assert_eq!(reserved.is_ok(), free, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_promise_that_nothing_was_signed_for_lasts_for_its_lease() {
    let world = World { policy: Policy { max_reservations: 1, ..policy() }, ..World::new() };
    let sponsor = world.sponsor();
    let mut long = transaction(&world.hands, 0);
    long.valid_before = (world.hands.now().unix_seconds().unsigned_abs() + 600).try_into().ok();
    let long = long.sign(&payer(1));
    let approved = sponsor.judge(&long, &world.hands.now(), Stage::Settling).unwrap();
    let abandoned = sponsor.reserve(&approved).await.unwrap();
    world.hands.advance(Duration::from_secs(29));
    let refused = sponsor.reserve(&world.payment(2, 0).1).await;
    assert!(matches!(refused, Err(Unsponsored::Full)));
    world.hands.advance(Duration::from_secs(1));
    sponsor.reserve(&world.payment(2, 0).1).await.unwrap();
    // The one that was slow, and not dead, finds its promise gone and signs nothing.
    let refused = sponsor.cosign(abandoned, &long).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::Lapsed) && !refused.may_be_signed());
    assert_eq!(world.remote.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn s6_a_senders_second_payment_waits_until_the_first_has_ended() {
    let patient = Policy { patience: Duration::from_secs(10), ..policy() };
    let world = World { policy: patient, ..World::new() };
    let ((one, first), (_, second)) = (world.payment(1, 0), world.payment(1, 1));
    let sponsor = world.sponsor();
    let cosigned = sponsored(&sponsor, &one, &first).await.unwrap();
    let other = world.sponsor();
    let waiting = tokio::spawn(async move { other.reserve(&second).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished(), "the first is under way");
    sponsor.ended(&cosigned).await.unwrap();
    tokio::time::sleep(Duration::from_millis(251)).await;
    assert!(waiting.is_finished(), "the first has ended");
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn s6_a_sender_that_sends_fifty_at_once_is_sponsored_one_at_a_time() {
    let patient = Policy { patience: Duration::from_secs(60), ..policy() };
    let world = World { policy: patient, ..World::new() };
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut runs = tokio::task::JoinSet::new();
    for n in 0..50 {
        let ((signed, approved), sponsor) = (world.payment(1, n), world.sponsor());
        let (under_way, most) = (under_way.clone(), most.clone());
        runs.spawn(async move {
            let reserved = sponsor.reserve(&approved).await.unwrap();
            most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(7)).await;
            let cosigned = sponsor.cosign(reserved, &signed).await.unwrap();
            under_way.fetch_sub(1, Ordering::SeqCst);
            sponsor.ended(&cosigned).await.unwrap();
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
    assert_eq!((most.load(Ordering::SeqCst), world.remote.count()), (1, 50));
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_not_waited_for_longer_than_the_policy_says() {
    let patient = Policy { patience: Duration::from_secs(2), ..policy() };
    let world = World { policy: patient, ..World::new() };
    let sponsor = world.sponsor();
    sponsor.reserve(&world.payment(1, 0).1).await.unwrap();
    let since = tokio::time::Instant::now();
    let refused = sponsor.reserve(&world.payment(1, 1).1).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::Busy));
    assert!((1700..=2000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    assert_eq!(Rejection::from(refused).kind, ProblemType::OUTCOME_UNKNOWN);
}

#[tokio::test]
async fn what_waited_until_its_end_is_not_signed() {
    let world = World::new();
    let sponsor = world.sponsor();
    let (signed, approved) = world.payment(1, 0);
    let reserved = sponsor.reserve(&approved).await.unwrap();
    world.hands.advance(Duration::from_secs(23));
    let refused = sponsor.cosign(reserved, &signed).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::Ending) && !refused.may_be_signed());
    assert!(matches!(sponsor.reserve(&approved).await, Err(Unsponsored::Ending)));
    assert_eq!((world.remote.count(), world.book().await.live.len()), (0, 0));
}
