//! Several ways to pay: the wallet's order, what its policy denies, and payers that fail.

use std::{sync::Arc, time::Duration};

use mpp_core::{accept::Accept, payer::PayError, store::Memory};

use super::*;
use crate::{
    Journal, Limits,
    double::{Coupon, Diary, Holder, Token, challenge},
    journal::Purpose,
    policy::Denied,
};

const HOUR: Duration = Duration::from_secs(3600);

fn to() -> Site {
    Site { origin: "https://shop".into(), resource: "GET /joke".into() }
}

/// A server that takes coupons and tokens, at these prices in cents.
fn asks(coupon: u128, token: u128) -> Answer {
    let challenges = vec![challenge("coupon", coupon, |_| {}), challenge("token", token, |_| {})];
    Answer::Required { challenges, problem: None }
}

/// A dollar for each payment, and a dollar an hour for each host.
fn limits() -> Limits {
    Limits::usd("1").unwrap().per_host("1", HOUR).unwrap()
}

fn wallet(diary: &Diary) -> Wallet {
    failing(diary, None)
}

/// A wallet whose coupons fail once.
fn failing(diary: &Diary, e: Option<PayError>) -> Wallet {
    let coupons = Holder::<Coupon>::new(diary);
    *coupons.fails.lock().unwrap() = e;
    Wallet::new(limits()).payer(coupons).payer(Holder::<Token>::new(diary))
}

fn paid(diary: &Diary) -> Vec<String> {
    diary.lock().unwrap().iter().filter(|note| note.starts_with("pay ")).cloned().collect()
}

#[tokio::test]
async fn what_the_policy_denies_hides_nothing_that_it_allows() {
    let cases: [(&[&str], (u128, u128), &str); 6] = [
        (&[], (10, 10), "pay coupon"),
        (&[], (101, 10), "pay token"),
        (&["coupon"], (101, 10), "pay token"),
        (&["coupon", "token"], (500, 100), "pay token"),
        (&["token"], (10, 101), "pay coupon"),
        (&["token"], (101, 10), "pay token"),
    ];
    for (prefer, (coupon, token), expected) in cases {
        let diary = Diary::default();
        let wallet = wallet(&diary).prefer(prefer.iter().copied());
        wallet.exchange(to()).hear(asks(coupon, token)).await.unwrap();
        assert_eq!(paid(&diary), [expected], "{prefer:?} {coupon} {token}");
    }
    let diary = Diary::default();
    let e = wallet(&diary).exchange(to()).hear(asks(101, 102)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(_)), "{e}");
    assert_eq!((e.funds(), paid(&diary).len()), (Funds::Untouched, 0));
}

#[tokio::test]
async fn a_budget_or_a_request_that_has_no_room_for_one_way_may_have_it_for_another() {
    let diary = Diary::default();
    let wallet = wallet(&diary).prefer(["coupon"]);
    wallet.exchange(to()).hear(asks(60, 60)).await.unwrap();
    // Forty cents are left to this host.
    wallet.exchange(to()).hear(asks(50, 30)).await.unwrap();
    assert_eq!(paid(&diary), ["pay coupon", "pay token"]);
    let mut exchange = wallet.exchange(to()).within("0.05 usd".parse().unwrap());
    exchange.hear(asks(6, 5)).await.unwrap();
    assert_eq!(paid(&diary).last().unwrap(), "pay token");
    let mut neither = wallet.exchange(to()).within("0.04 usd".parse().unwrap());
    let e = neither.hear(asks(6, 5)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(Denied::OverRequest { .. })), "{e}");
}

#[tokio::test]
async fn a_payer_that_fails_untouched_gives_way_and_its_money_back() {
    let diary = Diary::default();
    let wallet = failing(&diary, Some(PayError::untouched("the card was declined")));
    // Both would not fit into the budget: what was set aside for the first is free again.
    wallet.exchange(to()).hear(asks(90, 90)).await.unwrap();
    assert_eq!(paid(&diary), ["pay token"]);
    wallet.exchange(to()).hear(asks(10, 99)).await.unwrap();
    let e = wallet.exchange(to()).hear(asks(1, 1)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(_)), "a dollar is spent, and no more: {e}");
}

#[tokio::test]
async fn after_a_payer_whose_funds_are_unknown_nothing_else_is_tried() {
    let diary = Diary::default();
    let wallet = failing(&diary, Some(PayError::unknown("no answer")));
    let e = wallet.exchange(to()).hear(asks(90, 5)).await.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Unknown)));
    assert_eq!(paid(&diary).len(), 0);
    // What it may have spent stays spent.
    let e = wallet.exchange(to()).hear(asks(11, 11)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(_)), "{e}");
}

#[tokio::test]
async fn where_every_way_fails_the_first_that_was_wanted_says_why() {
    let diary = Diary::default();
    let wallet = failing(&diary, Some(PayError::untouched("the card was declined")));
    let e = wallet.exchange(to()).hear(asks(10, 101)).await.unwrap_err();
    assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Untouched)));
    let why = std::error::Error::source(&e).unwrap().to_string();
    assert!(why.contains("the card was declined"), "{why}");
}

#[tokio::test]
async fn a_journal_has_one_open_payment_whichever_payer_failed_before_it() {
    let diary = Diary::default();
    let journal = Journal::open(Arc::new(Memory::volatile()), "w").await.unwrap();
    let wallet = failing(&diary, Some(PayError::untouched("the card was declined")));
    let wallet = wallet.journal(journal.clone());
    let purpose = || Some(Purpose::of(&to(), b"", None));
    let mut exchange = wallet.exchange(to()).about(purpose(), None);
    assert!(exchange.adopt().await.unwrap().is_none());
    let turn = exchange.hear(asks(90, 90)).await.unwrap();
    let first = turn.credential().unwrap().fingerprint();
    drop(exchange);
    // The next request of the same purpose shows that one, and pays by nothing else.
    let mut again = wallet.exchange(to()).about(purpose(), None);
    let adopted = again.adopt().await.unwrap().unwrap();
    assert_eq!(adopted.credential().unwrap().fingerprint(), first);
    assert_eq!((paid(&diary), journal.unfinished().len()), (vec!["pay token".to_owned()], 0));
}

#[tokio::test]
async fn the_callers_wishes_come_before_the_wallets_and_the_servers_order_decides_among_equals() {
    let both = "token/charge;q=0.5, coupon/charge;q=0.5";
    for (prefer, accept, expected) in [
        (&["token"][..], "*/*", "pay token"),
        (&["token"], "coupon/charge, token/charge;q=0.9", "pay coupon"),
        (&[], both, "pay coupon"),
        (&["token"], both, "pay token"),
        (&["coupon"], "*/*, coupon/charge;q=0", "pay token"),
    ] {
        let diary = Diary::default();
        let wallet = wallet(&diary).prefer(prefer.iter().copied());
        let mut exchange = wallet.exchange(to()).accepting(Accept::parse(accept).unwrap());
        exchange.hear(asks(10, 10)).await.unwrap();
        assert_eq!(paid(&diary), [expected], "{prefer:?} {accept}");
    }
}

#[tokio::test]
async fn a_long_list_of_preferences_is_kept_to_its_end() {
    let many = (0..20).map(|n| format!("method{n}")).chain(["token".to_owned()]);
    let diary = Diary::default();
    let wallet = wallet(&diary).prefer(many);
    wallet.exchange(to()).hear(asks(10, 10)).await.unwrap();
    assert_eq!(paid(&diary), ["pay token"]);
    assert_eq!(wallet.accept().to_header(), "token/charge;q=0.089, coupon/charge;q=0.088");
}

#[tokio::test]
async fn what_was_paid_by_a_payer_that_is_gone_is_shown_again_and_paid_by_no_other() {
    for fails in [None, Some("timed out")] {
        let (store, diary) = (Arc::new(Memory::volatile()), Diary::default());
        let purpose = || Some(Purpose::of(&to(), b"", None));
        let journal = async || Journal::open(store.clone(), "w").await.unwrap();
        // Its answer is lost, or what the payer did is.
        let both = failing(&diary, fails.map(PayError::unknown)).journal(journal().await);
        let mut exchange = both.exchange(to()).about(purpose(), None);
        assert_eq!(exchange.hear(asks(10, 10)).await.is_ok(), fails.is_none());
        drop(exchange);
        for _ in 0..2 {
            let tokens = Wallet::new(limits()).payer(Holder::<Token>::new(&diary));
            let mut exchange =
                tokens.journal(journal().await).exchange(to()).about(purpose(), None);
            let e = match exchange.adopt().await {
                Ok(turn) => {
                    let shown = turn.and_then(|turn| turn.credential().cloned()).unwrap();
                    assert_eq!(shown.challenge.method.as_str(), "coupon");
                    exchange.hear(asks(10, 10)).await.unwrap_err()
                }
                Err(e) => e,
            };
            assert!(matches!(e.kind(), Kind::StillOpen(_)), "{e:?}");
            assert_eq!(e.funds(), Funds::Unknown);
        }
        let coupons = usize::from(fails.is_none());
        assert_eq!(paid(&diary), vec!["pay coupon"; coupons]);
    }
}
