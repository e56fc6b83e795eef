//! Answers that are given again: to the same credential, under the same `Idempotency-Key`, for the same request.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{Router, body::Body, routing::any};
use http_body::Frame;
use mpp_server::tower::Paywall;
use mpp_testkit::rail::{Act, Step};
use tower::ServiceExt;

use crate::{
    booth::with,
    shop::{Shop, answering, credential, everything_runs, get_, named, post_, send, show},
};

fn wall(s: &Shop) -> Paywall {
    s.gate.charge("1 coupon").unwrap().via(&s.rail).layer().unwrap()
}

#[tokio::test]
async fn a_delivered_answer_is_given_again_whole_and_nothing_is_run_for_it() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s), &[(201, "ha"), (500, "never")]);
    let c = credential(&app, get_("/a"), "b1").await;
    let first = show(&app, named(get_("/a"), "k"), &c).await;
    assert_eq!((first.code(), first.headers.contains_key("idempotent-replayed")), (201, false));
    for _ in 0..3 {
        let again = show(&app, named(get_("/a"), "k"), &c).await;
        assert_eq!((again.code(), &*again.body), (201, "ha"));
        for same in ["payment-receipt", "x-made-by", "content-type", "cache-control"] {
            assert_eq!(again.headers[same], first.headers[same], "{same}");
        }
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(again.headers["cache-control"], "private");
    }
    assert_eq!((runs.load(Ordering::SeqCst), s.rail.taken()), (1, 1));
}

#[tokio::test]
async fn it_is_given_again_after_a_restart_and_forgotten_in_the_end() {
    let s = Shop::new();
    let (app, _) = answering(wall(&s), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    show(&app, named(get_("/a"), "k"), &c).await;
    let next = s.another();
    let (app, runs) = answering(wall(&next), &[(200, "another")]);
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.body, "ha");
    // An hour past the challenge's end; by then the credential is no good for anything.
    s.clock.advance(Duration::from_secs(300 + 3600 + 60));
    let other = credential(&app, get_("/a"), "b2").await;
    show(&app, get_("/a"), &other).await;
    let late = show(&app, named(get_("/a"), "k"), &c).await;
    assert_eq!((late.code(), &*late.reason(), runs.load(Ordering::SeqCst)), (402, "expired", 1));
}

#[tokio::test]
async fn another_key_or_none_is_told_that_the_challenge_is_used() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    show(&app, named(get_("/a"), "k"), &c).await;
    for request in [get_("/a"), named(get_("/a"), "other")] {
        let refused = show(&app, request, &c).await;
        assert_eq!((refused.code(), &*refused.reason()), (402, "already-used"));
        assert!(!refused.has_receipt() && refused.headers["cache-control"] == "no-store");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    // What was served without a name cannot be asked for by one.
    let c = credential(&app, get_("/a"), "b2").await;
    show(&app, get_("/a"), &c).await;
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.reason(), "already-used");
}

#[tokio::test]
async fn a_key_by_itself_or_with_another_proof_releases_nothing() {
    let s = Shop::new();
    let (app, _) = answering(wall(&s), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    show(&app, named(get_("/a"), "k"), &c).await;
    let alone = send(&app, named(get_("/a"), "k")).await;
    assert_eq!(
        (alone.code(), &*alone.reason(), alone.challenges().len()),
        (402, "no-credential", 1)
    );
    let stolen = mpp_testkit::rail::answer(&c.challenge, "b2");
    let refused = show(&app, named(get_("/a"), "k"), &stolen).await;
    assert_eq!((refused.code(), refused.body.contains("ha\"")), (402, false));
    assert_eq!((refused.has_receipt(), s.rail.taken()), (false, 1));
}

#[tokio::test]
async fn a_key_that_comes_again_for_another_request_is_422_and_invites_nobody() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s).bind_body(64), &[(200, "ha")]);
    let c = credential(&app, post_("/a", "tea"), "b1").await;
    let served = show(&app, named(post_("/a", "tea"), "k"), &c).await;
    assert_eq!(served.code(), 200);
    for request in [post_("/a", "gold"), post_("/b", "tea"), post_("/a?x=1", "tea"), get_("/a")] {
        let refused = show(&app, named(request, "k"), &c).await;
        assert_eq!((refused.code(), &*refused.reason()), (422, "idempotency-key-reused"));
        assert_eq!((refused.challenges().len(), refused.has_receipt()), (0, false));
    }
    assert_eq!(show(&app, named(post_("/a", "tea"), "k"), &c).await.body, "ha");
    // Under another key it is only a credential of another request.
    assert_eq!(show(&app, named(post_("/a", "gold"), "j"), &c).await.reason(), "wrong-body");
    assert_eq!((runs.load(Ordering::SeqCst), s.rail.taken()), (1, 1));
}

#[tokio::test]
async fn who_asks_again_while_it_is_being_served_waits() {
    let s = Shop::new();
    let (app, _) = answering(wall(&s), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    let flowing = app.clone().oneshot(with(named(get_("/a"), "k"), &c)).await.unwrap();
    for request in [named(get_("/a"), "k"), get_("/a")] {
        let refused = show(&app, request, &c).await;
        assert_eq!((refused.code(), &*refused.reason()), (403, "in-flight"));
        assert_eq!(refused.challenges().len(), 0);
        assert!(refused.headers.contains_key("retry-after"));
    }
    // Hung up on: not delivered, so there is nothing to give again, and it is served anew.
    drop(flowing);
    everything_runs().await;
    let served = show(&app, named(get_("/a"), "k"), &c).await;
    assert_eq!((served.code(), served.headers.contains_key("idempotent-replayed")), (200, false));
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.headers["idempotent-replayed"], "true");
}

#[tokio::test]
async fn what_is_longer_than_is_kept_is_delivered_once() {
    for (most, again) in [(2, 200), (1, 402), (0, 402)] {
        let s = Shop::set(|gate| gate.keep_answers_up_to(most));
        let (app, _) = answering(wall(&s), &[(200, "ha")]);
        let c = credential(&app, get_("/a"), "b1").await;
        assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.body, "ha");
        let asked = show(&app, named(get_("/a"), "k"), &c).await;
        assert_eq!((asked.code(), s.rail.taken()), (again, 1), "at most {most} bytes");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_kept_like_any_other() {
    let s = Shop::new();
    let (app, runs) = answering(wall(&s), &[(204, "")]);
    let c = credential(&app, get_("/a"), "b1").await;
    for _ in 0..2 {
        let answered = show(&app, named(get_("/a"), "k"), &c).await;
        assert_eq!((answered.code(), answered.has_receipt()), (204, true));
    }
    let head = || axum::http::Request::head("/a").header("host", "127.0.0.1").body(Body::empty());
    let asked = send(&app, head().unwrap()).await;
    let c = mpp_testkit::rail::answer(&asked.challenge(), "b2");
    for _ in 0..2 {
        let answered = show(&app, named(head().unwrap(), "k"), &c).await;
        assert_eq!((answered.code(), answered.has_receipt()), (204, true));
    }
    assert_eq!((runs.load(Ordering::SeqCst), s.rail.taken()), (2, 2));
}

struct Frames(Vec<Frame<bytes::Bytes>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<bytes::Bytes>, std::convert::Infallible>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = if self.0.is_empty() { None } else { Some(Ok(self.0.remove(0))) };
        std::task::Poll::Ready(next)
    }
}

#[tokio::test]
async fn a_stream_is_kept_whole_and_one_with_trailers_is_not() {
    let s = Shop::new();
    let data = |text: &'static str| Frame::data(bytes::Bytes::from_static(text.as_bytes()));
    let streamed = async move |request: axum::extract::Request| {
        let mut frames = vec![data("ha"), data(""), data("ha")];
        if request.uri().path() == "/trailed" {
            frames.push(Frame::trailers(
                [("x-sum".parse().unwrap(), "4".parse().unwrap())].into_iter().collect(),
            ));
        }
        axum::response::Response::new(Body::new(http_body_util::StreamBody::new(Frames(frames))))
    };
    let app = Router::new().route("/{*path}", any(streamed).layer(wall(&s)));
    for (i, (path, again)) in [("/plain", 200), ("/trailed", 402)].into_iter().enumerate() {
        let c = credential(&app, get_(path), &format!("b{i}")).await;
        assert_eq!(show(&app, named(get_(path), "k"), &c).await.body, "haha");
        let asked = show(&app, named(get_(path), "k"), &c).await;
        assert_eq!(asked.code(), again, "{path}");
        assert_eq!(asked.body == "haha", again == 200);
    }
}

#[tokio::test]
async fn an_error_is_never_kept_and_a_login_never_given_again() {
    let s = Shop::new();
    let handler = async |request: axum::extract::Request| {
        let mut response = axum::response::Response::new(Body::from("in"));
        let cookie = if request.uri().path() == "/login" { "session=1" } else { "none=1" };
        response.headers_mut().insert("set-cookie", cookie.parse().unwrap());
        response
    };
    let app = Router::new().route("/{*path}", any(handler).layer(wall(&s)));
    let c = credential(&app, get_("/login"), "b1").await;
    assert!(show(&app, named(get_("/login"), "k"), &c).await.headers.contains_key("set-cookie"));
    let again = show(&app, named(get_("/login"), "k"), &c).await;
    assert_eq!((&*again.body, again.headers.contains_key("set-cookie")), ("in", false));

    let (app, runs) = answering(wall(&s), &[(503, "later"), (200, "ha")]);
    let c = credential(&app, get_("/a"), "b2").await;
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.code(), 503);
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.body, "ha");
    assert_eq!((runs.load(Ordering::SeqCst), s.rail.taken()), (2, 2));
}

#[tokio::test]
async fn a_named_payment_on_a_route_that_charges_on_success_is_given_again_with_its_receipt() {
    let s = Shop::new();
    let wall = s.gate.charge("1 coupon").unwrap().via(&s.rail).charge_on_success();
    let (app, runs) = answering(wall.layer().unwrap(), &[(200, "ha")]);
    let c = credential(&app, get_("/a"), "b1").await;
    let first = show(&app, named(get_("/a"), "k"), &c).await;
    let again = show(&app, named(get_("/a"), "k"), &c).await;
    assert_eq!(first.headers["payment-receipt"], again.headers["payment-receipt"]);
    assert_eq!((again.code(), runs.load(Ordering::SeqCst), s.rail.taken()), (200, 1, 1));
    // Taken, and its answer lost: redeemed under its name, kept from then on.
    s.rail.next(Step::Settle, [Act::TakesAndIsMute]);
    let c = credential(&app, get_("/a"), "b2").await;
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.code(), 503);
    s.clock.advance(Duration::from_secs(60));
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.code(), 200);
    assert_eq!(show(&app, named(get_("/a"), "k"), &c).await.headers["idempotent-replayed"], "true");
    assert_eq!(s.rail.taken(), 2);
}

#[tokio::test]
async fn an_answer_that_is_kept_shows_in_no_log_of_the_books() {
    let s = Shop::new();
    let (app, _) = answering(wall(&s), &[(200, "the secret recipe")]);
    let c = credential(&app, get_("/a"), "b1").await;
    let mut events = s.gate.events();
    show(&app, named(get_("/a"), "my own key"), &c).await;
    while let Ok(event) = events.try_recv() {
        let shown = format!("{event:?}");
        assert!(!shown.contains("recipe") && !shown.contains("my own key"), "{shown}");
    }
    // Nor does the key: only its hash is stored.
    use mpp_core::store::{Key, Store};
    let entries = s.store.scan(&Key::of(&["paid"]).unwrap(), None, 10).await.unwrap();
    assert!(entries.iter().all(|(_, e)| !String::from_utf8_lossy(&e.value).contains("my own key")));
}
