//! Exchanges about accounts: what is paid again for nothing, what is managed, and what never is.

use mpp_core::{
    Amount,
    payer::Wish,
    problem::{ProblemType, Reason, Rejection},
    store::Memory,
};
use serde_json::json;

use super::*;
use crate::{
    Journal, Limits,
    tab::{Patron, bill, tab},
};

fn wallet(patron: &Patron) -> Wallet {
    Wallet::new(Limits::usd("10").unwrap()).payer(patron.clone())
}

fn to() -> Site {
    Site { origin: "https://bar".into(), resource: "GET /beer".into() }
}

fn asks(cents: u128, nth: u8) -> Answer {
    refuses(cents, nth, None)
}

fn challenge(cents: u128, nth: u8) -> Challenge {
    tab(cents, |d| d.description = Some(format!("round {nth}").into()))
}

fn refuses(cents: u128, nth: u8, why: Option<(ProblemType, Reason)>) -> Answer {
    let problem = why.map(|(kind, reason)| Problem::of(&Rejection::new(kind, reason, "no")));
    Answer::Required { challenges: vec![challenge(cents, nth)], problem }
}

fn served(spent: u128) -> Answer {
    Answer::Served(Some(bill(spent)))
}

const LOWER: Option<(ProblemType, Reason)> =
    Some((ProblemType::VERIFICATION_FAILED, Reason::LOWER));
const GONE: Option<(ProblemType, Reason)> =
    Some((ProblemType::CHANNEL_NOT_FOUND, Reason::NO_ACCOUNT));

/// A tab that is open, and of which `signed` is promised.
fn opened(deposit: u128, signed: u128) -> Patron {
    let patron = Patron::new(deposit);
    {
        let mut standing = patron.standing();
        (standing.deposit, standing.signed) = (deposit, signed);
    }
    patron
}

#[tokio::test]
async fn a_voucher_that_came_out_of_order_is_followed_by_a_higher_one_three_times_at_most() {
    let patron = opened(100, 10);
    let wallet = wallet(&patron);
    let mut exchange = wallet.exchange(to());
    assert!(matches!(exchange.hear(asks(10, 0)).await, Ok(Turn::Send(_))));
    let mut keys = vec![exchange.idempotency_key().unwrap().to_owned()];
    for nth in 1..=3 {
        let turn = exchange.hear(refuses(10, nth, LOWER)).await.unwrap();
        assert!(matches!(turn, Turn::Send(_)), "{nth}");
        keys.push(exchange.idempotency_key().unwrap().to_owned());
    }
    assert!(matches!(exchange.hear(refuses(10, 4, LOWER)).await, Ok(Turn::Done)));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    let vouchers = ["20", "30", "40", "50"].map(|total| format!("voucher {total}, refused"));
    assert_eq!(patron.said(), vouchers.join(", "));
}

#[tokio::test]
async fn nothing_is_paid_anew_after_trouble_or_silence_or_while_it_is_in_hand() {
    let in_hand = Some((ProblemType::ALREADY_CREDITED, Reason::IN_FLIGHT));
    for answer in [
        Answer::Troubled { status: 500, problem: None },
        Answer::Served(None),
        refuses(10, 1, in_hand),
    ] {
        let patron = opened(100, 10);
        let mut exchange = wallet(&patron).exchange(to());
        exchange.hear(asks(10, 0)).await.unwrap();
        assert!(matches!(exchange.hear(answer).await, Ok(Turn::Done)));
        assert_eq!(patron.said(), "voucher 20, unknown");
    }
    let patron = opened(100, 10);
    let mut exchange = wallet(&patron).exchange(to());
    exchange.hear(asks(10, 0)).await.unwrap();
    exchange.again();
    assert!(matches!(exchange.hear(refuses(10, 1, LOWER)).await, Ok(Turn::Done)));
    assert_eq!(patron.said(), "voucher 20, unknown");
}

#[tokio::test]
async fn a_channel_that_is_gone_is_opened_anew_once_and_counts_against_the_policy() {
    for (limit, expected) in
        [("10", "voucher 20, refused, open 10, refused"), ("0.50", "voucher 20, refused")]
    {
        let patron = opened(100, 10);
        let wallet = Wallet::new(Limits::usd(limit).unwrap()).payer(patron.clone());
        let mut exchange = wallet.exchange(to());
        exchange.hear(asks(10, 0)).await.unwrap();
        let reopened = exchange.hear(refuses(10, 1, GONE)).await;
        assert_eq!(reopened.is_ok(), limit == "10");
        if reopened.is_ok() {
            assert!(matches!(exchange.hear(refuses(10, 2, GONE)).await, Ok(Turn::Done)));
        }
        assert_eq!(patron.said(), expected);
    }
}

#[tokio::test]
async fn a_server_that_loses_every_channel_gets_one_deposit_a_request() {
    let patron = Patron { opens_apart: true, ..opened(100, 10) };
    let wallet = wallet(&patron);
    let mut exchange = wallet.exchange(to());
    exchange.hear(asks(10, 0)).await.unwrap();
    let turn = exchange.hear(refuses(10, 1, GONE)).await.unwrap();
    assert!(matches!(turn, Turn::Manage(_)));
    let turn = exchange.hear(Answer::Acknowledged(bill(0))).await.unwrap();
    assert!(matches!(turn, Turn::Send(_)));
    assert!(matches!(exchange.hear(refuses(10, 2, GONE)).await, Ok(Turn::Done)));
    assert_eq!(patron.said().matches("open").count(), 1);
}

#[tokio::test]
async fn an_opening_that_was_booked_and_not_served_is_followed_by_a_voucher_once() {
    let patron = Patron::new(100);
    let wallet = wallet(&patron);
    let mut exchange = wallet.exchange(to());
    assert!(matches!(exchange.hear(asks(10, 0)).await, Ok(Turn::Send(_))));
    let first = exchange.idempotency_key().unwrap().to_owned();
    let turn = exchange.hear(Answer::Acknowledged(bill(0))).await.unwrap();
    assert!(matches!(turn, Turn::Send(_)));
    assert_ne!(exchange.idempotency_key(), Some(&*first));
    assert!(matches!(exchange.hear(Answer::Acknowledged(bill(0))).await, Ok(Turn::Done)));
    assert_eq!(patron.said(), "open 10, accepted, voucher 20, accepted");
}

#[tokio::test]
async fn what_was_drawn_upon_is_served_though_its_answer_is_empty() {
    let patron = Patron::new(100);
    let mut exchange = wallet(&patron).exchange(to());
    exchange.hear(asks(10, 0)).await.unwrap();
    assert!(matches!(exchange.hear(Answer::Acknowledged(bill(10))).await, Ok(Turn::Done)));
    assert_eq!(patron.said(), "open 10, accepted");
}

#[tokio::test]
async fn a_managed_opening_may_be_answered_with_a_body() {
    let patron = Patron { opens_apart: true, ..Patron::new(100) };
    let mut exchange = wallet(&patron).exchange(to());
    assert!(matches!(exchange.hear(asks(10, 0)).await, Ok(Turn::Manage(_))));
    assert!(matches!(exchange.hear(served(0)).await, Ok(Turn::Send(_))));
    assert!(matches!(exchange.hear(served(10)).await, Ok(Turn::Done)));
    assert_eq!(patron.said(), "open 10, accepted, voucher 20, accepted");
}

#[tokio::test]
async fn a_need_takes_a_top_up_and_then_a_voucher() {
    let patron = opened(100, 100);
    let wallet = wallet(&patron);
    let mut exchange = wallet.exchange(to());
    let need = Wish::Need(json!({ "required": "130" }));
    let mut turn = exchange.manage(vec![challenge(10, 0)], need).await.unwrap();
    for answer in [Answer::Acknowledged(bill(100)), served(100)] {
        assert!(matches!(turn, Turn::Manage(_)));
        turn = exchange.hear(answer).await.unwrap();
    }
    assert!(matches!(turn, Turn::Done));
    assert_eq!(patron.said(), "topUp 100, accepted, voucher 130, accepted");
}

#[tokio::test]
async fn a_wish_is_granted_once_whatever_its_payer_would_do_if_asked_again() {
    let close = (Wish::Close, "close 10, accepted");
    let more = (Wish::TopUp(Amount::new(50)), "topUp 50, accepted");
    for (wish, expected) in [close, more] {
        let patron = opened(100, 10);
        let mut exchange = wallet(&patron).exchange(to());
        let turn = exchange.manage(vec![challenge(10, 0)], wish).await.unwrap();
        assert!(matches!(turn, Turn::Manage(_)));
        let turn = exchange.hear(Answer::Acknowledged(bill(10))).await.unwrap();
        assert!(matches!(turn, Turn::Done));
        assert_eq!(patron.said(), expected);
    }
}

#[tokio::test]
async fn a_refused_step_is_retried_once_and_a_refused_top_up_only_if_it_is_dead() {
    for (wish, became, expected) in [
        (Wish::Close, Became::Open, "close 10, refused, close 10, refused"),
        (Wish::TopUp(Amount::new(50)), Became::Open, "topUp 50, refused"),
        (Wish::TopUp(Amount::new(50)), Became::Dead, "topUp 50, refused, topUp 50, refused"),
    ] {
        for journaled in [false, true] {
            let patron = Patron { became, ..opened(100, 10) };
            let mut wallet = wallet(&patron);
            if journaled {
                wallet = wallet.journal(Journal::open(Memory::volatile(), "bar").await.unwrap());
            }
            let mut exchange = wallet.exchange(to());
            exchange.manage(vec![challenge(10, 0)], wish.clone()).await.unwrap();
            exchange.hear(refuses(10, 1, LOWER)).await.unwrap();
            assert!(matches!(exchange.hear(refuses(10, 2, LOWER)).await, Ok(Turn::Done)));
            assert_eq!(patron.said(), expected);
            assert!(exchange.verdict().unwrap().error().is_some());
        }
    }
}

#[tokio::test]
async fn what_no_payer_can_grant_is_done_and_what_the_policy_denies_is_told() {
    let strangers = Patron::new(100);
    let mut exchange = wallet(&strangers).exchange(to());
    let turn = exchange.manage(vec![challenge(10, 0)], Wish::Close).await.unwrap();
    assert!(matches!(turn, Turn::Done) && exchange.verdict().is_none());
    let patron = opened(100, 10);
    let wallet = Wallet::new(Limits::usd("0.10").unwrap()).payer(patron.clone());
    let mut exchange = wallet.exchange(to());
    let more = Wish::TopUp(Amount::new(50));
    let e = exchange.manage(vec![challenge(10, 0)], more).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(_)));
    assert_eq!((e.funds(), patron.said()), (Funds::Untouched, String::new()));
}

#[tokio::test]
async fn a_voucher_that_a_crash_left_and_that_is_refused_does_not_stand_in_the_way() {
    let patron = opened(100, 10);
    let journal = Journal::open(Memory::volatile(), "bar").await.unwrap();
    let wallet = wallet(&patron).journal(journal);
    let purpose = || Some(Purpose::of(&to(), b"", None));
    {
        let mut lost = wallet.exchange(to()).about(purpose(), None);
        lost.hear(asks(10, 0)).await.unwrap();
    }
    let mut exchange = wallet.exchange(to()).about(purpose(), None);
    assert!(matches!(exchange.adopt().await, Ok(Some(Turn::Send(_)))));
    let turn = exchange.hear(refuses(10, 1, LOWER)).await.unwrap();
    assert!(matches!(turn, Turn::Send(_)));
    exchange.hear(served(20)).await.unwrap();
    exchange.delivered().await;
    assert!(wallet.unfinished().is_empty());
    assert!(patron.said().ends_with("voucher 30, accepted"));
}
