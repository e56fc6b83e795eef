//! Streams that ask for money while they flow: honest ones, and others.

use std::time::Duration;

use mpp_client::{Limits, ResponseExt, Wallet, error::Kind, paying};
use reqwest_middleware::ClientWithMiddleware;
use tokio::time::timeout;

use crate::{
    bar::{Bar, Mood, TEASES},
    server::{Server, status},
    tab::Patron,
};

fn client(patron: &Patron) -> ClientWithMiddleware {
    let wallet = Wallet::new(Limits::usd("10").unwrap()).payer(patron.clone());
    paying(reqwest::Client::builder(), wallet).unwrap()
}

/// Reads a stream to its end or its error, and never for longer than a test may take.
async fn drink(bar: &Bar, patron: &Patron, beers: usize) -> (Vec<String>, Option<Kind>) {
    let response = client(patron).get(bar.url(&format!("/sse?n={beers}"))).send().await.unwrap();
    let mut events = response.events().unwrap();
    let mut drunk = Vec::new();
    loop {
        let next = timeout(Duration::from_secs(10), events.next()).await.expect("it hangs");
        match next {
            None => return (drunk, None),
            Some(Ok(item)) => drunk.push(format!("{} {}", item.event, item.data)),
            Some(Err(e)) => {
                assert!(events.next().await.is_none());
                return (drunk, Some(kind(e)));
            }
        }
    }
}

/// The kind alone: what it holds is looked at where it matters.
fn kind(e: mpp_client::Error) -> Kind {
    match e.kind() {
        Kind::Refused(problem) => Kind::Refused(problem.clone()),
        Kind::Stalled => Kind::Stalled,
        Kind::Denied(why) => Kind::Denied(why.clone()),
        Kind::BadStream(why) => Kind::BadStream(why),
        Kind::CrossOriginRedirect { from, to } => {
            Kind::CrossOriginRedirect { from: from.clone(), to: to.clone() }
        }
        Kind::Unresolved(problem) => Kind::Unresolved(problem.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_paid_as_it_asks_and_its_account_is_topped_up_on_the_way() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let (drunk, failed) = drink(&bar, &patron, 15).await;
    assert!(failed.is_none(), "{failed:?}");
    let expected: Vec<String> = (0..15).map(|nth| format!("message beer {nth}")).collect();
    assert_eq!(drunk, expected);
    let books = bar.books();
    assert_eq!((books.deposit, books.spent, books.credit), (200, 150, 150));
    let said = patron.said();
    assert!(said.contains("topUp 100, accepted, voucher 110, accepted"), "{said}");
    assert!(said.ends_with("heard tab-1"), "{said}");
    assert_eq!(patron.standing().delivered, 15);
}

#[tokio::test]
async fn what_a_stream_is_paid_with_goes_to_its_address_alone() {
    let bar = Bar::open(Mood::Fair).await;
    drink(&bar, &Patron::new(100), 3).await;
    let books = bar.books();
    let posts: Vec<_> = books.log.iter().filter(|seen| seen.line.starts_with("POST")).collect();
    assert_eq!(posts.len(), 2);
    for post in posts {
        assert!(post.is("POST /sse") && post.body.is_empty(), "{}", post.line);
        let mut names: Vec<&str> = post.headers.keys().map(|name| name.as_str()).collect();
        names.retain(|name| !matches!(*name, "accept" | "host" | "content-length"));
        assert_eq!(names, ["authorization"]);
    }
}

#[tokio::test]
async fn s17_a_refused_voucher_ends_the_stream_with_what_was_refused() {
    let bar = Bar::open(Mood::Refuses).await;
    let (drunk, failed) = drink(&bar, &Patron::new(100), 5).await;
    assert_eq!(drunk.len(), 1);
    let Some(Kind::Refused(Some(problem))) = failed else { panic!("{failed:?}") };
    assert_eq!(problem.suffix(), "session/invalid-signature");
    // Once more under the fresh challenge, and no more.
    assert_eq!(bar.books().notes.len(), 3);
}

#[tokio::test]
async fn s13_a_stream_that_begs_without_end_is_left() {
    let bar = Bar::open(Mood::Begs).await;
    let (drunk, failed) = drink(&bar, &Patron::new(100), 5).await;
    assert!(matches!(failed, Some(Kind::Stalled)) && drunk.is_empty());
    assert_eq!(bar.books().notes.len(), 1);
}

#[tokio::test]
async fn s13_events_with_nothing_in_them_let_no_stream_ask_again() {
    let bar = Bar::open(Mood::Teases).await;
    let patron = Patron::new(100);
    let (drunk, failed) = drink(&bar, &patron, 5).await;
    assert!(matches!(failed, Some(Kind::Stalled)), "{failed:?}");
    assert!(drunk.len() < TEASES && drunk.iter().all(|item| item == "message "), "{drunk:?}");
    assert_eq!(patron.standing().delivered, 0);
}

#[tokio::test]
async fn s14_a_stream_says_nothing_of_another_account_nor_what_does_not_add_up() {
    let bar = Bar::open(Mood::Slanders).await;
    let patron = Patron::new(100);
    let response = client(&patron).get(bar.url("/sse?n=3")).send().await.unwrap();
    let mut events = response.events().unwrap();
    for _ in 0..3 {
        timeout(Duration::from_secs(10), events.next()).await.expect("it hangs").unwrap().unwrap();
    }
    let end = timeout(Duration::from_secs(10), events.next()).await.expect("it hangs");
    assert!(end.is_none(), "{end:?}");
    assert!(!patron.said().contains("heard"), "{}", patron.said());
    assert_eq!(events.receipt().unwrap().reference, "tab-1");
    assert_eq!(events.receipt().unwrap().extra["spent"], "0");
}

#[tokio::test]
async fn s17_a_stream_that_ends_while_it_waits_for_money_did_not_end_well() {
    let bar = Bar::open(Mood::Gives).await;
    let (drunk, failed) = drink(&bar, &Patron::new(100), 5).await;
    assert!(matches!(failed, Some(Kind::Stalled)));
    assert_eq!(drunk, ["message beer 0"]);
}

#[tokio::test]
async fn s14_no_voucher_follows_a_redirect() {
    let thief = Server::selling().await;
    let bar = Bar::open(Mood::Redirects).await;
    bar.books().elsewhere = thief.url("/sse");
    let (_, failed) = drink(&bar, &Patron::new(100), 5).await;
    assert!(matches!(failed, Some(Kind::Unresolved(None))), "{failed:?}");
    assert!(thief.log().is_empty());
}

#[tokio::test]
async fn s14_a_stream_gets_no_more_than_the_policy_allows() {
    let bar = Bar::open(Mood::Fair).await;
    let patron = Patron::new(100);
    let limits = Limits::usd("1").unwrap().per_host("1.50", Duration::from_secs(60)).unwrap();
    let wallet = Wallet::new(limits).payer(patron.clone());
    let client = paying(reqwest::Client::builder(), wallet).unwrap();
    let response = client.get(bar.url("/sse?n=15")).send().await.unwrap();
    let mut events = response.events().unwrap();
    let mut drunk = 0;
    let denied = loop {
        match timeout(Duration::from_secs(10), events.next()).await.expect("it hangs").unwrap() {
            Ok(_) => drunk += 1,
            Err(e) => break kind(e),
        }
    };
    assert!(matches!(denied, Kind::Denied(_)));
    assert_eq!((drunk, bar.books().deposit), (10, 100));
}

#[tokio::test]
async fn what_is_no_stream_says_so() {
    let server = Server::new(|_| Some(status(200, "content-type", "application/json"))).await;
    let response = client(&Patron::new(100)).get(server.url("/")).send().await.unwrap();
    let e = response.events().unwrap_err();
    assert!(matches!(e.kind(), Kind::NotAStream));
}
