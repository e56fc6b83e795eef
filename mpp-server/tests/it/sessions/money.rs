//! A hostile review: each of these says what should hold, and fails where it does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    problem::Reason,
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
};
use mpp_server::{Admission, permit::Ending};
use mpp_testkit::bank::{Mood, close, open, top_up, voucher};
use tokio::sync::Semaphore;

use super::{Stand, figures, schedule};

/// A store of which one read, counted from when that is said, waits until it is let go.
#[derive(Debug)]
struct Slow {
    inner: Arc<Memory>,
    left: AtomicI64,
    gate: Semaphore,
}

impl Store for Slow {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.gate.acquire().await.unwrap().forget();
            }
            self.inner.get(key).await
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        self.inner.swap(key, expect, value, keep)
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.inner.scan(prefix, after, limit)
    }
}

/// Another process on the same store and the same bank.
fn beside(s: &Stand) -> Stand {
    let gate = super::gate(&s.store, &s.clock, &|gate| gate);
    let stand = Stand {
        gate,
        bank: s.bank.clone(),
        route: super::route(&s.bank),
        clock: s.clock.clone(),
        store: s.store.clone(),
    };
    stand.gate.recovers(&stand.route);
    stand
}

/// As [`beside`], on a store that can be made to wait.
fn slowly_beside(s: &Stand) -> (Stand, Arc<Slow>) {
    let slow =
        Arc::new(Slow { inner: s.store.clone(), left: AtomicI64::new(0), gate: Semaphore::new(0) });
    let store: Arc<dyn Store> = slow.clone();
    let gate = mpp_server::Gate::builder(store)
        .realm("bank.example")
        .secret("a secret of at least thirty-two bytes")
        .clock(s.clock.clone())
        .settle_within(Duration::from_millis(300))
        .recover_by_hand()
        .build()
        .unwrap();
    let mut stand = beside(s);
    gate.recovers(&stand.route);
    stand.gate = gate;
    (stand, slow)
}

fn metered() -> Stand {
    let mut s = Stand::new();
    s.route = s.route.metered();
    s
}

/// Serves so many units to a tab by a voucher, and books them.
async fn stream(s: &Stand, slip: &mpp_testkit::bank::Slip, units: u64) {
    let permit = s.served(slip).await;
    let mut meter = permit.session().unwrap().meter();
    for _ in 0..units {
        meter.charge(1).await.unwrap();
    }
    meter.finish().await.unwrap();
    permit.finish(Ending::Delivered).await.unwrap();
}

/// 1. What was collected stands on the chain for all to read: voucher and signature.
#[tokio::test]
async fn a_voucher_that_was_collected_is_public_and_gives_nobody_a_stream() {
    let s = metered();
    stream(&s, &open("a", 100, 20), 10).await;
    assert_eq!(s.gate.settle_all().await.unwrap().collected, 1);
    // A stranger reads it from the chain and shows it.
    let Ok(Admission::Serve(stranger)) = s.show(&voucher("a", 20)).await else { return };
    let mut meter = stranger.session().unwrap().meter();
    assert!(meter.charge(1).await.is_err(), "nothing is left");
    // The payer comes back, and signs for a stream of its own.
    s.taken(&voucher("a", 40)).await;
    assert!(meter.charge(1).await.is_err(), "a stranger streams on the payer's money");
}

/// 2. The same, as a close that is refused: by anybody, at any time, as often as he likes.
#[tokio::test]
async fn a_close_that_is_refused_costs_the_payer_nothing_and_ends_no_stream() {
    let s = metered();
    stream(&s, &open("a", 100, 2), 1).await;
    assert_eq!(s.gate.settle_all().await.unwrap().collected, 1);
    let permit = s.served(&voucher("a", 40)).await;
    let mut meter = permit.session().unwrap().meter().in_batches_of(8);
    meter.charge(1).await.unwrap();
    let refused = s.manage(&close("a", 2)).await.unwrap_err().rejection;
    assert_eq!(refused.reason, Reason::LOWER);
    assert_eq!(figures(&meter.finish().await.unwrap()), (40, 4, 2), "two units were served");
}

/// 3. Two gates: the one refuses a close and opens what the other is closing.
#[tokio::test]
async fn a_close_that_is_refused_does_not_open_what_another_gate_is_closing() {
    let a = metered();
    let mut b = beside(&a);
    b.route = b.route.metered();
    let permit = a.served(&open("a", 100, 40)).await;
    let mut meter = permit.session().unwrap().meter().in_batches_of(4);
    meter.charge(1).await.unwrap();
    let a = Arc::new(a);
    let low = tokio::spawn({
        let a = a.clone();
        async move { a.manage(&close("a", 1)).await.err().map(|r| r.rejection.reason) }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The other gate closes, and its bank takes it and is slow to say so.
    b.bank.will([Mood::TakesAndHangs]);
    let closing = tokio::spawn(async move { b.manage(&close("a", 40)).await.is_ok() });
    let _ = low.await.unwrap();
    assert!(a.bank.tab("a").unwrap().ended, "it is closed at the bank");
    let earned = a.bank.earned();
    let served = match a.show(&voucher("a", 40)).await {
        Ok(Admission::Serve(permit)) => {
            permit.session().unwrap().meter().in_batches_of(1).charge(1).await.is_ok()
        }
        _ => false,
    };
    assert!(!served, "a unit was served that the close ({earned}) can never capture");
    let _ = closing.await;
}

/// 4. Two gates, and an order whose lease was over while its answer was on its way.
#[tokio::test]
async fn an_answer_ends_its_own_order_and_no_other() {
    let b = Stand::new();
    b.served(&open("a", 100, 20)).await.finish(Ending::Delivered).await.unwrap();
    let (a, slow) = slowly_beside(&b);
    // One look for the credential, one to mark; the third is to book the answer.
    let challenge = a.challenge().await;
    slow.left.store(3, Ordering::SeqCst);
    let late = tokio::spawn(async move {
        a.show_under(&challenge, &top_up("a", "t", 5), mpp_core::transport::Wants::Nothing)
            .await
            .is_ok()
    });
    super::accounts::wait_for(|| b.bank.tab("a").unwrap().deposit.get() == 105).await;
    // The other's clock, or ours, has jumped: nobody has the order in hand any more. The close never reaches the bank.
    b.clock.advance(Duration::from_secs(60));
    b.bank.will([Mood::NeverHears]);
    assert!(b.manage(&close("a", 20)).await.is_err());
    slow.gate.add_permits(1);
    let _ = late.await;
    // A sweep has to carry the close out.
    let again = b.restarted(|gate| gate);
    again.gate.sweep().await.unwrap();
    assert!(b.bank.tab("a").unwrap().ended, "closed on the books, open at the bank");
    assert_eq!(b.bank.earned(), 2);
}

/// 5. What is collected is decided on one reading and written down on another.
#[tokio::test]
async fn what_was_given_back_meanwhile_is_not_collected() {
    let b = Stand::new();
    let permit = b.served(&open("a", 10, 2)).await;
    let (a, slow) = slowly_beside(&b);
    // One look decides what to collect, and is written over.
    slow.left.store(1, Ordering::SeqCst);
    let collecting = tokio::spawn(async move { a.gate.settle_all().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    permit.finish(Ending::NotDelivered).await.unwrap();
    slow.gate.add_permits(1);
    collecting.await.unwrap().unwrap();
    assert_eq!(b.bank.earned(), 0, "more was settled than was spent");
}

/// 6. One gate, no failure: a request that fails after the schedule has collected it.
#[tokio::test]
async fn what_is_being_served_is_not_collected_so_that_a_failure_gives_back() {
    let s = Stand::with(|gate| gate.sessions(schedule().after_units(1)));
    let permit = s.served(&open("a", 10, 2)).await;
    let session = permit.session().unwrap().clone();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The handler says 500.
    permit.finish(Ending::NotDelivered).await.unwrap();
    assert_eq!(figures(&session.receipt().await.unwrap()), (2, 0, 0));
}

/// 7. S9: an order that is stuck hides that the payer takes everything back.
#[tokio::test]
async fn s9_a_forced_close_is_seen_while_an_order_is_open() {
    let s = Stand::new();
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    s.bank.will([Mood::NeverHears, Mood::NeverHears, Mood::NeverHears, Mood::NeverHears]);
    assert!(s.manage(&top_up("a", "t", 5)).await.is_err());
    s.bank.ask_back("a", mpp_core::Timestamp::from_unix(1_800_000_900, 0));
    s.gate.sweep().await.unwrap();
    assert!(s.show(&voucher("a", 4)).await.is_err(), "served on what its payer takes back");
}

/// 8. An order that was carried out is carried out again once 32 others were.
#[tokio::test]
async fn s1_an_order_is_carried_out_once_however_many_came_after_it() {
    let s = Stand::new();
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    for n in 0..33 {
        s.taken(&top_up("a", &n.to_string(), 1)).await;
    }
    let before = s.bank.asked().1;
    s.taken(&top_up("a", "0", 1)).await;
    assert_eq!(s.bank.asked().1, before, "with `Credit::Add` it would be credited twice");
}

/// 9. After a restart nothing looks after the accounts until somebody shows a credential.
#[tokio::test]
async fn s9_a_gate_looks_after_its_accounts_without_being_paid_first() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    let again = s.restarted(|gate| gate.recover_every(Duration::from_millis(10)));
    let again = Stand { route: s.route.clone(), ..again };
    s.bank.ask_back("a", mpp_core::Timestamp::from_unix(1_800_000_900, 0));
    // Guests come, and are asked for payment.
    for _ in 0..20 {
        assert!(again.gate.ask(&again.route, &super::call()).is_some());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(s.bank.earned(), 2, "its payer takes everything back meanwhile");
}

/// 10. What a failed request gave back is not in a meter's hand any more.
#[tokio::test]
async fn what_was_given_back_is_not_spent_by_a_meter_that_lives_on() {
    let s = Stand::new();
    let permit = s.served(&open("a", 100, 2)).await;
    let mut meter = permit.session().unwrap().meter();
    permit.finish(Ending::NotDelivered).await.unwrap();
    // The whole credit is free again, and another request takes it.
    s.served(&voucher("a", 2)).await.finish(Ending::Delivered).await.unwrap();
    assert!(meter.charge(1).await.is_err(), "two units were served for one");
}

/// 11. Closing what payers take back, one after the other, takes longer than the grace once there are enough of them.
#[tokio::test(start_paused = true)]
async fn s9_many_forced_closes_are_carried_out_together() {
    let s = metered();
    let mut streams = Vec::new();
    for n in 0..20 {
        let permit = s.served(&open(&format!("a{n}"), 100, 40)).await;
        let mut meter = permit.session().unwrap().meter();
        meter.charge(1).await.unwrap();
        // A reader that does not read: its stream does not hear of the close.
        streams.push((permit, meter));
        s.bank.ask_back(&format!("a{n}"), mpp_core::Timestamp::from_unix(1_800_000_900, 0));
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(s.gate.sweep().await.unwrap().closed, 20);
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "{took:?} for 20 accounts: 300 of them outlast 15 minutes"
    );
}
