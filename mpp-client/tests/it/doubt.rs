//! Answers that leave it open whether money moved: nothing is paid anew, and nobody is told that nothing was paid.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use http::{Extensions, Response};
use mpp_client::{
    Error, Limits, PaymentMiddleware, RequestBuilderExt, ResponseExt, Wallet, error::Kind,
};
use mpp_core::{
    payer::{Funds, PayError},
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal},
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use crate::{
    double::{Coupon, Diary, Holder, challenge, receipt},
    paying::{client, said, wallet},
    server::{Server, asking, joke, redirect, required, status},
};

fn ours(e: &reqwest_middleware::Error) -> &Error {
    Error::from_reqwest(e).unwrap_or_else(|| panic!("{e:?}"))
}

/// Sends everything three times, whatever came of it, and returns the last.
struct Stubborn;

#[async_trait::async_trait]
impl Middleware for Stubborn {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        for _ in 0..2 {
            let _ = next.clone().run(request.try_clone().unwrap(), extensions).await;
        }
        next.run(request, extensions).await
    }
}

fn stubborn(wallet: Wallet) -> ClientWithMiddleware {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let payment = PaymentMiddleware::new(wallet).redirects_off();
    ClientBuilder::new(client.unwrap()).with(Stubborn).with(payment).build()
}

/// Another price each time, so that no challenge is the one before.
fn another() -> Response<Vec<u8>> {
    static ASKED: AtomicUsize = AtomicUsize::new(10);
    asking(challenge("coupon", ASKED.fetch_add(1, Ordering::SeqCst) as u128, |_| {}))
}

fn receipted(code: u16, to: &str) -> Response<Vec<u8>> {
    let mut moved = redirect(code, to);
    Http::put_receipt_in(moved.headers_mut(), &receipt());
    moved
}

#[tokio::test]
async fn a_retry_above_never_pays_anew_whatever_status_challenges_came_with() {
    for code in [400, 401, 402, 403, 408, 410, 429] {
        let server = Server::new(move |seen| {
            let mut answer = another();
            if seen.paid() {
                *answer.status_mut() = code.try_into().unwrap();
            }
            Some(answer)
        })
        .await;
        let diary = Diary::default();
        let response = stubborn(wallet(&diary)).get(server.url("/")).send().await.unwrap();
        assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown, "{code}");
        let refuses = matches!(code, 401 | 402 | 410);
        let expected = if refuses { "pay coupon, refused" } else { "pay coupon, unknown" };
        assert_eq!((&*said(&diary), server.paid()), (expected, 3), "{code}");
        let first = server.log()[1].header("authorization").to_owned();
        let same = |s: &crate::server::Seen| !s.paid() || s.header("authorization") == first;
        assert!(server.log().iter().all(same), "{code}");
    }
}

#[tokio::test]
async fn a_retry_above_does_not_pay_after_a_payer_in_doubt() {
    let server = Server::selling().await;
    let diary = Diary::default();
    let payer = Holder::<Coupon>::new(&diary);
    *payer.fails.lock().unwrap() = Some(PayError::unknown("timed out"));
    let wallet = Wallet::new(Limits::usd("1").unwrap()).payer(payer);
    let response = stubborn(wallet).get(server.url("/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), server.paid(), said(&diary)), (402, 0, String::new()));
}

#[tokio::test]
async fn a_second_payment_that_fails_leaves_the_first_credential_to_be_shown() {
    // Allows two payments, and the second asks for too much.
    let server = Server::new(|seen| {
        let cents = if seen.paid() { 1_000 } else { 10 };
        Some(asking(challenge("coupon", cents, |_| {})))
    })
    .await;
    let diary = Diary::default();
    let two = wallet(&diary).max_payments(2);
    let one_try = mpp_client::paying(reqwest::Client::builder(), two.clone()).unwrap();
    let e = one_try.get(server.url("/")).send().await.unwrap_err();
    assert!(matches!(ours(&e).kind(), Kind::Denied(_)), "{e:?}");
    assert_eq!(ours(&e).funds(), Funds::Unknown);
    assert!(ours(&e).unfinished().is_some());
    let response = stubborn(two).get(server.url("/")).send().await.unwrap();
    assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown);
    assert_eq!(said(&diary), "pay coupon, refused, pay coupon, refused");
    assert_eq!(server.paid(), 1 + 3);
}

#[tokio::test]
async fn a_credential_carried_past_a_redirect_is_neither_refused_nor_paid_for_again() {
    for (receipted_too, expected) in [(false, Funds::Unknown), (true, Funds::Committed)] {
        let server = Server::new(move |seen| {
            Some(match () {
                () if seen.paid() && seen.is("GET /dir") && receipted_too => {
                    receipted(307, "/dir/")
                }
                () if seen.paid() && seen.is("GET /dir") => redirect(308, "/dir/"),
                () => another(),
            })
        })
        .await;
        let diary = Diary::default();
        let two = wallet(&diary).max_payments(2);
        let client = mpp_client::paying(reqwest::Client::builder(), two).unwrap();
        let response = client.get(server.url("/dir")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), server.paid()), (402, 2));
        let verdict = response.verdict().unwrap();
        assert_eq!(verdict.funds(), expected);
        assert!(matches!(verdict.error().unwrap().kind(), Kind::Unresolved(_)));
        assert_eq!(response.receipt().is_some(), receipted_too);
        assert_eq!(said(&diary).matches("pay").count(), 1);
        assert!(!said(&diary).contains("refused"));
    }
    // The client underneath follows by itself: that the answer is from another place tells as much.
    let server = Server::new(|seen| {
        Some(if seen.paid() && seen.is("GET /a") { redirect(307, "/b") } else { another() })
    })
    .await;
    let diary = Diary::default();
    let bare = ClientBuilder::new(reqwest::Client::new())
        .with(PaymentMiddleware::new(wallet(&diary).max_payments(2)))
        .build();
    bare.get(server.url("/a")).send().await.unwrap();
    assert_eq!((server.paid(), &*said(&diary)), (2, "pay coupon, unknown"));
}

#[tokio::test]
async fn a_receipt_on_a_redirect_is_the_outcome_though_what_it_leads_to_fails() {
    for code in [302, 303] {
        let server = Server::new(move |seen| match () {
            () if seen.is("GET /order") => None,
            () if seen.is("GET /done") => Some(status(200, "x-a", "b")),
            () if seen.paid() && seen.line.ends_with("/buy") => Some(receipted(code, "/order")),
            () if seen.paid() => Some(receipted(code, "/done")),
            () => Some(required()),
        })
        .await;
        let diary = Diary::default();
        let done = client(&diary).post(server.url("/well")).body("b").send().await.unwrap();
        assert_eq!((done.status().as_u16(), done.receipt()), (200, Some(&receipt())));
        let e = client(&diary).post(server.url("/buy")).body("b").send().await.unwrap_err();
        assert!(matches!((ours(&e).kind(), ours(&e).funds()), (Kind::Delivery, Funds::Committed)));
        assert!(ours(&e).unfinished().is_some());
        assert_eq!(said(&diary), "pay coupon, accepted, pay coupon, accepted");
    }
}

#[tokio::test]
async fn a_redirect_without_a_receipt_whose_end_fails_is_in_doubt_and_not_a_bare_error() {
    let server = Server::new(|seen| match () {
        () if seen.is("GET /order") => None,
        () if seen.paid() => Some(redirect(303, "/order")),
        () => Some(required()),
    })
    .await;
    let e = client(&Diary::default()).post(server.url("/buy")).body("b").send().await.unwrap_err();
    assert!(matches!((ours(&e).kind(), ours(&e).funds()), (Kind::Delivery, Funds::Unknown)));
}

#[tokio::test]
async fn a_receipt_of_another_origin_is_none_of_the_payments() {
    let other = Server::new(|_| Some(joke())).await;
    let to = other.url("/");
    let server =
        Server::new(move |seen| Some(if seen.paid() { redirect(303, &to) } else { required() }))
            .await;
    let diary = Diary::default();
    let sent = client(&diary).post(server.url("/buy")).body("b").send().await;
    assert_eq!(ours(&sent.unwrap_err()).funds(), Funds::Unknown);
    assert_eq!((other.log().len(), &*said(&diary)), (0, "pay coupon, unknown"));
}

#[tokio::test]
async fn what_was_paid_past_redirects_is_resumed_where_it_was_paid() {
    for code in [301, 302, 303, 307, 308] {
        static BROKEN: AtomicUsize = AtomicUsize::new(0);
        BROKEN.store(99, Ordering::SeqCst);
        let server = Server::new(move |seen| match () {
            () if seen.line.ends_with(" /a?x=1") => Some(redirect(code, "/b?y=2")),
            () if seen.paid() && BROKEN.load(Ordering::SeqCst) > 0 => None,
            () if seen.paid() => Some(joke()),
            () => Some(required()),
        })
        .await;
        let diary = Diary::default();
        let post = || client(&diary).post(server.url("/a?x=1")).body("b");
        let e = post().send().await.unwrap_err();
        BROKEN.store(0, Ordering::SeqCst);
        let before = server.log().len();
        let again = post().resume(ours(&e).unfinished().unwrap()).send().await.unwrap();
        assert!(again.receipt().is_some(), "{code}");
        assert_eq!(said(&diary), "pay coupon, unknown");
        let resumed = &server.log()[before..];
        let line = if code < 307 { "GET" } else { "POST" };
        assert_eq!(resumed[0].line, format!("{line} /b?y=2"));
        assert_eq!((resumed.len(), resumed[0].body.is_empty()), (1, line == "GET"));
    }
}

#[tokio::test]
async fn a_server_that_has_the_credential_in_hand_is_waited_for() {
    static SHOWN: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(|seen| match seen.paid() {
        false => Some(required()),
        true => match SHOWN.fetch_add(1, Ordering::SeqCst) {
            0 => None,
            1 => Some(status(403, "retry-after", "1")),
            2 => Some(status(503, "retry-after", "0")),
            _ => Some(joke()),
        },
    })
    .await;
    let diary = Diary::default();
    let response = client(&diary).get(server.url("/")).send().await.unwrap();
    assert_eq!((response.receipt(), server.paid()), (Some(&receipt()), 4));
    assert_eq!(said(&diary), "pay coupon, accepted");
}

#[tokio::test]
async fn a_refusal_of_what_was_taken_before_is_doubt() {
    let cases = [
        (ProblemType::INVALID_CHALLENGE, Reason::ALREADY_USED, false),
        (ProblemType::INVALID_CHALLENGE, Reason::WRONG_SCOPE, false),
        (ProblemType::VERIFICATION_FAILED, Reason::CREDITED_ELSEWHERE, false),
        (ProblemType::VERIFICATION_FAILED, Reason::BAD_PROOF, true),
    ];
    for (kind, reason, refused) in cases {
        let server = Server::new(move |seen| {
            let rejection = Rejection::new(kind, reason, "No.");
            let challenges = vec![challenge("coupon", 11, |_| {})];
            let refusal = Http::refuse(&Refusal { rejection, challenges });
            Some(if seen.paid() { refusal } else { required() })
        })
        .await;
        let diary = Diary::default();
        let response = client(&diary).get(server.url("/")).send().await.unwrap();
        assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown);
        let expected = if refused { "pay coupon, refused" } else { "pay coupon, unknown" };
        assert_eq!(said(&diary), expected, "{reason:?}");
        // What was read to judge is still there to read.
        let e = response.verdict().unwrap().error().unwrap();
        assert_eq!(e.problem().unwrap().reason.as_deref(), Some(reason.as_str()));
        assert!(!e.to_string().contains("nothing was paid"), "{e}");
        assert_eq!(response.url().path(), "/");
        assert_eq!(response.content_length(), Some(server_body(kind, reason).len() as u64));
        assert_eq!(response.bytes().await.unwrap(), server_body(kind, reason));
    }
}

fn server_body(kind: ProblemType, reason: Reason) -> Vec<u8> {
    let rejection = Rejection::new(kind, reason, "No.");
    let challenges = vec![challenge("coupon", 11, |_| {})];
    Http::refuse(&Refusal { rejection, challenges }).into_body()
}

#[tokio::test]
async fn a_refusal_longer_than_is_read_reaches_the_caller_whole() {
    let long = || {
        let mut asked = another();
        asked.body_mut().resize(1 << 20, b' ');
        asked
    };
    let server = Server::new(move |seen| Some(if seen.paid() { long() } else { required() })).await;
    let response = client(&Diary::default()).get(server.url("/")).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn a_402_whose_body_never_ends_is_paid_after_a_while_and_a_refusal_so_returned() {
    // Announces more than comes, and keeps the connection open.
    let server =
        Server::trickling(|seen| Some(if seen.paid() { another() } else { required() })).await;
    let began = Instant::now();
    let diary = Diary::default();
    let response = client(&diary).get(server.url("/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), server.paid()), (402, 1));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(said(&diary), "pay coupon, refused");
}
