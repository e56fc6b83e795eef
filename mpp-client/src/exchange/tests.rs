//! Exchanges without a transport: which challenge is paid, and what is never paid.

use std::sync::{Arc, Mutex};

use mpp_core::{
    Amount, Timestamp,
    accept::Accept,
    payer::{Outcome, PayError},
    time::Clock,
};

use super::*;
use crate::{
    Limits,
    choice::Pick,
    double::{Coupon, Diary, Holder, NOW, SECRET, Token, challenge, header, receipt},
    policy::Denied,
};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::parse(NOW).unwrap()
    }
}

fn wallet(diary: &Diary) -> Wallet {
    Wallet::new(Limits::usd("1").unwrap().clock(Still))
        .payer(Holder::<Coupon>::new(diary))
        .payer(Holder::<Token>::new(diary))
        .clock(Still)
}

fn to() -> Site {
    Site { origin: "https://shop".into(), resource: "GET /joke".into() }
}

fn asks(challenges: Vec<Challenge>) -> Answer {
    Answer::Required { challenges, problem: None }
}

fn one(cents: u128) -> Answer {
    asks(vec![challenge("coupon", cents, |_| {})])
}

fn troubled(status: u16) -> Answer {
    Answer::Troubled { status, problem: None }
}

fn said(diary: &Diary) -> String {
    diary.lock().unwrap().join(", ")
}

#[tokio::test]
async fn an_offer_is_paid_and_its_receipt_is_heard() {
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let mut exchange = wallet.exchange(to());
    assert!(matches!(exchange.hear(one(10)).await, Ok(Turn::Send(_))));
    assert!(exchange.is_out());
    assert!(matches!(exchange.hear(Answer::Served(Some(receipt()))).await, Ok(Turn::Done)));
    assert_eq!(exchange.receipt(), Some(&receipt()));
    assert_eq!(exchange.verdict().unwrap().funds(), Funds::Committed);
    assert_eq!(said(&diary), "pay coupon, accepted");
}

#[tokio::test]
async fn support_then_preference_then_the_servers_order_choose() {
    let both = || {
        asks(vec![
            challenge("gold", 10, |_| {}),
            challenge("token", 10, |_| {}),
            challenge("coupon", 10, |_| {}),
        ])
    };
    let cases: [(&[&str], &str, &str); 7] = [
        (&[], "*/*", "pay token"),
        (&["coupon"], "*/*", "pay coupon"),
        (&["coupon/charge", "token"], "*/*", "pay coupon"),
        (&["nothing", "token"], "*/*", "pay token"),
        (&["token"], "coupon/charge, token/charge;q=0.5", "pay coupon"),
        (&["token"], "*/*, token/*;q=0", "pay coupon"),
        (&[], "gold/charge", "nothing was paid"),
    ];
    for (prefer, accept, expected) in cases {
        let diary = Diary::default();
        let wallet = wallet(&diary).prefer(prefer.iter().copied());
        let mut exchange = wallet.exchange(to()).accepting(Accept::parse(accept).unwrap());
        let heard = match exchange.hear(both()).await {
            Ok(_) => diary.lock().unwrap().first().cloned().unwrap(),
            Err(e) => {
                assert!(matches!(e.kind(), Kind::NoPayer(offered) if offered.len() == 3));
                e.funds().to_string()
            }
        };
        assert_eq!(heard, expected, "{prefer:?} {accept}");
    }
}

#[test]
fn preferences_are_told_to_servers() {
    let wallet = wallet(&Diary::default());
    assert_eq!(wallet.accept().to_header(), "coupon/charge, token/charge");
    let wallet = wallet.prefer(["token"]);
    assert_eq!(wallet.accept().to_header(), "token/charge, coupon/charge;q=0.9");
}

#[tokio::test]
async fn what_must_not_be_paid_is_skipped_and_named_if_nothing_else_is_left() {
    let past = || Some(Timestamp::parse("2025-12-31T23:59:59Z").unwrap());
    let bad = [
        (challenge("coupon", 10, |d| d.expires = past()), "the challenge has expired"),
        (
            challenge("coupon", 10, |d| d.header = header("Cookie")),
            "refusing to put a credential into the header Cookie",
        ),
        (challenge("coupon", 10, |d| d.header = header("Host")), "header Host"),
        (
            challenge("coupon", 10, |d| d.request = mpp_core::Encoded::parse("e30").unwrap()),
            "no payer",
        ),
        (challenge("gold", 10, |_| {}), "no payer for any way offered: gold/charge"),
        (challenge("coupon", 101, |_| {}), "1.01 usd is over the limit of 1 usd per payment"),
    ];
    for (bad, why) in bad {
        let diary = Diary::default();
        let wallet = wallet(&diary);
        let e = wallet.exchange(to()).hear(asks(vec![bad.clone()])).await.unwrap_err();
        assert!(e.to_string().contains(why), "{e}");
        assert_eq!((e.funds(), said(&diary)), (Funds::Untouched, String::new()));
        let good = challenge("token", 10, |_| {});
        assert!(wallet.exchange(to()).hear(asks(vec![bad, good])).await.is_ok());
        assert!(said(&diary).starts_with("pay token"));
    }
}

#[tokio::test]
async fn who_does_not_pay_says_why_for_each_way_offered() {
    let asking = |method: &str, currency: &str| {
        let request = serde_json::json!({ "amount": "10", "currency": currency });
        challenge(method, 10, |d| d.request = mpp_core::Encoded::of(&request).unwrap())
    };
    let unread = challenge("coupon", 10, |d| d.request = mpp_core::Encoded::parse("e30").unwrap());
    let cases = [
        (vec![asking("coupon", "eur")], "coupon/charge (no coupon is worth any eur)"),
        (
            vec![asking("gold", "eur"), asking("token", "eur"), asking("coupon", "chf")],
            "gold/charge, token/charge (the request accepts other ways only), \
             coupon/charge (no coupon is worth any chf)",
        ),
        (vec![asking("coupon", "e\u{1b}[2Ju\nr")], "coupon/charge (no coupon is worth any e[2Jur)"),
        (vec![unread], "coupon/charge (the challenge cannot be read: "),
    ];
    for (offered, why) in cases {
        let count = offered.len();
        let wallet = wallet(&Diary::default());
        let accept = Accept::parse("coupon/*, gold/*").unwrap();
        let e = wallet.exchange(to()).accepting(accept).hear(asks(offered)).await.unwrap_err();
        let said = e.to_string();
        assert!(said.starts_with(&format!("no payer for any way offered: {why}")), "{said}");
        assert!(matches!(e.kind(), Kind::NoPayer(offered) if offered.len() == count));
    }
    let long = asking("coupon", &"x".repeat(9_000));
    let e = wallet(&Diary::default()).exchange(to()).hear(asks(vec![long])).await.unwrap_err();
    assert!(e.to_string().len() < 300, "{e}");
}

#[tokio::test]
async fn of_two_payers_of_one_method_it_is_enough_that_one_pays() {
    let diary = Diary::default();
    let mut euros = Holder::<Coupon>::new(&diary);
    euros.currency = "eur";
    let wallet = wallet(&diary).payer(euros);
    let asking = |currency: &str| {
        let request = serde_json::json!({ "amount": "10", "currency": currency });
        let request = mpp_core::Encoded::of(&request).unwrap();
        asks(vec![challenge("coupon", 10, |d| d.request = request)])
    };
    assert!(matches!(wallet.exchange(to()).hear(asking("usd")).await, Ok(Turn::Send(_))));
    let e = wallet.exchange(to()).hear(asking("chf")).await.unwrap_err();
    let twice = "coupon/charge (no coupon is worth any chf; no coupon is worth any chf)";
    assert!(e.to_string().contains(twice), "{e}");
}

#[tokio::test]
async fn a_challenge_goes_only_where_its_credential_may_go() {
    let plain = challenge("coupon", 10, |_| {});
    let apart = challenge("coupon", 10, |d| d.header = header("payment-authorization"));
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let kind = |r: Result<Turn, Error>| r.map_err(|e| e.to_string()).err().unwrap_or_default();
    let mut x = wallet.exchange(to()).authorization_in_use();
    assert!(kind(x.hear(asks(vec![plain.clone()])).await).contains("already uses Authorization"));
    let mut x = wallet.exchange(to()).redirects_followed();
    assert!(kind(x.hear(asks(vec![apart.clone()])).await).contains("follows redirects"));
    let mut x = wallet.exchange(to()).authorization_in_use();
    assert!(x.hear(asks(vec![plain.clone(), apart.clone()])).await.is_ok());
    let mut x = wallet.exchange(to()).redirects_followed();
    assert!(x.hear(asks(vec![apart, plain])).await.is_ok());
}

#[tokio::test]
async fn a_402_after_a_payment_is_the_callers_answer_and_not_paid() {
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let mut exchange = wallet.exchange(to());
    exchange.hear(one(10)).await.unwrap();
    assert!(matches!(exchange.hear(one(11)).await, Ok(Turn::Done)));
    assert!(matches!(exchange.hear(one(12)).await, Ok(Turn::Done)));
    assert_eq!(said(&diary), "pay coupon, refused");
    let verdict = exchange.verdict().unwrap();
    assert!(matches!((verdict.outcome(), verdict.funds()), (Outcome::Refused(_), Funds::Unknown)));
    assert!(matches!(verdict.error().unwrap().kind(), Kind::Refused(_)));
}

#[tokio::test]
async fn a_policy_may_allow_a_second_payment_but_never_of_the_same_challenge_nor_in_doubt() {
    let diary = Diary::default();
    let wallet = wallet(&diary).max_payments(2);
    let mut exchange = wallet.exchange(to());
    exchange.hear(one(10)).await.unwrap();
    let same = exchange.hear(one(10)).await.unwrap_err();
    assert!(matches!(same.kind(), Kind::NoPayer(_)));
    assert_eq!(same.funds(), Funds::Unknown);
    assert!(same.unfinished().is_some());
    assert!(matches!(exchange.hear(one(11)).await, Ok(Turn::Send(_))));
    assert!(matches!(exchange.hear(one(12)).await, Ok(Turn::Done)));
    for doubt in [troubled(500), troubled(503), troubled(403), Answer::Served(None)] {
        let mut exchange = wallet.exchange(to());
        exchange.hear(one(1)).await.unwrap();
        assert!(matches!(exchange.hear(doubt).await, Ok(Turn::Done)));
        assert_eq!(exchange.verdict().unwrap().funds(), Funds::Unknown);
        assert!(matches!(exchange.hear(one(2)).await, Ok(Turn::Done)));
    }
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_can_be_asked_for_again_but_not_paid_again() {
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let mut exchange = wallet.exchange(to());
    let Ok(Turn::Send(credential)) = exchange.hear(one(10)).await else { panic!() };
    let e = exchange.lost("reset").await;
    assert!(matches!(e.kind(), Kind::Delivery));
    assert_eq!(e.funds(), Funds::Unknown);
    assert_eq!(e.credential().unwrap().fingerprint(), credential.fingerprint());
    assert_eq!(said(&diary), "pay coupon, unknown");

    // The copy is refused: that says nothing of the first, and invites nothing.
    let mut again = wallet.resume(e.unfinished().unwrap());
    assert!(matches!(again.hear(one(11)).await, Ok(Turn::Done)));
    assert_eq!(again.verdict().unwrap().funds(), Funds::Unknown);
    let mut again = wallet.resume(e.unfinished().unwrap());
    again.hear(Answer::Served(Some(receipt()))).await.unwrap();
    assert_eq!(again.verdict().unwrap().funds(), Funds::Committed);
    assert_eq!(said(&diary), "pay coupon, unknown");
}

#[tokio::test]
async fn a_refusal_of_a_second_copy_is_doubt() {
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let mut exchange = wallet.exchange(to());
    exchange.hear(one(10)).await.unwrap();
    assert!(exchange.again().is_some());
    exchange.hear(one(11)).await.unwrap();
    assert_eq!(said(&diary), "pay coupon, unknown");
}

#[tokio::test]
async fn servers_that_take_the_money_and_say_they_refused_meet_every_limit() {
    for hosts in [1, 1000] {
        let diary = Diary::default();
        let wallet = wallet(&diary);
        for at in 0..1000 {
            let origin = format!("https://a{}.liar", at % hosts);
            let mut exchange = wallet.exchange(Site { origin, ..to() });
            if exchange.hear(one(100)).await.is_ok() {
                exchange.hear(one(100)).await.unwrap();
            }
        }
        // Ten times the limit of a payment per host, fifty times in all.
        let expected = if hosts == 1 { 10 } else { 50 };
        assert_eq!(said(&diary).matches("refused").count(), expected);
    }
}

#[tokio::test]
async fn a_receipt_on_the_way_stands_whatever_comes_after() {
    for (answer, served) in [
        (Some(one(11)), false),
        (Some(troubled(500)), false),
        (Some(Answer::Served(None)), true),
        (None, false),
    ] {
        let diary = Diary::default();
        let wallet = wallet(&diary).max_payments(2);
        let mut exchange = wallet.exchange(to());
        exchange.hear(one(10)).await.unwrap();
        exchange.redirected(Some(receipt()));
        exchange.redirected(None);
        match answer {
            Some(answer) => assert!(matches!(exchange.hear(answer).await, Ok(Turn::Done))),
            None => assert_eq!(exchange.lost("reset").await.funds(), Funds::Committed),
        }
        let verdict = exchange.verdict().unwrap();
        assert_eq!((verdict.funds(), verdict.receipt()), (Funds::Committed, Some(&receipt())));
        assert_eq!(verdict.error().is_none(), served);
        assert_eq!(said(&diary), "pay coupon, accepted");
    }
}

#[tokio::test]
async fn an_account_is_opened_and_then_the_same_demand_is_paid() {
    let diary = Diary::default();
    let wallet = Wallet::new(Limits::usd("1").unwrap())
        .payer(Holder::<Coupon>::new(&diary).opening())
        .clock(Still);
    let mut exchange = wallet.exchange(to());
    assert!(matches!(exchange.hear(one(10)).await, Ok(Turn::Manage(_))));
    assert!(matches!(exchange.hear(Answer::Acknowledged(receipt())).await, Ok(Turn::Send(_))));
    assert!(matches!(exchange.hear(Answer::Served(Some(receipt()))).await, Ok(Turn::Done)));
    assert_eq!(said(&diary), "open coupon, accepted, pay coupon, accepted");
}

#[tokio::test]
async fn what_follows_an_opening_cannot_say_that_nothing_was_paid() {
    let diary = Diary::default();
    let wallet = Wallet::new(
        Limits::usd("1").unwrap().per_host("0.15", std::time::Duration::from_secs(60)).unwrap(),
    )
    .payer(Holder::<Coupon>::new(&diary).opening())
    .clock(Still);
    let mut exchange = wallet.exchange(to());
    exchange.hear(one(10)).await.unwrap();
    let e = exchange.hear(Answer::Acknowledged(receipt())).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(Denied::OverHost { .. })));
    assert_eq!(e.funds(), Funds::Committed);
}

#[tokio::test]
async fn a_payer_that_fails_harmlessly_gives_way_and_one_in_doubt_does_not() {
    let both = || asks(vec![challenge("coupon", 90, |_| {}), challenge("token", 90, |_| {})]);
    for (e, expected) in
        [(PayError::untouched("empty"), "pay token, unknown"), (PayError::unknown("timed out"), "")]
    {
        let funds = e.funds;
        let diary = Diary::default();
        let failing = Holder::<Coupon>::new(&diary);
        *failing.fails.lock().unwrap() = Some(e);
        let wallet = Wallet::new(Limits::usd("1").unwrap())
            .payer(failing)
            .payer(Holder::<Token>::new(&diary));
        let heard = wallet.exchange(to()).hear(both()).await;
        assert_eq!(heard.is_ok(), funds == Funds::Untouched);
        if let Err(e) = heard {
            assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Unknown)));
            assert!(std::error::Error::source(&e).is_some());
        }
        assert_eq!(said(&diary), expected);
    }
}

#[tokio::test]
async fn an_exchange_that_is_dropped_leaves_its_money_spent() {
    let diary = Diary::default();
    let limits =
        Limits::usd("1").unwrap().per_host("1", std::time::Duration::from_secs(60)).unwrap();
    let wallet = Wallet::new(limits).payer(Holder::<Coupon>::new(&diary));
    {
        let mut exchange = wallet.exchange(to());
        exchange.hear(one(60)).await.unwrap();
    }
    assert_eq!(said(&diary), "pay coupon, unknown");
    assert!(wallet.exchange(to()).hear(one(60)).await.is_err());
}

#[tokio::test]
async fn a_hook_may_pick_or_veto() {
    let both = || asks(vec![challenge("coupon", 10, |_| {}), challenge("token", 10, |_| {})]);
    for (pick, expected) in [
        (Pick::Any, "pay coupon, unknown"),
        (Pick::Only(1), "pay token, unknown"),
        (Pick::Only(2), ""),
        (Pick::None, ""),
    ] {
        let diary = Diary::default();
        let wallet = wallet(&diary).on_challenge(move |choices| {
            assert_eq!(choices.len(), 2);
            pick
        });
        let _ = wallet.exchange(to()).hear(both()).await;
        assert_eq!(said(&diary), expected, "{pick:?}");
    }
}

#[tokio::test]
async fn a_request_may_allow_less_than_the_policy() {
    for (most, ok) in [
        ("0.10 usd", true),
        ("0.1 USD", true),
        ("0.09 usd", false),
        ("9 eur", false),
        ("0.001 usd", false),
    ] {
        let diary = Diary::default();
        let wallet = wallet(&diary);
        let heard = wallet.exchange(to()).within(most.parse().unwrap()).hear(one(10)).await;
        assert_eq!(heard.is_ok(), ok, "{most}");
        if let Err(e) = heard {
            assert!(matches!(e.kind(), Kind::Denied(Denied::OverRequest { .. })), "{e}");
        }
    }
}

#[tokio::test]
async fn who_allows_just_the_price_is_told_of_the_fees() {
    let mut holder = Holder::<Coupon>::new(&Diary::default());
    holder.fees = Amount::new(5);
    let wallet = Wallet::new(Limits::usd("0.10").unwrap().clock(Still)).payer(holder).clock(Still);
    let asked = "0.15 usd (0.1 and at most 0.05 of fees)";
    let over = wallet.exchange(to()).hear(one(10)).await.unwrap_err().to_string();
    assert!(over.contains(&format!("{asked} is over the limit of 0.1 usd per payment")), "{over}");
    let exchange = wallet.exchange(to()).within("0.10 usd".parse().unwrap());
    let over = { exchange }.hear(one(10)).await.unwrap_err().to_string();
    assert!(over.contains(&format!("{asked} is over the 0.1 usd allowed")), "{over}");
    assert!(wallet.exchange(to()).hear(one(5)).await.is_ok());
}

#[tokio::test]
async fn callers_who_decide_themselves_prepare_inspect_and_pay() {
    let diary = Diary::default();
    let wallet = wallet(&diary);
    let both = || asks(vec![challenge("coupon", 10, |_| {}), challenge("token", 20, |_| {})]);
    let prepared = wallet.prepare(to(), both()).unwrap();
    assert_eq!(prepared.choices()[1].quote.exposes.amount, Amount::new(20));
    assert_eq!(said(&diary), "");
    let over = wallet.prepare(to(), both()).unwrap().pay(1, Amount::new(19)).await;
    assert!(matches!(over.unwrap_err().kind(), Kind::Denied(Denied::OverRequest { .. })));
    assert!(wallet.prepare(to(), both()).unwrap().pay(2, Amount::new(99)).await.is_err());
    let (mut exchange, turn) = prepared.pay(1, Amount::new(20)).await.unwrap();
    assert!(matches!(turn, Turn::Send(_)));
    exchange.hear(Answer::Served(Some(receipt()))).await.unwrap();
    assert_eq!(said(&diary), "pay token, accepted");
    assert!(wallet.prepare(to(), troubled(404)).is_err());
}

#[tokio::test]
async fn events_tell_everything_and_nothing_shows_a_credential() {
    let diary = Diary::default();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let wallet = wallet(&diary).on_event(move |e| seen.lock().unwrap().push(format!("{e:?}")));
    let mut shown = String::new();
    for answer in [Answer::Served(Some(receipt())), one(11), troubled(500)] {
        let mut exchange = wallet.exchange(to());
        let turn = exchange.hear(one(10)).await.unwrap();
        shown += &format!("{turn:?} {exchange:?} {wallet:?}");
        exchange.hear(answer).await.unwrap();
        let verdict = exchange.verdict().unwrap();
        shown += &format!("{verdict:?} {:?} {:?}", verdict.error(), verdict.unfinished());
    }
    let mut exchange = wallet.exchange(to());
    exchange.hear(one(10)).await.unwrap();
    let e = exchange.lost("reset").await;
    shown += &format!("{e:?} {e} {:#?}", e.unfinished());
    let _ = wallet.exchange(to()).hear(one(1000)).await;
    let events = events.lock().unwrap().join("\n");
    for name in ["Challenged", "Allowed", "Denied", "Sent", "Accepted", "Refused", "Unknown"] {
        assert!(events.contains(name), "{name}");
    }
    for shown in [shown, events] {
        assert!(!shown.contains(SECRET) && !shown.contains("hunter2"), "{shown}");
    }
}
