//! What a paying client never does, whatever the server.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Extensions;
use mpp_client::{Error, PaymentMiddleware, RequestBuilderExt, ResponseExt, error::Kind, paying};
use mpp_core::{name::CredentialHeader, payer::Funds};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use crate::{
    double::{Diary, challenge, header},
    paying::{client, said, wallet},
    server::{Seen, Server, asking, joke, redirect, required, status},
};

/// A client that follows redirects underneath the middleware.
fn bare(diary: &Diary) -> ClientWithMiddleware {
    let client = reqwest::Client::builder().build().unwrap();
    ClientBuilder::new(client).with(PaymentMiddleware::new(wallet(diary))).build()
}

fn ours(e: &reqwest_middleware::Error) -> &Error {
    Error::from_reqwest(e).unwrap_or_else(|| panic!("{e:?}"))
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_paid() {
    let thief = Server::selling().await;
    let to = thief.url("/joke");
    let server = Server::new(move |_| Some(redirect(302, &to))).await;
    let diary = Diary::default();
    for client in [client(&diary), bare(&diary)] {
        let get = client.get(server.url("/joke")).header("authorization", "Bearer app");
        let e = get.send().await.unwrap_err();
        assert!(matches!(ours(&e).kind(), Kind::CrossOriginRedirect { .. }), "{e:?}");
        assert_eq!(ours(&e).funds(), Funds::Untouched);
    }
    assert_eq!((thief.log().len(), thief.paid(), said(&diary)), (2, 0, String::new()));
    assert!(thief.log().iter().all(|seen| seen.header("authorization") == "-"));
}

#[tokio::test]
async fn a_redirect_to_another_origin_never_carries_a_credential() {
    for code in [301, 302, 303, 307, 308] {
        for name in [None, Some(CredentialHeader::PAYMENT_AUTHORIZATION)] {
            let thief = Server::new(|_| Some(joke())).await;
            let (to, apart) = (thief.url("/stolen"), name.is_some());
            let server = Server::new(move |seen| {
                let ask = || asking(challenge("coupon", 10, |d| d.header = name.clone()));
                Some(if seen.paid() { redirect(code, &to) } else { ask() })
            })
            .await;
            let diary = Diary::default();
            let e = client(&diary).get(server.url("/joke")).send().await.unwrap_err();
            assert!(matches!(ours(&e).kind(), Kind::CrossOriginRedirect { .. }), "{e:?}");
            assert_eq!(ours(&e).funds(), Funds::Unknown);
            assert!(ours(&e).credential().is_some());
            assert_eq!((server.paid(), thief.log().len()), (1, 0));

            let e = bare(&diary).get(server.url("/joke")).send().await.unwrap_err();
            if apart {
                assert!(matches!(ours(&e).kind(), Kind::RedirectsFollowed), "{e:?}");
            } else {
                assert!(matches!(ours(&e).kind(), Kind::CrossOriginRedirect { .. }), "{e:?}");
            }
            assert_eq!(thief.paid(), 0);
            let nothing = |seen: &Seen| {
                seen.header("authorization") == "-" && seen.header("payment-authorization") == "-"
            };
            assert!(thief.log().iter().all(nothing));
        }
    }
}

#[tokio::test]
async fn an_answer_that_lies_elsewhere_is_fetched_without_the_credential() {
    let server = Server::new(|seen| {
        Some(match () {
            () if seen.is("GET /order") => status(200, "x-order", "1"),
            () if seen.paid() => redirect(303, "/order"),
            () => required(),
        })
    })
    .await;
    let diary = Diary::default();
    let response = client(&diary).post(server.url("/buy")).body("b").send().await.unwrap();
    assert_eq!(response.headers()["x-order"], "1");
    assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown);
    assert_eq!((server.paid(), server.log().len()), (1, 3));
    assert_eq!(said(&diary), "pay coupon, unknown");
}

#[tokio::test]
async fn a_header_that_steers_the_credential_elsewhere_is_refused() {
    for name in ["Cookie", "Host", "X-Forwarded-For", "Proxy-Authorization"] {
        let server = Server::new(move |_| {
            Some(asking(challenge("coupon", 10, |d| d.header = header(name))))
        })
        .await;
        let diary = Diary::default();
        let e = client(&diary).get(server.url("/")).send().await.unwrap_err();
        assert!(matches!(ours(&e).kind(), Kind::HeaderRefused(h) if h == name));
        assert_eq!((server.log().len(), said(&diary)), (1, String::new()));
    }
}

#[tokio::test]
async fn a_402_after_a_payment_is_returned_as_it_came_and_not_paid() {
    let server = Server::new(|_| {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let cents = 10 + ASKED.fetch_add(1, Ordering::SeqCst);
        Some(asking(challenge("coupon", cents as u128, |_| {})))
    })
    .await;
    let diary = Diary::default();
    let response = client(&diary).get(server.url("/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), server.paid()), (402, 1));
    assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown);
    let e = response.error_for_payment().await.unwrap_err();
    assert_eq!(e.problem().unwrap().detail, "Ten cents, please.");
    assert_eq!(said(&diary), "pay coupon, refused");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_credential_and_never_paid_twice() {
    static BROKEN: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(|seen| match seen.paid() {
        false => Some(required()),
        true if BROKEN
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok() =>
        {
            None
        }
        true => Some(joke()),
    })
    .await;
    for (broken, shown) in [(1, 2), (5, 6), (6, 6)] {
        BROKEN.store(broken, Ordering::SeqCst);
        let (diary, before) = (Diary::default(), server.paid());
        let client = client(&diary);
        let sent = client.get(server.url("/joke")).send().await;
        assert_eq!(server.paid() - before, shown);
        let first = server
            .log()
            .iter()
            .rev()
            .find(|s| s.paid())
            .unwrap()
            .header("authorization")
            .to_owned();
        let same = |s: &Seen| !s.paid() || s.header("authorization") == first;
        assert!(server.log().iter().skip(before).all(same));
        match sent {
            Ok(response) => assert!(response.receipt().is_some()),
            Err(e) => {
                let e = ours(&e);
                assert!(matches!((e.kind(), e.funds()), (Kind::Delivery, Funds::Unknown)));
                let unfinished = e.unfinished().unwrap();
                let again = client.get(server.url("/joke")).resume(unfinished);
                assert!(again.send().await.unwrap().receipt().is_some());
                let elsewhere = Server::selling().await;
                let stolen = client.get(elsewhere.url("/joke")).resume(unfinished).send().await;
                assert!(matches!(ours(&stolen.unwrap_err()).kind(), Kind::OtherOrigin(_)));
                assert_eq!(elsewhere.log().len(), 0);
            }
        }
        assert_eq!(said(&diary).matches("pay").count(), 1);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it_within_bounds() {
    for (code, wait, shown) in [
        (503, "0", 6),
        (403, "0", 6),
        (503, "3600", 1),
        (403, "16", 1),
        (503, "soon", 1),
        (500, "0", 1),
    ] {
        let server = Server::new(move |seen| {
            Some(if seen.paid() { status(code, "retry-after", wait) } else { required() })
        })
        .await;
        let diary = Diary::default();
        let response = client(&diary).get(server.url("/")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), server.paid()), (code, shown));
        let e = response.error_for_payment().await.unwrap_err();
        assert!(matches!((e.kind(), e.funds()), (Kind::Unresolved(_), Funds::Unknown)));
        assert_eq!(said(&diary), "pay coupon, unknown");
    }
}

/// Sends everything twice.
struct Stubborn;

#[async_trait::async_trait]
impl Middleware for Stubborn {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let copy = request.try_clone().unwrap();
        let _ = next.clone().run(request, extensions).await;
        next.run(copy, extensions).await
    }
}

#[tokio::test]
async fn a_retry_above_shows_the_same_credential() {
    let server = Server::new(|seen| {
        static PAID: AtomicUsize = AtomicUsize::new(0);
        Some(match () {
            () if !seen.paid() => required(),
            () if PAID.fetch_add(1, Ordering::SeqCst) == 0 => status(500, "x-a", "b"),
            () => joke(),
        })
    })
    .await;
    let diary = Diary::default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let payment = PaymentMiddleware::new(wallet(&diary)).redirects_off();
    let client = ClientBuilder::new(client.unwrap()).with(Stubborn).with(payment).build();
    let response = client.get(server.url("/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), server.paid()), (200, 2));
    assert_eq!(said(&diary), "pay coupon, unknown");
}

#[tokio::test]
async fn plain_http_is_refused_but_for_loopback_and_hosts_allowed_by_name() {
    let server = Server::selling().await;
    let url = format!("http://shop.test:{}/joke", server.at.port());
    for (allowed, paid) in [("other.test", 0), ("Shop.test", 1)] {
        let diary = Diary::default();
        let builder = reqwest::Client::builder().resolve("shop.test", server.at);
        let client = paying(builder, wallet(&diary).allow_plain_http(allowed)).unwrap();
        let sent = client.get(&url).send().await;
        assert_eq!((sent.is_ok(), server.paid()), (paid == 1, paid));
        if let Err(e) = sent {
            assert!(
                matches!(ours(&e).kind(), Kind::InsecureTransport(host) if host == "shop.test")
            );
            assert_eq!((ours(&e).funds(), said(&diary)), (Funds::Untouched, String::new()));
        }
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_twice_is_an_error_before_anything_is_paid() {
    let free = Server::new(|_| Some(status(200, "x-a", "b"))).await;
    let server = Server::selling().await;
    let diary = Diary::default();
    let stream = || async { reqwest::Body::from(reqwest::get(free.url("/")).await.unwrap()) };
    let e = client(&diary).post(server.url("/")).body(stream().await).send().await.unwrap_err();
    assert!(matches!(
        (ours(&e).kind(), ours(&e).funds()),
        (Kind::BodyNotCloneable, Funds::Untouched)
    ));
    assert_eq!((server.paid(), said(&diary)), (0, String::new()));
    assert!(client(&diary).post(free.url("/")).body(stream().await).send().await.is_ok());
}

#[tokio::test]
async fn a_402_longer_than_is_read_is_paid_all_the_same() {
    let server = Server::new(|seen| {
        let mut asked = required();
        asked.body_mut().resize(8 << 20, b' ');
        Some(if seen.paid() { joke() } else { asked })
    })
    .await;
    let diary = Diary::default();
    assert!(client(&diary).get(server.url("/")).send().await.unwrap().receipt().is_some());
}
