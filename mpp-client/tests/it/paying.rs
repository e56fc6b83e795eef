//! What a paying client does over an honest server.

use mpp_client::{
    Error, Limits, RequestBuilderExt, ResponseExt, error::Kind, paying, wallet::Wallet,
};
use mpp_core::{Amount, payer::Funds, transport::Http};
use reqwest_middleware::ClientWithMiddleware;

use crate::{
    double::{Coupon, Diary, Holder, Token, challenge, header, receipt},
    server::{Server, asking, joke, redirect, required, status},
};

pub(crate) fn wallet(diary: &Diary) -> Wallet {
    Wallet::new(Limits::usd("1").unwrap()).payer(Holder::<Coupon>::new(diary))
}

pub(crate) fn client(diary: &Diary) -> ClientWithMiddleware {
    paying(reqwest::Client::builder(), wallet(diary)).unwrap()
}

pub(crate) fn said(diary: &Diary) -> String {
    diary.lock().unwrap().join(", ")
}

#[tokio::test]
async fn a_402_is_paid_and_the_answer_carries_its_receipt() {
    let (diary, server) = (Diary::default(), Server::selling().await);
    let request = client(&diary).post(server.url("/joke?about=rust")).body("please");
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), response.receipt()),
        (200.try_into().unwrap(), Some(&receipt()))
    );
    assert_eq!(response.text().await.unwrap(), "ha");
    assert_eq!(said(&diary), "pay coupon, accepted");
    let log = server.log();
    assert_eq!(log.len(), 2);
    for seen in &log {
        assert!(seen.is("POST /joke?about=rust"), "{}", seen.line);
        assert_eq!((&*seen.body, seen.header("accept-payment")), (&b"please"[..], "coupon/charge"));
    }
}

#[tokio::test]
async fn what_is_free_stays_free() {
    let diary = Diary::default();
    for code in [200, 404, 402, 500] {
        let server = Server::new(move |_| Some(status(code, "x-a", "b"))).await;
        let response = client(&diary).get(server.url("/")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.verdict().is_some()), (code, false));
        assert_eq!(server.log().len(), 1);
    }
    assert_eq!(said(&diary), "");
}

#[tokio::test]
async fn the_callers_accept_payment_is_kept_and_filters() {
    let server = Server::new(|seen| {
        Some(if seen.paid() { joke() } else { asking(challenge("token", 10, |_| {})) })
    })
    .await;
    let diary = Diary::default();
    let wallet = wallet(&diary).payer(Holder::<Token>::new(&diary)).prefer(["token"]);
    let client = paying(reqwest::Client::builder(), wallet).unwrap();
    let asked = client.get(server.url("/")).header("accept-payment", "coupon/*");
    let e = asked.send().await.unwrap_err();
    assert!(matches!(Error::from_reqwest(&e).unwrap().kind(), Kind::NoPayer(_)));
    assert_eq!(server.log()[0].header("accept-payment"), "coupon/*");
    assert!(client.get(server.url("/")).send().await.unwrap().receipt().is_some());
    assert_eq!(server.log()[1].header("accept-payment"), "token/charge, coupon/charge;q=0.9");
}

#[tokio::test]
async fn a_request_may_say_what_it_may_cost_or_that_it_may_not() {
    let (diary, server) = (Diary::default(), Server::selling().await);
    let get = || client(&diary).get(server.url("/"));
    let e = get().pay_within("0.09 usd".parse().unwrap()).send().await.unwrap_err();
    let e = Error::from_reqwest(&e).unwrap();
    assert_eq!(
        e.to_string(),
        "the payment was not allowed: 0.1 usd is over the 0.09 usd allowed for this request (nothing was paid)"
    );
    let response = get().without_paying().send().await.unwrap();
    assert_eq!(response.status(), 402);
    assert!(response.text().await.unwrap().contains("Ten cents, please."));
    assert_eq!((server.paid(), said(&diary)), (0, String::new()));
    assert!(get().pay_within("0.10 usd".parse().unwrap()).send().await.is_ok());
    assert_eq!(server.paid(), 1);
}

#[tokio::test]
async fn callers_may_prepare_inspect_and_send_by_hand() {
    let (diary, server) = (Diary::default(), Server::selling().await);
    let (wallet, client) = (wallet(&diary), client(&diary));
    let response = client.get(server.url("/a")).without_paying().send().await.unwrap();
    let site = mpp_client::reqwest::site(&reqwest::Method::GET, response.url());
    let prepared = wallet.prepare(site, response.answer()).unwrap();
    assert_eq!(prepared.choices()[0].quote.exposes.amount, Amount::new(10));
    let (mut exchange, turn) = prepared.pay(0, Amount::new(10)).await.unwrap();
    let mpp_client::Turn::Send(credential) = turn else { panic!("{turn:?}") };
    let mut headers = http::HeaderMap::new();
    Http::put_credential_in(&mut headers, &credential).unwrap();
    let response = client.get(server.url("/a")).headers(headers).send().await.unwrap();
    exchange.hear(response.answer()).await.unwrap();
    assert!(exchange.receipt().is_some());
    assert_eq!((server.paid(), server.log().len()), (1, 2));
}

#[tokio::test]
async fn an_account_is_opened_without_content_and_then_drawn_upon() {
    let server = Server::new(|seen| {
        Some(if !seen.paid() {
            required()
        } else if seen.is("POST /talk") && seen.body.is_empty() {
            let mut opened = joke();
            *opened.status_mut() = http::StatusCode::NO_CONTENT;
            opened
        } else {
            joke()
        })
    })
    .await;
    let diary = Diary::default();
    let wallet =
        Wallet::new(Limits::usd("1").unwrap()).payer(Holder::<Coupon>::new(&diary).opening());
    let client = paying(reqwest::Client::builder(), wallet).unwrap();
    let put = client.put(server.url("/talk?q=1")).header("content-type", "a/b").body("long");
    assert_eq!(put.send().await.unwrap().text().await.unwrap(), "ha");
    let log = server.log();
    let lines: Vec<_> = log.iter().map(|seen| (&*seen.line, seen.header("content-type"))).collect();
    assert_eq!(lines, [("PUT /talk?q=1", "a/b"), ("POST /talk", "-"), ("PUT /talk?q=1", "a/b")]);
    assert_eq!(said(&diary), "open coupon, accepted, pay coupon, accepted");
}

#[tokio::test]
async fn an_application_keeps_its_authorization() {
    for (name, expected) in [(None, 0), (header("Payment-Authorization"), 1)] {
        let server = Server::new(move |seen| {
            let ask = || asking(challenge("coupon", 10, |d| d.header = name.clone()));
            Some(if seen.paid() { joke() } else { ask() })
        })
        .await;
        let diary = Diary::default();
        let sent = client(&diary).get(server.url("/")).bearer_auth("app").send().await;
        match sent {
            Ok(response) => assert!(response.receipt().is_some()),
            Err(e) => {
                let e = Error::from_reqwest(&e).unwrap();
                assert!(matches!(
                    (e.kind(), e.funds()),
                    (Kind::AuthorizationInUse, Funds::Untouched)
                ));
            }
        }
        assert_eq!(server.paid(), expected);
        assert!(server.log().iter().all(|seen| seen.header("authorization") == "Bearer app"));
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_paid_where_it_leads() {
    for code in [301, 302, 303, 307, 308] {
        let server = Server::new(move |seen| {
            Some(match () {
                () if seen.line.ends_with(" /old") => redirect(code, "/new?x=1"),
                () if seen.paid() => joke(),
                () => required(),
            })
        })
        .await;
        let bare = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
            .with(mpp_client::PaymentMiddleware::new(wallet(&Diary::default())))
            .build();
        for client in [client(&Diary::default()), bare] {
            let response = client.get(server.url("/old")).send().await.unwrap();
            assert!(response.receipt().is_some());
            assert_eq!(response.url().path(), "/new");
        }
        let post =
            client(&Diary::default()).post(server.url("/old")).body("b").send().await.unwrap();
        assert!(post.receipt().is_some());
        let kept = matches!(code, 307 | 308);
        let last = server.log().pop().unwrap();
        assert_eq!(last.line, if kept { "POST /new?x=1" } else { "GET /new?x=1" });
        assert_eq!(last.body, if kept { &b"b"[..] } else { b"" });
    }
}
