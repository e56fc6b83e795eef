//! Payments whose outcome can never be told again: how an operator finds them and gives them up, and what that leaves.

use std::time::Duration;

use mpp_core::{
    Credential,
    problem::Reason,
    store::{Key, Store},
};
use mpp_server::{NotWrittenOff, Recovered, Unfinished, permit::Ending};
use mpp_testkit::rail::{self, Act, Step};

use crate::{
    late::MarksAlone,
    shop::{Shop, Why, builder, everything_runs},
};

const UNKNOWN: Why = (503, Reason::OUTCOME_UNKNOWN, 0);
const WRITTEN_OFF: Why = (402, Reason::WRITTEN_OFF, 1);
const ELSEWHERE: Why = (403, Reason::CREDITED_ELSEWHERE, 0);
const USED: Why = (402, Reason::ALREADY_USED, 1);

fn id(c: &Credential) -> &str {
    c.challenge.id().as_str()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A payment of which its rail can never tell, at a shop that goes through its books by hand.
async fn open_for_ever(act: Act) -> (Shop, Credential) {
    let s = Shop::new();
    s.rail.next(Step::Settle, [act]);
    s.rail.always(Step::Reconcile, Act::NeverHears);
    let c = s.coupon("b1").await;
    assert_eq!(s.refused(&c).await, UNKNOWN);
    (s, c)
}

async fn listed(s: &Shop) -> Vec<(String, bool)> {
    let open = s.gate.unfinished().await.unwrap();
    open.into_iter().map(|Unfinished { challenge, in_hand, .. }| (challenge, in_hand)).collect()
}

async fn marks(s: &Shop) -> usize {
    s.store.scan(&Key::of(&["proof"]).unwrap(), None, 100).await.unwrap().len()
}

#[tokio::test]
async fn s1_what_is_written_off_is_refused_for_good_and_its_proof_buys_nothing() {
    for (act, taken) in [(Act::TakesAndIsMute, 1), (Act::NeverHears, 0)] {
        let (s, c) = open_for_ever(act).await;
        for _ in 0..3 {
            s.clock.advance(secs(86_400));
            assert_eq!(s.gate.recover().await.unwrap().open, 1, "open for ever");
            assert_eq!(s.refused(&c).await, UNKNOWN);
        }
        s.gate.write_off(id(&c)).await.unwrap();
        let asked = [Step::Settle, Step::Reconcile].map(|step| s.rail.asked(step));
        // Written down: the next life of the server knows it too, and the truth comes too late.
        s.rail.calm();
        for s in [&s, &s.another()] {
            assert_eq!(s.refused(&c).await, WRITTEN_OFF, "{act:?}");
            let fresh = s.coupon("b1").await;
            assert_eq!(s.refused(&fresh).await, ELSEWHERE, "{act:?}");
            assert_eq!(s.gate.recover().await.unwrap(), Recovered::default());
            assert_eq!((listed(s).await, marks(s).await), (vec![], 1));
            s.gate.write_off(id(&c)).await.expect("twice is once");
        }
        assert_eq!([Step::Settle, Step::Reconcile].map(|step| s.rail.asked(step)), asked);
        // Another proof pays, and another proof for the same challenge does not.
        assert_eq!(s.refused(&rail::answer(&c.challenge, "b2")).await, USED);
        let other = s.coupon("b2").await;
        s.serve(&other).await.unwrap().finish(Ending::Delivered).await.unwrap();
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (taken + 1, 0));
    }
}

#[tokio::test]
async fn s1_what_was_written_off_and_forgotten_is_too_late() {
    let (s, c) = open_for_ever(Act::TakesAndIsMute).await;
    s.rail.is_paid_before();
    s.gate.write_off(id(&c)).await.unwrap();
    let mut told = std::collections::BTreeSet::new();
    for minute in 0..180 {
        let other = s.coupon(&format!("b-else-{minute}")).await;
        s.serve(&other).await.unwrap().finish(Ending::Delivered).await.unwrap();
        told.insert(s.refused(&c).await.1.as_str());
        let fresh = s.coupon("b1").await;
        assert_eq!(s.refused(&fresh).await, ELSEWHERE);
        s.clock.advance(secs(60));
    }
    assert_eq!(told, ["expired", "written-off"].into());
    assert!(matches!(s.gate.write_off(id(&c)).await, Err(NotWrittenOff::NotFound)));
}

#[tokio::test]
async fn what_is_known_or_was_never_sent_is_not_written_off_and_goes_on_as_ever() {
    // A handler that runs first, and one that runs for money that is there; each is another server's.
    for s in [Shop::new(), Shop::on_success()] {
        let c = s.coupon("b1").await;
        assert!(matches!(s.gate.write_off(id(&c)).await, Err(NotWrittenOff::NotFound)));
        let permit = s.serve(&c).await.unwrap();
        assert!(matches!(s.gate.write_off(id(&c)).await, Err(NotWrittenOff::InHand)));
        let other = s.another();
        assert!(matches!(other.gate.write_off(id(&c)).await, Err(NotWrittenOff::NotOpen)));
        permit.finish(Ending::Delivered).await.unwrap();
        assert!(matches!(s.gate.write_off(id(&c)).await, Err(NotWrittenOff::NotOpen)));
        assert_eq!((s.refused(&c).await, s.rail.taken()), (USED, 1));
    }
    let s = Shop::new();
    let settled = s.coupon("b1").await;
    s.serve(&settled).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    assert!(matches!(s.gate.write_off(id(&settled)).await, Err(NotWrittenOff::NotOpen)));
    s.serve(&settled).await.unwrap().finish(Ending::Delivered).await.unwrap();
    s.rail.next(Step::Settle, [Act::Refuses]);
    let failed = s.coupon("b2").await;
    assert_eq!(s.refused(&failed).await, (402, Reason::BAD_PROOF, 1));
    assert!(matches!(s.gate.write_off(id(&failed)).await, Err(NotWrittenOff::NotOpen)));
    for never in ["", "no such challenge", &"x".repeat(5_000)] {
        assert!(matches!(s.gate.write_off(never).await, Err(NotWrittenOff::NotFound)), "{never}");
    }
    assert_eq!((s.rail.taken(), marks(&s).await), (1, 1), "a failed one's proof is free");
}

#[tokio::test(start_paused = true)]
async fn s1_what_settles_right_now_is_nobodys_to_write_off_until_its_lease_is_over() {
    let s = Shop::new();
    s.rail.next(Step::Settle, [Act::TakesAndIsSlow(secs(20))]);
    let c = s.coupon("b1").await;
    let (other, payer) = (s.another(), s.another());
    let shown = c.clone();
    let settling = tokio::spawn(async move { payer.refused(&shown).await });
    everything_runs().await;
    assert_eq!(listed(&other).await, [(id(&c).to_owned(), true)]);
    assert!(matches!(other.gate.write_off(id(&c)).await, Err(NotWrittenOff::InHand)));
    // By this server's clock whoever settles is dead; it is merely slow, and what it learns comes too late.
    s.clock.advance(secs(120));
    assert_eq!(listed(&other).await, [(id(&c).to_owned(), false)]);
    other.gate.write_off(id(&c)).await.unwrap();
    assert_eq!(settling.await.unwrap(), (403, Reason::IN_FLIGHT, 0));
    assert_eq!((s.refused(&c).await, s.rail.taken(), marks(&s).await), (WRITTEN_OFF, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_this_gate_has_in_hand_is_not_written_off_by_it() {
    let s = Shop::set(|gate| gate.alone());
    s.rail.next(Step::Settle, [Act::Hangs]);
    let c = s.coupon("b1").await;
    let (shown, refused) = (s.refused(&c), async {
        everything_runs().await;
        assert_eq!(listed(&s).await, [(id(&c).to_owned(), true)]);
        assert!(matches!(s.gate.write_off(id(&c)).await, Err(NotWrittenOff::InHand)));
    });
    assert_eq!(tokio::join!(shown, refused).0, UNKNOWN);
    s.gate.write_off(id(&c)).await.unwrap();
    // Whoever asks after it with nobody waiting finds it decided.
    s.clock.advance(secs(600));
    tokio::time::sleep(secs(600)).await;
    assert_eq!((s.rail.asked(Step::Reconcile), s.rail.asked(Step::Settle)), (0, 1));
}

#[tokio::test]
async fn an_operator_finds_what_is_open_and_whose_it_is() {
    let s = Shop::new();
    let price = "1 coupon".parse::<mpp_core::Price>().unwrap().external_id("order-7");
    let offers = mpp_server::Offers::<mpp_core::Charge>::of(price).via(&s.rail);
    let named = Shop { route: mpp_server::Route::of(offers), ..s.another() };
    let (known, open) = (s.coupon("b1").await, named.coupon("b2").await);
    s.serve(&known).await.unwrap().finish(Ending::NotDelivered).await.unwrap();
    assert!(s.gate.unfinished().await.unwrap().is_empty());
    s.rail.next(Step::Settle, [Act::NeverHears]);
    assert_eq!(named.refused(&open).await, UNKNOWN);
    let found = s.gate.unfinished().await.unwrap();
    let [one] = &found[..] else { panic!("{found:?}") };
    let ends = open.challenge.expires.clone().unwrap();
    assert_eq!((&*one.challenge, &one.expires, one.in_hand), (id(&open), &ends, false));
    assert_eq!((one.method.to_string().as_str(), &*one.settles_at), ("coupon/charge", "booth 1"));
    assert_eq!(one.external_id.as_deref(), Some("order-7"));
    let mut events = s.gate.events();
    s.gate.write_off(&one.challenge).await.unwrap();
    assert_eq!(events.try_recv().unwrap().name(), "payment.written_off");
}

#[tokio::test]
async fn a_list_of_what_is_open_goes_over_all_the_books() {
    let s = Shop::new();
    s.rail.always(Step::Settle, Act::NeverHears);
    for i in 0..150 {
        let c = s.coupon(&format!("b{i}")).await;
        assert_eq!(s.refused(&c).await, UNKNOWN);
    }
    assert_eq!(listed(&s).await.len(), 150);
}

#[tokio::test]
async fn where_the_books_do_not_answer_nothing_is_written_off() {
    let (s, c) = open_for_ever(Act::TakesAndIsMute).await;
    let broken = builder(MarksAlone(s.store.clone()), &s.clock).build().unwrap();
    assert!(matches!(broken.write_off(id(&c)).await, Err(NotWrittenOff::Books(_))));
    s.rail.calm();
    s.clock.advance(secs(60));
    s.serve(&c).await.expect("it was paid").finish(Ending::Delivered).await.unwrap();
}

#[tokio::test]
async fn s1_a_proof_whose_mark_a_crash_lost_is_marked_when_its_payment_is_written_off() {
    let (s, c) = open_for_ever(Act::TakesAndIsMute).await;
    let all = s.store.scan(&Key::of(&["proof"]).unwrap(), None, 100).await.unwrap();
    let [(mark, found)] = &all[..] else { panic!("one") };
    let gone = s.store.swap(mark, Some(found.version), None, mpp_core::store::Keep::Forever).await;
    gone.unwrap().unwrap();
    s.gate.write_off(id(&c)).await.unwrap();
    let fresh = s.coupon("b1").await;
    assert_eq!((s.refused(&fresh).await, s.rail.taken()), (ELSEWHERE, 1));
}
