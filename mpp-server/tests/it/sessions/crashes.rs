//! Orders whose outcome is not known, answers that never come, and servers that die in between.

use std::time::Duration;

use mpp_core::{problem::Reason, transport::Refusal};
use mpp_server::permit::Ending;
use mpp_testkit::bank::{Mood, close, open, top_up, voucher};

use super::{Stand, figures, schedule};

fn quiet(refusal: &Refusal) -> bool {
    refusal.challenges.is_empty() && refusal.rejection.kind.status == 503
}

#[tokio::test]
async fn an_open_whose_answer_is_lost_invites_nobody_to_pay_and_is_found_by_its_own_credential() {
    for mood in [Mood::TakesAndIsMute, Mood::NeverHears, Mood::TakesAndHangs] {
        let s = Stand::new();
        s.bank.will([mood]);
        let challenge = s.challenge().await;
        let content = mpp_core::transport::Wants::Content { units: 1 };
        let refusal = s.show_under(&challenge, &open("a", 10, 2), content).await.unwrap_err();
        assert!(quiet(&refusal), "{mood:?}");
        assert!(quiet(&s.show(&voucher("a", 2)).await.unwrap_err()), "{mood:?}");
        let again = s.show_under(&challenge, &open("a", 10, 2), content).await.unwrap();
        let mpp_server::Admission::Serve(permit) = again else { panic!("served") };
        assert_eq!(figures(permit.receipt().unwrap()), (2, 2, 1), "{mood:?}");
        assert_eq!(s.bank.tab("a").unwrap().deposit.get(), 10);
    }
}

#[tokio::test]
async fn an_open_that_the_rail_refuses_leaves_nothing_behind() {
    let s = Stand::new();
    s.bank.will([Mood::Refuses]);
    let refusal = s.show(&open("a", 10, 2)).await.unwrap_err();
    assert!(!refusal.challenges.is_empty(), "another may be opened");
    assert_eq!(s.refused(&voucher("a", 2)).await, Reason::NO_ACCOUNT);
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
}

#[tokio::test]
async fn s10_a_close_whose_answer_is_lost_is_neither_a_success_nor_forgotten() {
    for mood in [Mood::TakesAndIsMute, Mood::NeverHears, Mood::TakesAndHangs] {
        let s = Stand::new();
        s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
        s.bank.will([mood]);
        assert!(quiet(&s.manage(&close("a", 2)).await.unwrap_err()), "{mood:?}");
        // Nothing is served meanwhile.
        assert_eq!(s.refused(&voucher("a", 4)).await, Reason::CLOSED);
        let again = s.restarted(|gate| gate);
        assert_eq!(again.gate.sweep().await.unwrap().resumed, 1);
        assert_eq!((s.bank.earned(), s.bank.refunded()), (2, 8), "{mood:?}");
    }
}

#[tokio::test]
async fn s10_a_close_that_the_rail_refuses_does_not_leave_the_account_closing() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    s.bank.will([Mood::Refuses]);
    assert!(s.manage(&close("a", 2)).await.is_err());
    s.served(&voucher("a", 4)).await.finish(Ending::Delivered).await.unwrap();
    s.taken(&close("a", 4)).await;
    assert_eq!((s.bank.earned(), s.bank.refunded()), (4, 6));
}

#[tokio::test]
async fn a_top_up_whose_answer_is_lost_is_added_once() {
    for mood in [Mood::TakesAndIsMute, Mood::NeverHears, Mood::TakesAndHangs] {
        let s = Stand::new();
        s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
        s.bank.will([mood]);
        assert!(quiet(&s.manage(&top_up("a", "t", 5)).await.unwrap_err()));
        // The account can be drawn on meanwhile.
        s.served(&voucher("a", 4)).await.finish(Ending::Delivered).await.unwrap();
        s.taken(&top_up("a", "t", 5)).await;
        assert_eq!(s.bank.tab("a").unwrap().deposit.get(), 15, "{mood:?}");
    }
}

#[tokio::test]
async fn a_collection_whose_answer_is_lost_is_paid_once() {
    for mood in [Mood::TakesAndIsMute, Mood::NeverHears] {
        let s = Stand::with(|gate| gate.sessions(schedule().after_units(1)));
        s.bank.will([Mood::Answers, mood]);
        s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
        super::accounts::wait_for(|| s.bank.asked().1 >= 2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let again = s.restarted(|gate| gate);
        again.gate.sweep().await.unwrap();
        assert_eq!(s.bank.earned(), 2, "{mood:?}");
        again.taken(&close("a", 2)).await;
        assert_eq!((s.bank.earned(), s.bank.refunded()), (2, 8));
    }
}

#[tokio::test]
async fn s10_a_caller_that_hangs_up_changes_nothing() {
    let s = Stand::new();
    s.bank.will([Mood::Answers]);
    {
        let slip = open("a", 10, 2);
        let opening = s.show(&slip);
        tokio::pin!(opening);
        // Polled until its order is on its way, and dropped.
        let _ = tokio::time::timeout(Duration::ZERO, &mut opening).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    if s.bank.tab("a").is_some() {
        s.served(&voucher("a", 4)).await.finish(Ending::Delivered).await.unwrap();
    }
}

#[tokio::test]
async fn after_a_lost_store_an_account_is_gone_on_with_and_the_past_is_not_served_again() {
    let s = Stand::new();
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    for n in 2..=10 {
        s.served(&voucher("a", 2 * n)).await.finish(Ending::Delivered).await.unwrap();
    }
    let lost = Stand { bank: s.bank.clone(), ..Stand::new() };
    let lost = Stand { route: super::route(&lost.bank), ..lost };
    let permit = lost.served(&voucher("a", 22)).await;
    assert_eq!(figures(permit.receipt().unwrap()).1, 22, "one unit is served, not eleven");
    permit.finish(Ending::Delivered).await.unwrap();
    lost.taken(&close("a", 22)).await;
    assert_eq!((s.bank.earned(), s.bank.refunded()), (22, 78));
    assert_eq!(lost.refused(&voucher("z", 2)).await, Reason::NO_ACCOUNT);
}
