//! Sessions beside requests: hints, many requests at once, deposits that run low, and the end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mpp_client::{
    Event, Limits, PaymentMiddleware, ResponseExt, SessionExt, Wallet, error::Kind, paying,
};
use mpp_core::{Amount, transport::PAYMENT_SESSION_SNAPSHOT};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::time::sleep;

use crate::{
    bar::{Bar, Mood},
    double::{Coupon, Diary, Holder, challenge},
    server::{Server, asking, redirect, status},
    tab::Patron,
};

fn wallet(patron: &Patron) -> Wallet {
    Wallet::new(Limits::usd("10").unwrap()).payer(patron.clone())
}

fn client(patron: &Patron) -> ClientWithMiddleware {
    paying(reqwest::Client::builder(), wallet(patron)).unwrap()
}

async fn beer(client: &ClientWithMiddleware, bar: &Bar) -> reqwest::Response {
    client.get(bar.url("/beer")).send().await.unwrap()
}

#[tokio::test]
async fn a_tab_is_opened_drawn_upon_and_closed() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let client = client(&patron);
    for _ in 0..3 {
        assert!(beer(&client, &bar).await.receipt().is_some());
    }
    let receipt = client.close_session(bar.url("/beer#bottom")).await.unwrap().unwrap();
    assert_eq!(receipt.extra["spent"], "30");
    let actions =
        "open 10, accepted, voucher 20, accepted, voucher 30, accepted, close 30, accepted";
    assert_eq!(patron.said(), actions);
    assert!(client.close_session(bar.url("/beer")).await.unwrap().is_none());
}

#[tokio::test]
async fn every_voucher_has_a_key_of_its_own_and_an_application_keeps_its() {
    let bar = Bar::open(Mood::Fair).await;
    let client = client(&Patron::new(100));
    for _ in 0..3 {
        beer(&client, &bar).await;
    }
    let own = client.get(bar.url("/beer")).header("idempotency-key", "mine");
    own.send().await.unwrap();
    let books = bar.books();
    let paid = books.log.iter().filter(|seen| seen.paid());
    let mut keys: Vec<&str> = paid.map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!(keys.pop(), Some("mine"));
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() == 3 && !keys.contains(&"-"), "{keys:?}");
}

#[tokio::test]
async fn many_requests_at_once_are_all_served_from_one_tab() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let client = client(&patron);
    beer(&client, &bar).await;
    let all: Vec<_> = (0..4)
        .map(|_| {
            let (client, bar) = (client.clone(), bar.clone());
            tokio::spawn(async move { beer(&client, &bar).await.status() })
        })
        .collect();
    for served in all {
        assert_eq!(served.await.unwrap(), 200);
    }
    let books = bar.books();
    assert_eq!((books.deposit, books.spent), (100, 50));
    assert_eq!(books.notes.iter().filter(|note| note.action == "open").count(), 1);
}

#[tokio::test]
async fn s14_a_deposit_that_runs_low_is_added_to_once_however_many_requests_see_it() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron { low: 60, ..Patron::new(100) };
    let client = client(&patron);
    for _ in 0..5 {
        assert_eq!(beer(&client, &bar).await.status(), 200);
    }
    for _ in 0..200 {
        if bar.books().deposit == 200 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bar.books().deposit, 200);
    assert_eq!(patron.said().matches("topUp").count(), 1);
}

#[tokio::test]
async fn s14_a_wish_that_was_met_meanwhile_adds_nothing_a_second_time() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron { low: 60, ..Patron::new(100) };
    let client = client(&patron);
    for _ in 0..4 {
        assert_eq!(beer(&client, &bar).await.status(), 200);
    }
    bar.books().mood = Mood::Slow;
    let (asks, url) = (client.clone(), bar.url("/beer"));
    let asked = tokio::spawn(async move { asks.top_up(url, Amount::new(100)).await });
    for _ in 0..200 {
        if bar.books().deposit == 200 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    // Half the deposit is left, and more is wished for, while more is on its way.
    assert_eq!(beer(&client, &bar).await.status(), 200);
    sleep(Duration::from_millis(50)).await;
    bar.books().mood = Mood::Fair;
    assert!(asked.await.unwrap().unwrap().is_some());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(bar.books().deposit, 200, "{}", patron.said());
}

#[tokio::test]
async fn what_fails_unasked_is_told_and_not_tried_again_at_once() {
    let bar = Bar::open(Mood::Refuses).await;
    let patron = Patron { low: 1000, ..Patron::new(100) };
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = told.clone();
    let wallet = wallet(&patron).on_event(move |event| {
        if let Event::Ungranted { why, .. } = event {
            hears.lock().unwrap().push(why);
        }
    });
    let client = paying(reqwest::Client::builder(), wallet).unwrap();
    for _ in 0..4 {
        assert_eq!(beer(&client, &bar).await.status(), 200);
        sleep(Duration::from_millis(100)).await;
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("the server refused the payment"), "{told:?}");
    assert_eq!(patron.said().matches("topUp").count(), 1);
}

#[tokio::test]
async fn an_account_is_named_to_its_own_origin_and_to_no_other() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let client = client(&patron);
    beer(&client, &bar).await;
    beer(&client, &bar).await;
    let hints: Vec<String> =
        bar.books().log.iter().map(|seen| seen.header("payment-session").to_owned()).collect();
    assert_eq!(hints, ["-", "-", "tab-1", "tab-1"]);
    let stranger = Server::new(|_| Some(status(200, "x-a", "b"))).await;
    let to = stranger.url("/");
    let friend = Server::new(move |_| Some(redirect(302, &to))).await;
    client.get(friend.url("/")).send().await.unwrap();
    assert_eq!(friend.log()[0].header("payment-session"), "tab-1");
    assert_eq!(stranger.log()[0].header("payment-session"), "-");
}

#[tokio::test]
async fn more_is_deposited_when_the_application_says_so() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let client = client(&patron);
    beer(&client, &bar).await;
    let receipt = client.top_up(bar.url("/beer"), Amount::new(50)).await.unwrap();
    assert!(receipt.is_some());
    assert_eq!(bar.books().deposit, 150);
    let e = client.top_up(bar.url("/beer"), Amount::new(5000)).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::Denied(_)));
    assert_eq!(bar.books().deposit, 150);
}

#[tokio::test]
async fn a_forgotten_account_is_asked_for_with_a_proof_that_costs_nothing() {
    for (cents, expected) in [(0, true), (1, false)] {
        let server = Server::new(move |seen| {
            let free = asking(challenge("coupon", cents, |_| {}));
            let known = status(204, PAYMENT_SESSION_SNAPSHOT.as_str(), "c25hcA==");
            Some(if seen.paid() { known } else { free })
        })
        .await;
        let (patron, diary) = (Patron::new(100), Diary::default());
        let wallet = wallet(&patron).payer(Holder::<Coupon>::new(&diary));
        let client = paying(reqwest::Client::builder(), wallet).unwrap();
        assert_eq!(client.bootstrap(server.url("/beer")).await.unwrap(), expected);
        let log = server.log();
        assert!(log.iter().all(|seen| seen.is("HEAD /beer")));
        assert_eq!(log[0].header("accept-payment"), "coupon/charge");
        let said = if expected { "remembers c25hcA== of HEAD /beer" } else { "" };
        assert_eq!(patron.said(), said);
        assert_eq!(diary.lock().unwrap().is_empty(), !expected);
    }
}

#[tokio::test]
async fn a_middleware_without_a_client_of_its_own_says_so() {
    let patron = Patron::new(100);
    let bare = ClientBuilder::new(reqwest::Client::new())
        .with(PaymentMiddleware::new(wallet(&patron)))
        .build();
    let e = bare.close_session("http://127.0.0.1:9/").await.unwrap_err();
    assert!(matches!(e.kind(), Kind::NoClient));
}

/// Hostile review: a client that follows redirects by itself carries `Payment-Session` to whoever it is led to.
#[tokio::test]
async fn s14_an_account_is_named_to_no_other_origin_by_a_client_that_follows_redirects() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(PaymentMiddleware::new(wallet(&patron)))
        .build();
    beer(&client, &bar).await;
    let stranger = Server::new(|_| Some(status(200, "x-a", "b"))).await;
    let to = stranger.url("/");
    let friend = Server::new(move |_| Some(redirect(302, &to))).await;
    client.get(friend.url("/")).send().await.unwrap();
    assert_eq!(stranger.log()[0].header("payment-session"), "-");
}

#[tokio::test]
async fn s14_an_account_is_named_to_no_other_origin_by_an_errand_that_follows_redirects() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let following = reqwest::Client::new();
    let payment = PaymentMiddleware::new(wallet(&patron)).errands_over(following.clone());
    let client = ClientBuilder::new(following).with(payment).build();
    beer(&client, &bar).await;
    let stranger = Server::new(|_| Some(status(200, "x-a", "b"))).await;
    let to = stranger.url("/");
    let friend = Server::new(move |_| Some(redirect(302, &to))).await;
    let e = client.close_session(friend.url("/")).await.unwrap_err();
    assert!(matches!(e.kind(), Kind::CrossOriginRedirect { .. }), "{e:?}");
    for seen in friend.log().iter().chain(&stranger.log()) {
        assert_eq!(seen.header("payment-session"), "-", "{}", seen.line);
    }
}
