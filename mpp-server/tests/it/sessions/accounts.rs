//! One account at a time: what opens, serves, refuses, collects and closes.

use std::time::Duration;

use mpp_core::{problem::Reason, transport::Wants};
use mpp_server::{Admission, permit::Ending};
use mpp_testkit::bank::{self, Slip, close, open, top_up, voucher};

use super::{Stand, figures, schedule};

#[tokio::test]
async fn a_session_is_opened_drawn_on_topped_up_and_closed_for_exactly_what_was_spent() {
    let s = Stand::new();
    let opened = s.served(&open("a", 10, 2)).await;
    assert_eq!(figures(opened.receipt().unwrap()), (2, 2, 1));
    assert_eq!(opened.receipt().unwrap().extra["txHash"], "open a");
    for n in 2..=5 {
        let permit = s.served(&voucher("a", 2 * n)).await;
        assert_eq!(figures(permit.receipt().unwrap()), (2 * n, 2 * n, u64::try_from(n).unwrap()));
        permit.finish(Ending::Delivered).await.unwrap();
    }
    assert_eq!(s.refused(&voucher("a", 12)).await, Reason::OVER_DEPOSIT);
    s.taken(&top_up("a", "t1", 10)).await;
    s.served(&voucher("a", 12)).await.finish(Ending::Delivered).await.unwrap();
    opened.finish(Ending::Delivered).await.unwrap();
    let closed = s.taken(&close("a", 12)).await;
    assert_eq!((figures(&closed), closed.extra["txHash"].as_str()), ((12, 12, 6), Some("close a")));
    assert_eq!((s.bank.earned(), s.bank.refunded()), (12, 8));
    assert_eq!(s.refused(&voucher("a", 14)).await, Reason::CLOSED);
}

/// The official crate's probe A: a voucher of one unit for a price of half a million.
#[tokio::test]
async fn probe_a_a_voucher_below_the_price_serves_nothing() {
    let s = Stand::new();
    s.served(&open("a", 1000, 2)).await.finish(Ending::Delivered).await.unwrap();
    let refusal = s.show(&voucher("a", 3)).await.unwrap_err();
    assert_eq!(refusal.rejection.reason, Reason::SHORT_BALANCE);
    assert_eq!(refusal.rejection.extra["requiredTopUp"], "1");
    assert!(!refusal.challenges.is_empty(), "more can be signed");
    // The raise stands, and is not lost to the payer.
    let permit = s.served(&voucher("a", 4)).await;
    assert_eq!(figures(permit.receipt().unwrap()), (4, 4, 2));
}

#[tokio::test]
async fn s3_a_voucher_that_nobody_signed_changes_nothing_however_low_it_is() {
    let s = Stand::new();
    s.served(&open("a", 1000, 2)).await.finish(Ending::Delivered).await.unwrap();
    for total in [1_u128, 2, 4, 5000] {
        let mut forged = voucher("a", total);
        if let Slip::Voucher { signature, .. } = &mut forged {
            *signature = bank::sign("b", total);
        }
        assert_eq!(s.refused(&forged).await, Reason::BAD_PROOF, "{total}");
    }
    assert_eq!(figures(s.served(&voucher("a", 4)).await.receipt().unwrap()), (4, 4, 2));
}

#[tokio::test]
async fn s9_an_equal_voucher_is_taken_again_and_buys_nothing_a_lower_one_is_refused() {
    let s = Stand::new();
    s.served(&open("a", 1000, 4)).await.finish(Ending::Delivered).await.unwrap();
    // Four were signed and two are spent: the equal voucher buys the other two, and then nothing.
    let permit = s.served(&voucher("a", 4)).await;
    assert_eq!(figures(permit.receipt().unwrap()), (4, 4, 2));
    permit.finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.refused(&voucher("a", 4)).await, Reason::SHORT_BALANCE);
    assert_eq!(figures(&s.taken(&voucher("a", 4)).await), (4, 4, 2));
    assert_eq!(s.refused(&voucher("a", 3)).await, Reason::LOWER);
}

#[tokio::test]
async fn a_replayed_open_opens_nothing_and_charges_nothing_that_is_not_covered() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    for _ in 0..3 {
        assert_eq!(s.refused(&open("a", 10, 2)).await, Reason::SHORT_BALANCE);
    }
    assert_eq!(s.bank.asked().1, 1, "the bank was asked once");
    assert_eq!(figures(s.served(&voucher("a", 4)).await.receipt().unwrap()), (4, 4, 2));
}

#[tokio::test]
async fn an_open_that_cannot_be_drawn_upon_is_acknowledged_and_never_refused() {
    let s = Stand::new();
    let taken = s.show(&open("a", 10, 1)).await.unwrap();
    let Admission::Acknowledge(acknowledged) = taken else { panic!("acknowledged") };
    assert_eq!(figures(acknowledged.receipt.as_ref().unwrap()), (1, 0, 0));
    assert_eq!(figures(s.served(&voucher("a", 2)).await.receipt().unwrap()), (2, 2, 1));
}

#[tokio::test]
async fn a_top_up_that_is_shown_twice_adds_once() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    for _ in 0..3 {
        s.taken(&top_up("a", "t1", 5)).await;
    }
    assert_eq!(s.bank.tab("a").unwrap().deposit.get(), 15);
    assert_eq!(s.refused(&voucher("a", 16)).await, Reason::OVER_DEPOSIT);
}

#[tokio::test]
async fn what_was_not_served_is_given_back_and_what_broke_off_is_not() {
    let s = Stand::new();
    let permit = s.served(&open("a", 10, 2)).await;
    permit.finish(Ending::NotDelivered).await.unwrap();
    let permit = s.served(&voucher("a", 2)).await;
    assert_eq!(figures(permit.receipt().unwrap()), (2, 2, 1));
    permit.finish(Ending::BrokenOff).await.unwrap();
    assert_eq!(s.refused(&voucher("a", 2)).await, Reason::SHORT_BALANCE);
}

#[tokio::test]
async fn a_request_under_one_idempotency_key_is_charged_once() {
    let s = Stand::new();
    s.served(&open("a", 10, 8)).await.finish(Ending::Delivered).await.unwrap();
    let challenge = s.challenge().await;
    let show = async |key: &str| {
        let mut call = super::call();
        call.credential = Ok(Some(bank::answer(&challenge, &voucher("a", 8))));
        call.idempotency_key = Some(key.to_owned());
        s.gate.judge(&s.route, call).await
    };
    let Ok(Admission::Serve(first)) = show("k1").await else { panic!("served") };
    assert_eq!(show("k1").await.unwrap_err().rejection.reason, Reason::ALREADY_USED);
    first.finish(Ending::NotDelivered).await.unwrap();
    // It was given back, so the key is free again.
    let Ok(Admission::Serve(again)) = show("k1").await else { panic!("served") };
    assert_eq!(figures(again.receipt().unwrap()), (8, 4, 2));
    again.finish(Ending::Delivered).await.unwrap();
    assert_eq!(show("k1").await.unwrap_err().rejection.reason, Reason::ALREADY_USED);
    assert!(show("k2").await.is_ok());
}

#[tokio::test]
async fn a_voucher_stands_when_its_challenge_has_ended_and_new_money_does_not() {
    let s = Stand::new();
    let challenge = s.challenge().await;
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    s.clock.advance(Duration::from_secs(3600));
    let content = Wants::Content { units: 1 };
    let late = s.show_under(&challenge, &voucher("a", 4), content).await.unwrap();
    assert!(matches!(late, Admission::Serve(_)));
    for slip in [open("b", 10, 2), top_up("a", "t", 5)] {
        let refused = s.show_under(&challenge, &slip, content).await.unwrap_err();
        assert_eq!(refused.rejection.reason, Reason::EXPIRED);
    }
    assert!(s.show_under(&challenge, &close("a", 4), Wants::Nothing).await.is_ok());
}

#[tokio::test]
async fn s2_a_challenge_of_another_price_or_place_buys_nothing_here() {
    let s = Stand::new();
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    let cheap = mpp_server::Route::of(
        mpp_server::Offers::<mpp_core::intent::Session>::of("1 coin per joke".parse().unwrap())
            .via(&std::sync::Arc::new(s.bank.clone())),
    );
    let challenge = s.gate.judge(&cheap, super::call()).await.unwrap_err().challenges.remove(0);
    let content = Wants::Content { units: 1 };
    let refused = s.show_under(&challenge, &voucher("a", 4), content).await.unwrap_err();
    assert_eq!(refused.rejection.reason, Reason::WRONG_TERMS);
    let mut elsewhere = super::call();
    elsewhere.at = mpp_core::transport::Resource::at("GET /dear").in_place("/dear");
    elsewhere.credential = Ok(Some(bank::answer(&s.challenge().await, &voucher("a", 4))));
    let refused = s.gate.judge(&s.route, elsewhere).await.unwrap_err();
    assert_eq!(refused.rejection.reason, Reason::WRONG_SCOPE);
}

#[tokio::test]
async fn s10_a_close_for_less_than_was_served_is_refused_and_the_account_goes_on() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    let refused = s.manage(&close("a", 1)).await.unwrap_err().rejection;
    assert_eq!((refused.reason, refused.extra["spent"].as_str()), (Reason::LOWER, Some("2")));
    s.served(&voucher("a", 4)).await.finish(Ending::Delivered).await.unwrap();
    s.taken(&close("a", 4)).await;
    assert_eq!((s.bank.earned(), s.bank.refunded()), (4, 6));
}

#[tokio::test]
async fn s10_an_account_of_which_nothing_was_used_is_closed_and_all_goes_back() {
    let s = Stand::new();
    s.taken(&open("a", 10, 2)).await;
    s.taken(&close("a", 0)).await;
    assert_eq!((s.bank.earned(), s.bank.refunded()), (0, 10));
}

#[tokio::test]
async fn s9_what_its_payer_is_about_to_take_back_is_not_served_and_is_closed_in_time() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    let grace = mpp_core::Timestamp::from_unix(1_800_000_900, 0);
    s.bank.ask_back("a", grace);
    let swept = s.gate.sweep().await.unwrap();
    assert_eq!(swept.closed, 1);
    assert_eq!((s.bank.earned(), s.bank.refunded()), (2, 8));
    assert_eq!(s.refused(&voucher("a", 4)).await, Reason::CLOSED);
}

#[tokio::test]
async fn what_was_earned_is_collected_by_schedule_and_by_hand_and_never_more() {
    let s = Stand::with(|gate| gate.sessions(schedule().after_units(2)));
    s.served(&open("a", 100, 2)).await.finish(Ending::Delivered).await.unwrap();
    s.served(&voucher("a", 20)).await.finish(Ending::Delivered).await.unwrap();
    // Two units were served, and only the first is proven to the unit.
    wait_for(|| s.bank.earned() == 2).await;
    for name in ["b", "c"] {
        s.served(&open(name, 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    }
    let swept = s.gate.settle_all().await.unwrap();
    assert_eq!((swept.collected, s.bank.earned()), (2, 6));
    assert_eq!(s.gate.settle_all().await.unwrap().collected, 0);
}

#[tokio::test]
async fn an_account_that_nobody_uses_is_closed() {
    let s = Stand::with(|gate| gate.sessions(schedule().close_idle_after(Duration::from_secs(60))));
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    assert_eq!(s.gate.sweep().await.unwrap().closed, 0);
    s.clock.advance(Duration::from_secs(61));
    assert_eq!(s.gate.sweep().await.unwrap().closed, 1);
    assert_eq!((s.bank.earned(), s.bank.refunded()), (2, 8));
}

#[tokio::test]
async fn an_account_that_is_gone_from_its_rail_is_closed_here_too() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    let other = s.restarted(|gate| gate);
    other.taken(&close("a", 2)).await;
    assert_eq!(s.refused(&voucher("a", 4)).await, Reason::CLOSED);
}

#[tokio::test]
async fn the_raised_total_counts_where_a_deposit_grew_past_us() {
    let s = Stand::new();
    s.served(&open("a", 2, 2)).await.finish(Ending::Delivered).await.unwrap();
    let elsewhere = Stand::new();
    drop(elsewhere);
    s.bank.will([]);
    let grown = s.restarted(|gate| gate);
    grown.taken(&top_up("a", "t", 10)).await;
    s.served(&voucher("a", 4)).await.finish(Ending::Delivered).await.unwrap();
}

/// What a spawned order does is seen a moment later; a test that waits in vain fails.
pub(super) async fn wait_for(done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it did not come about");
}

#[tokio::test]
async fn s1_one_slip_is_good_for_one_account() {
    let s = Stand::new();
    for name in ["a", "b"] {
        s.served(&open(name, 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    }
    s.taken(&top_up("a", "t1", 5)).await;
    let refusal = s.manage(&top_up("b", "t1", 5)).await.unwrap_err();
    assert_eq!(refusal.rejection.reason, Reason::CREDITED_ELSEWHERE);
    assert!(refusal.challenges.is_empty(), "nobody is invited to pay again");
    assert_eq!(s.bank.tab("b").unwrap().deposit.get(), 10);
}

#[tokio::test]
async fn a_close_that_is_shown_again_gets_its_receipt_again() {
    let s = Stand::new();
    s.served(&open("a", 10, 2)).await.finish(Ending::Delivered).await.unwrap();
    let first = s.taken(&close("a", 2)).await;
    let again = s.taken(&close("a", 2)).await;
    assert_eq!(
        (first.extra["txHash"].as_str(), again.extra["txHash"].as_str()),
        (Some("close a"), Some("close a"))
    );
    assert_eq!((s.bank.earned(), s.bank.refunded()), (2, 8));
}

#[tokio::test]
async fn an_open_that_is_on_the_books_is_gone_on_with_after_its_challenge_has_ended() {
    let s = Stand::new();
    s.bank.will([mpp_testkit::bank::Mood::TakesAndIsMute]);
    let challenge = s.challenge().await;
    let content = Wants::Content { units: 1 };
    assert!(s.show_under(&challenge, &open("a", 10, 2), content).await.is_err());
    s.clock.advance(Duration::from_secs(3600));
    let late = s.show_under(&challenge, &open("a", 10, 2), content).await.unwrap();
    assert!(matches!(late, Admission::Serve(_)));
}

#[tokio::test]
async fn what_a_handler_charged_by_itself_is_given_back_where_it_fails() {
    let mut s = Stand::new();
    s.route = s.route.metered();
    let permit = s.served(&open("a", 100, 20)).await;
    permit.session().unwrap().charge(5).await.unwrap();
    let session = permit.session().unwrap().clone();
    permit.finish(Ending::NotDelivered).await.unwrap();
    assert_eq!(figures(&session.receipt().await.unwrap()), (20, 0, 0));
}

#[tokio::test]
async fn a_stream_on_a_route_that_charges_up_front_is_not_charged_twice_for_its_first_unit() {
    let s = Stand::new();
    let permit = s.served(&open("a", 100, 20)).await;
    let mut meter = permit.session().unwrap().meter().in_batches_of(2);
    for _ in 0..3 {
        meter.charge(1).await.unwrap();
    }
    assert_eq!(figures(&meter.finish().await.unwrap()), (20, 6, 3));
}
