//! What a crash, a hanging rail, a wrong clock or a damaged entry leaves, and how the ledger goes on from it.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use mpp_core::{
    problem::Reason,
    store::{Keep, Key, Store, Versioned},
};
use mpp_server::{Recovered, permit::Ending};
use mpp_testkit::rail::{self, Act, Step};

use crate::shop::{Shop, builder, everything_runs};

const IN_FLIGHT: (u16, Reason, usize) = (403, Reason::IN_FLIGHT, 0);
const UNKNOWN: (u16, Reason, usize) = (503, Reason::OUTCOME_UNKNOWN, 0);
const USED: (u16, Reason, usize) = (402, Reason::ALREADY_USED, 1);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn entries(s: &Shop, prefix: &str) -> Vec<(Key, Versioned)> {
    s.store.scan(&Key::of(&[prefix]).unwrap(), None, 1_000).await.unwrap()
}

async fn overwrite(s: &Shop, (key, found): &(Key, Versioned), value: Option<&[u8]>) {
    s.store.swap(key, Some(found.version), value, Keep::Forever).await.unwrap().unwrap();
}

fn counts(found: Recovered) -> [u64; 7] {
    let Recovered { settled, failed, open, elsewhere, redeemable, dropped, unreadable, .. } = found;
    [settled, failed, open, elsewhere, redeemable, dropped, unreadable]
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_hangs_is_unknown_at_the_deadline_and_reconciled_with_nobody_waiting() {
    for (act, sends) in [(Act::Hangs, 2), (Act::TakesAndHangs, 1)] {
        let s = Shop::new();
        s.rail.next(Step::Settle, [act]);
        let c = s.coupon("b1").await;
        let began = tokio::time::Instant::now();
        assert_eq!(s.refused(&c).await, UNKNOWN);
        assert_eq!(began.elapsed().as_secs(), 30, "the deadline is the answer's, too");
        s.clock.advance(secs(60));
        tokio::time::sleep(secs(10)).await;
        assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (1, sends), "{act:?}");
        s.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_answers_after_the_deadline_is_unknown_and_then_found_to_be_paid() {
    let s = Shop::new();
    s.rail.next(Step::Settle, [Act::TakesAndIsSlow(secs(45))]);
    let c = s.coupon("b1").await;
    assert_eq!(s.refused(&c).await, UNKNOWN);
    assert_eq!(s.refused(&c).await, UNKNOWN, "asked a moment ago");
    s.clock.advance(secs(60));
    s.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_cannot_be_asked_keeps_everybody_waiting_and_nobody_paying() {
    for act in [Act::Hangs, Act::NeverHears, Act::Panics] {
        let s = Shop::new();
        s.rail.next(Step::Settle, [Act::TakesAndIsMute]);
        s.rail.always(Step::Reconcile, act);
        let c = s.coupon("b1").await;
        for _ in 0..3 {
            let told = s.refused(&c).await;
            assert_eq!((told.0 == 503 || told.0 == 403, told.2), (true, 0), "{act:?}: {told:?}");
            s.clock.advance(secs(200));
            tokio::time::sleep(secs(200)).await;
        }
        s.rail.calm();
        // Whoever is still being asked is waited for.
        tokio::time::sleep(secs(60)).await;
        s.clock.advance(secs(60));
        s.serve(&c).await.expect("found to be paid").finish(Ending::Delivered).await.unwrap();
        assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_breaks_takes_nothing_and_spoils_nothing() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.rail.next(Step::Check, [Act::Hangs, Act::NeverHears]);
    assert_eq!(s.refused(&c).await, (503, Reason::OUR_FAULT, 0));
    assert_eq!(s.refused(&c).await, (500, Reason::OUR_FAULT, 0));
    assert!(entries(&s, "paid").await.is_empty() && entries(&s, "proof").await.is_empty());
    s.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
}

#[tokio::test]
async fn a_lie_about_finality_moves_no_money_twice() {
    // "Never saw it", of an order it took: it is sent again, and the rail's own idempotency holds.
    let s = Shop::new();
    s.rail.next(Step::Settle, [Act::TakesAndIsMute]);
    s.rail.next(Step::Reconcile, [Act::Lies]);
    let c = s.coupon("b1").await;
    assert_eq!(s.refused(&c).await, UNKNOWN);
    s.clock.advance(secs(60));
    s.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 1));
}

/// A log that a test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let _ = write!(line, "{field}={value:?} ");
        });
        let mut log = self.0.lock().unwrap();
        let _ = writeln!(log, "{} {line}", event.metadata().level());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_damaged_entry_and_one_of_a_newer_form_are_named_and_touch_nothing_else() {
    let s = Shop::new();
    let mut credentials = Vec::new();
    s.rail.always(Step::Settle, Act::TakesAndIsMute);
    for i in 0..3 {
        let c = s.coupon(&format!("b{i}")).await;
        assert_eq!(s.refused(&c).await, UNKNOWN);
        credentials.push(c);
    }
    s.rail.calm();
    s.clock.advance(secs(60));
    let of = async |i: usize| {
        let key = Key::of(&["paid", credentials[i].challenge.id().as_str()]).unwrap();
        let found = s.store.get(&key).await.unwrap().unwrap();
        (key, found)
    };
    let (torn, newer) = (of(0).await, of(1).await);
    overwrite(&s, &torn, Some(&torn.1.value[..torn.1.value.len() / 2])).await;
    overwrite(&s, &newer, Some(br#"{"v":3,"state":"haunted"}"#)).await;

    let log = Log::default();
    let heard = log.clone();
    let _guard = tracing::subscriber::set_default(log);
    let next = s.another();
    assert_eq!(counts(next.gate.recover().await.unwrap()), [1, 0, 0, 0, 0, 0, 2]);
    let text = heard.0.lock().unwrap().clone();
    for (key, _) in [&torn, &newer] {
        let named = text.lines().find(|line| line.contains(key.as_str()));
        assert!(named.is_some_and(|line| line.starts_with("ERROR")), "{text}");
    }
    assert!(text.contains("form 3"), "{text}");
    // Whose entry cannot be read is neither served nor asked to pay again.
    for c in &credentials[..2] {
        assert_eq!(next.refused(c).await, (500, Reason::OUR_FAULT, 0));
    }
    next.serve(&credentials[2]).await.unwrap().finish(Ending::Delivered).await.unwrap();
    let fresh = next.coupon("b9").await;
    next.serve(&fresh).await.unwrap().finish(Ending::Delivered).await.unwrap();
    // What this version cannot read it left as it was.
    assert_eq!(of(1).await.1.value, br#"{"v":3,"state":"haunted"}"#);
    assert_eq!(s.rail.taken(), 4);
}

#[tokio::test]
async fn a_panic_in_one_methods_code_does_not_end_the_pass_over_the_books() {
    let s = Shop::new();
    s.rail.always(Step::Settle, Act::TakesAndIsMute);
    for i in 0..3 {
        let c = s.coupon(&format!("b{i}")).await;
        assert_eq!(s.refused(&c).await, UNKNOWN);
    }
    s.clock.advance(secs(60));
    s.rail.next(Step::Reconcile, [Act::Panics, Act::NeverHears]);
    let next = s.another();
    assert_eq!(counts(next.gate.recover().await.unwrap()), [1, 0, 2, 0, 0, 0, 0]);
    s.clock.advance(secs(60));
    assert_eq!(counts(next.gate.recover().await.unwrap()), [2, 0, 0, 0, 1, 0, 0]);
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_books_are_gone_through_by_themselves_and_again_after_a_panic() {
    let s = Shop::new();
    s.rail.next(Step::Settle, [Act::TakesAndIsMute]);
    let c = s.coupon("b1").await;
    assert_eq!(s.refused(&c).await, UNKNOWN);
    s.clock.advance(secs(600));
    s.rail.always(Step::Reconcile, Act::Panics);
    let gate = builder(s.store.clone(), &s.clock).recover_every(secs(60)).build().unwrap();
    let mut events = gate.events();
    drop(gate.paywall(s.route.clone()).unwrap());
    tokio::time::sleep(secs(130)).await;
    s.rail.calm();
    s.clock.advance(secs(600));
    tokio::time::sleep(secs(130)).await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(event.name());
    }
    assert_eq!(told, ["payment.success"]);
    s.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!((s.rail.taken(), s.rail.asked(Step::Settle)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_lasts_is_one_servers_and_no_others() {
    let s = Shop::new();
    let other = s.another();
    let c = s.coupon("b1").await;
    let permit = s.serve(&c).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(secs(21)).await;
        s.clock.advance(secs(21));
        assert_eq!((other.refused(&c).await, s.refused(&c).await), (IN_FLIGHT, IN_FLIGHT));
        assert_eq!(counts(other.gate.recover().await.unwrap()), [0, 0, 0, 0, 1, 0, 0]);
    }
    permit.finish(Ending::NotDelivered).await.unwrap();
    other.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.refused(&c).await, USED);
    assert_eq!(s.rail.taken(), 1);
}

#[tokio::test]
async fn who_comes_back_after_its_lease_was_taken_over_writes_nothing() {
    let s = Shop::new();
    let other = s.another();
    let c = s.coupon("b1").await;
    let late = s.serve(&c).await.unwrap();
    s.clock.advance(secs(120));
    let now = other.serve(&c).await.unwrap();
    let refused = late.finish(Ending::NotDelivered).await.unwrap_err();
    assert_eq!(refused.rejection.reason, Reason::IN_FLIGHT);
    assert_eq!(s.refused(&c).await, IN_FLIGHT, "its turn was not given away");
    now.finish(Ending::Delivered).await.unwrap();
    assert_eq!((s.refused(&c).await, s.rail.taken()), (USED, 1));
}

#[tokio::test]
async fn a_clock_that_jumps_errs_on_the_safe_side() {
    // Ahead: what is open to be paid is over, what is paid is redeemed.
    let s = Shop::new();
    let (paid, open) = (s.coupon("b1").await, s.coupon("b2").await);
    s.serve(&paid).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    s.clock.advance(secs(86_400));
    assert_eq!(s.refused(&open).await, (402, Reason::EXPIRED, 1));
    s.serve(&paid).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    // And back: nothing that was over is good again, and nothing that is paid is lost.
    s.clock.back(secs(86_400));
    assert_eq!(s.refused(&open).await, (402, Reason::EXPIRED, 1));
    s.serve(&paid).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!((s.refused(&paid).await, s.rail.taken()), (USED, 1));
    // A lease that a clock ahead wrote is waited for, not taken over.
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.clock.advance(secs(100));
    let held = s.serve(&c).await.unwrap();
    s.clock.back(secs(100));
    assert_eq!(s.another().refused(&c).await, IN_FLIGHT);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn s1_a_second_proof_for_one_challenge_is_not_used_up_by_coming_too_late() {
    let (s, open) = (Shop::new(), "b1");
    let first = s.coupon(open).await;
    let second = mpp_testkit::rail::answer(&first.challenge, "b2");
    // Checked at another server before the first is on the books, and marked after it.
    s.rail.next(Step::Check, [Act::Slow(secs(1))]);
    let other = s.another();
    let late = tokio::spawn(async move { other.refused(&second).await });
    everything_runs().await;
    s.serve(&first).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    assert_eq!(late.await.unwrap(), IN_FLIGHT);
    let third = s.coupon("b2").await;
    s.serve(&third).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.rail.taken(), 2);
}

#[tokio::test]
async fn s1_a_proof_whose_outcome_is_unknown_pays_for_nothing_else() {
    for act in [Act::TakesAndIsMute, Act::NeverHears, Act::TakesAndPanics, Act::Panics] {
        let s = Shop::new();
        s.rail.next(Step::Settle, [act]);
        let (first, second) = (s.coupon("b1").await, s.coupon("b1").await);
        assert_eq!(s.refused(&first).await, UNKNOWN);
        for _ in 0..2 {
            let told = s.refused(&second).await;
            assert_eq!(told, (403, Reason::CREDITED_ELSEWHERE, 0), "{act:?}");
            s.clock.advance(secs(60));
        }
        s.serve(&first).await.unwrap().finish(Ending::Delivered).await.unwrap();
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    }
}

#[tokio::test]
async fn s1_a_crash_between_the_refusal_and_the_freeing_of_a_proof_does_not_spoil_it() {
    let s = Shop::new();
    let c = s.coupon("b1").await;
    s.rail.next(Step::Settle, [Act::Refuses]);
    assert_eq!(s.refused(&c).await, (402, Reason::BAD_PROOF, 1));
    assert!(entries(&s, "proof").await.is_empty(), "freed");
    // As the crash would have left it: the mark of a payment that failed.
    let held = s.another();
    let other = held.coupon("b1").await;
    let permit = held.serve(&other).await.unwrap();
    let mark = entries(&s, "proof").await.remove(0);
    permit.finish(Ending::NotDelivered).await.unwrap();
    let failed = Key::of(&["paid", c.challenge.id().as_str()]).unwrap();
    let second = Shop::new();
    let entry = s.store.get(&failed).await.unwrap().unwrap();
    second.store.swap(&failed, None, Some(&entry.value), Keep::Forever).await.unwrap().unwrap();
    let owner = failed.as_str().as_bytes();
    second.store.swap(&mark.0, None, Some(owner), Keep::Forever).await.unwrap().unwrap();
    let fresh = second.coupon("b1").await;
    second.serve(&fresh).await.unwrap().finish(Ending::Delivered).await.unwrap();
    // And from then on it is the second payment's.
    let third = second.coupon("b1").await;
    assert_eq!(second.refused(&third).await, (403, Reason::CREDITED_ELSEWHERE, 0));
}

#[tokio::test]
async fn s1_a_crash_between_the_mark_and_the_entry_leaves_the_proof_to_its_own_credential() {
    let s = Shop::on_success();
    let c = s.coupon("b1").await;
    let held = s.serve(&c).await.unwrap();
    // As the crash would have left it: the mark, and no entry.
    overwrite(&s, &entries(&s, "paid").await[0], None).await;
    let next = s.another();
    let other = next.coupon("b1").await;
    assert_eq!(next.refused(&other).await, (403, Reason::CREDITED_ELSEWHERE, 0));
    next.serve(&c).await.unwrap().finish(Ending::Delivered).await.unwrap();
    assert_eq!(next.refused(&other).await, (403, Reason::CREDITED_ELSEWHERE, 0));
    drop(held);
    everything_runs().await;
    assert_eq!((s.rail.taken(), next.refused(&c).await), (1, USED));
}

#[tokio::test]
async fn probe_f_proofs_that_differ_in_one_sign_are_two_payments() {
    let s = Shop::new();
    let proofs = ["b:a", "b_a", "b/a", "b%2Fa", "b a", "B:a", "b:A"];
    for proof in proofs.iter().filter(|proof| proof.starts_with('b')) {
        let c = s.coupon(proof).await;
        s.serve(&c).await.expect(proof).finish(Ending::Delivered).await.unwrap();
    }
    assert_eq!(s.rail.taken(), 6);
    let again = rail::answer(&s.judge(None).await.unwrap_err().challenges[0], "b_a");
    assert_eq!(s.refused(&again).await, (403, Reason::CREDITED_ELSEWHERE, 0));
}
