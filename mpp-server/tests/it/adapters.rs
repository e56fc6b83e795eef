//! The tower and axum adapters: what peers got wrong (probes B to E), bodies, price by request, CORS.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    http::{Request, StatusCode},
    routing::{any, get, post},
};
use http::request::Parts;
use mpp_core::{problem::Rejection, store::Memory};
use mpp_server::{Gate, Paid, Plaintext, event::Event, tower::Paywall};
use serde::Deserialize;
use tower::ServiceExt;

use crate::booth::{Booth, Hands, Heard, answer, builder_over, gate, with};

fn paywall(gate: &Gate, price: &str, booth: &Arc<Booth>) -> Paywall {
    gate.charge(price).unwrap().via(booth).layer().unwrap()
}

fn get_(path: &str) -> Request<Body> {
    Request::get(path).header("host", "127.0.0.1").body(Body::empty()).unwrap()
}

fn post_(path: &str, json: &str) -> Request<Body> {
    Request::post(path)
        .header("host", "localhost:80")
        .header("content-type", "application/json")
        .body(Body::from(json.to_owned()))
        .unwrap()
}

async fn send(app: &Router, request: Request<Body>) -> Heard {
    Heard::from(app.clone().oneshot(request).await.unwrap()).await
}

/// Asks, answers with a coupon, and asks again.
async fn pay(app: &Router, request: impl Fn() -> Request<Body>, code: &str) -> Heard {
    let challenge = send(app, request()).await.challenge();
    send(app, with(request(), &answer(&challenge, code))).await
}

#[tokio::test]
async fn a_paid_request_is_served_with_a_receipt_that_no_shared_cache_keeps() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let app = Router::new().route(
        "/joke",
        get(|paid: Paid| async move { paid.receipt.unwrap().reference })
            .layer(paywall(&gate, "1 coupon", &booth)),
    );
    let asked = send(&app, get_("/joke")).await;
    assert_eq!(
        (asked.code(), asked.headers["cache-control"].to_str().unwrap(), asked.has_receipt()),
        (402, "no-store", false)
    );
    let served = pay(&app, || get_("/joke"), "b1").await;
    assert_eq!((served.code(), &*served.body), (200, "b1"));
    assert_eq!(served.headers["cache-control"], "private");
    assert!(
        served.has_receipt()
            && served.headers["access-control-expose-headers"]
                .to_str()
                .unwrap()
                .contains("Payment-Receipt")
    );
}

#[derive(Deserialize)]
struct Order {
    #[allow(dead_code, reason = "that it is there is the point")]
    item: String,
}

#[tokio::test]
async fn probe_b_an_extractor_that_refuses_after_payment_loses_nothing() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let app = Router::new().route(
        "/order",
        post(|_: Paid, _: Json<Order>| async { "done" }).layer(paywall(&gate, "1 coupon", &booth)),
    );
    let bad = || post_("/order", "{}");
    let challenge = send(&app, bad()).await.challenge();
    let credential = answer(&challenge, "b1");
    let refused = send(&app, with(bad(), &credential)).await;
    assert_eq!((refused.code(), refused.has_receipt()), (422, false));
    let served = send(&app, with(post_("/order", r#"{"item":"tea"}"#), &credential)).await;
    assert_eq!((served.code(), served.has_receipt(), booth.taken()), (200, true, 1));
}

#[tokio::test]
async fn probe_b_validation_before_the_gate_answers_400_before_402() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let wall = paywall(&gate, "1 coupon", &booth).validate::<Json<Order>>(1024);
    let app = Router::new()
        .route("/order", post(|Json(order): Json<Order>| async { order.item }).layer(wall));
    let refused = send(&app, post_("/order", "{")).await;
    assert_eq!((refused.code(), refused.challenges().len()), (400, 0));
    let served = pay(&app, || post_("/order", r#"{"item":"tea"}"#), "b1").await;
    assert_eq!((served.code(), &*served.body, booth.taken()), (200, "tea", 1));
}

#[tokio::test]
async fn probe_c_a_credential_of_one_path_or_query_buys_no_other() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let wall = || paywall(&gate, "1 coupon", &booth);
    let inner = Router::new().route("/x", get(|| async { "x" }).layer(wall()));
    let app = Router::new()
        .route("/a", get(|| async { "a" }).layer(wall()))
        .route("/b", get(|| async { "b" }).layer(wall()))
        .route("/f/{id}", get(|| async { "f" }).layer(wall()))
        .nest("/n", inner.clone())
        .nest("/m", inner);
    let cases = [
        ("/a?x=1", "/b"),
        ("/a?x=1", "/a"),
        ("/a?x=1", "/a?x=2"),
        ("/f/1", "/f/2"),
        ("/n/x", "/m/x"),
    ];
    for (from, to) in cases {
        let credential = answer(&send(&app, get_(from)).await.challenge(), "b1");
        let refused = send(&app, with(get_(to), &credential)).await;
        assert_eq!((refused.code(), &*refused.reason()), (402, "wrong-scope"), "{from} on {to}");
    }
    assert_eq!(booth.taken(), 0);
}

#[tokio::test]
async fn probe_d_a_credential_of_one_http_method_buys_no_other() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let app = Router::new().route(
        "/a",
        get(|| async { "got" })
            .post(|| async { "posted" })
            .layer(paywall(&gate, "1 coupon", &booth)),
    );
    let credential = answer(&send(&app, get_("/a")).await.challenge(), "b1");
    let refused = send(&app, with(post_("/a", "{}"), &credential)).await;
    assert_eq!((refused.code(), &*refused.reason(), booth.taken()), (402, "wrong-scope", 0));
}

#[tokio::test]
async fn probe_e_a_handler_that_fails_is_run_again_for_the_same_payment() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = move || async move {
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::INTERNAL_SERVER_ERROR, "broken"),
            _ => (StatusCode::OK, "ha"),
        }
    };
    let app = Router::new().route("/joke", get(handler).layer(paywall(&gate, "1 coupon", &booth)));
    let credential = answer(&send(&app, get_("/joke")).await.challenge(), "b1");
    let failed = send(&app, with(get_("/joke"), &credential)).await;
    assert_eq!((failed.code(), failed.has_receipt()), (500, false));
    let served = send(&app, with(get_("/joke"), &credential)).await;
    assert_eq!((served.code(), served.has_receipt()), (200, true));
    let consumed = send(&app, with(get_("/joke"), &credential)).await;
    assert_eq!((consumed.code(), &*consumed.reason()), (402, "already-used"));
    assert_eq!((runs.load(Ordering::SeqCst), booth.taken()), (2, 1));
}

#[tokio::test]
async fn a_response_dropped_before_its_last_byte_is_not_delivered() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let app = Router::new()
        .route("/joke", get(|| async { "ha" }).layer(paywall(&gate, "1 coupon", &booth)));
    let credential = answer(&send(&app, get_("/joke")).await.challenge(), "b1");
    drop(app.clone().oneshot(with(get_("/joke"), &credential)).await.unwrap());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(send(&app, with(get_("/joke"), &credential)).await.code(), 200);
    assert_eq!(send(&app, with(get_("/joke"), &credential)).await.code(), 402);
    assert_eq!(booth.taken(), 1);
}

#[tokio::test]
async fn a_challenge_bound_to_a_body_pays_for_no_other_and_a_large_one_is_413_before_any_payment() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let wall = paywall(&gate, "1 coupon", &booth).bind_body(16);
    let app = Router::new().route("/echo", post(|body: String| async { body }).layer(wall));
    let challenge = send(&app, post_("/echo", "tea")).await.challenge();
    assert!(challenge.digest.is_some());
    let credential = answer(&challenge, "b1");
    let refused = send(&app, with(post_("/echo", "gold"), &credential)).await;
    assert_eq!((refused.code(), &*refused.reason()), (402, "wrong-body"));
    let large = send(&app, with(post_("/echo", &"x".repeat(17)), &credential)).await;
    assert_eq!((large.code(), large.challenges().len()), (413, 0));
    assert_eq!(booth.checks.load(Ordering::SeqCst), 0);
    let served = send(&app, with(post_("/echo", "tea"), &credential)).await;
    assert_eq!((served.code(), &*served.body, booth.taken()), (200, "tea", 1));
}

#[tokio::test]
async fn a_price_can_depend_on_the_request_and_a_change_of_it_is_noticed() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let tier = Arc::new(AtomicUsize::new(1));
    let seen = tier.clone();
    let price = move |head: &Parts| {
        let factor = if head.uri.query() == Some("big") { 10 } else { 1 };
        let price = format!("{} coupon", seen.load(Ordering::SeqCst) * factor);
        async move { price.parse().map_err(Rejection::internal) }
    };
    let wall = gate.charge_each(price).via(&booth).layer().unwrap();
    let app = Router::new().route("/a", get(|| async { "a" }).layer(wall));
    let asked = async |path: &str| {
        let c = send(&app, get_(path)).await.challenge();
        c.request.decode::<serde_json::Value>().unwrap()["amount"].as_str().unwrap().to_owned()
    };
    assert_eq!((asked("/a").await, asked("/a?big").await), ("1".into(), "10".into()));
    let credential = answer(&send(&app, get_("/a")).await.challenge(), "b1");
    tier.store(3, Ordering::SeqCst);
    let refused = send(&app, with(get_("/a"), &credential)).await;
    assert_eq!((refused.code(), &*refused.reason(), booth.taken()), (402, "wrong-terms", 0));
}

#[tokio::test]
async fn s2_a_cheap_payment_that_was_not_delivered_does_not_buy_a_dear_request_of_the_same_address()
{
    let (gate, _) = gate();
    let booth = Booth::new();
    let by_size = |head: &Parts| {
        let price = if head.headers.contains_key("x-large") { "10 coupon" } else { "1 coupon" };
        std::future::ready(price.parse().map_err(Rejection::internal))
    };
    let wall = gate.charge_each(by_size).via(&booth).layer().unwrap();
    let fails = get(|head: http::HeaderMap| async move {
        if head.contains_key("x-fails") { Err(StatusCode::BAD_GATEWAY) } else { Ok("a") }
    });
    let app = Router::new().route("/a", fails.layer(wall));
    let small = answer(&send(&app, get_("/a")).await.challenge(), "b1");
    let mut first = with(get_("/a"), &small);
    first.headers_mut().insert("x-fails", "1".parse().unwrap());
    assert_eq!(send(&app, first).await.code(), 502);
    let mut large = with(get_("/a"), &small);
    large.headers_mut().insert("x-large", "1".parse().unwrap());
    let refused = send(&app, large).await;
    assert_eq!((refused.code(), &*refused.reason()), (403, "wrong-terms"));
    assert!(refused.challenges().is_empty());
    assert_eq!(send(&app, with(get_("/a"), &small)).await.code(), 200);
}

#[tokio::test]
async fn plain_http_is_refused_but_on_loopback_and_where_it_was_allowed_by_name() {
    let clock = Hands::new();
    let booth = Booth::new();
    let app = |rule| {
        let gate = builder_over(Memory::volatile(), &clock).plaintext(rule).build().unwrap();
        Router::new().route("/a", get(|| async { "a" }).layer(paywall(&gate, "1 coupon", &booth)))
    };
    let far = || Request::get("/a").header("host", "api.example.com").body(Body::empty()).unwrap();
    let refused = send(&app(Plaintext::LoopbackOnly), far()).await;
    assert_eq!(
        (refused.code(), &*refused.reason(), refused.challenges().len()),
        (400, "insecure-transport", 0)
    );
    for rule in [Plaintext::TlsEndsAtProxy, Plaintext::Allowed] {
        assert_eq!(send(&app(rule), far()).await.code(), 402);
    }
}

#[tokio::test]
async fn a_preflight_runs_no_handler_and_what_a_script_must_read_is_exposed() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let app = Router::new()
        .route("/a", any(|| async { "paid content" }).layer(paywall(&gate, "1 coupon", &booth)));
    let preflight = Request::options("/a")
        .header("access-control-request-method", "GET")
        .body(Body::empty())
        .unwrap();
    let answered = send(&app, preflight).await;
    assert_eq!((answered.code(), &*answered.body), (204, ""));
    let asked = send(&app, get_("/a")).await;
    assert!(
        asked.headers["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("WWW-Authenticate")
    );
}

/// Over a real socket: only there does the transport stop asking once a promised length is written.
#[tokio::test]
async fn a_streamed_body_is_delivered_once_whether_its_length_was_promised_or_not() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let streamed = |promise: bool| {
        async move || {
            let frames = (0..3).map(|_| {
                Ok::<_, std::convert::Infallible>(http_body::Frame::data(
                    bytes::Bytes::from_static(b"ha"),
                ))
            });
            let body = Body::new(http_body_util::StreamBody::new(Frames(frames.collect())));
            let mut response = http::Response::new(body);
            if promise {
                response.headers_mut().insert("content-length", 6.into());
            }
            response
        }
    };
    let app = Router::new()
        .route("/promised", get(streamed(true)).layer(paywall(&gate, "1 coupon", &booth)))
        .route("/chunked", get(streamed(false)).layer(paywall(&gate, "1 coupon", &booth)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = app.clone();
    tokio::spawn(async move { axum::serve(listener, served).await });
    for (i, path) in ["/promised", "/chunked"].into_iter().enumerate() {
        let credential = answer(&send(&app, get_(path)).await.challenge(), &format!("b{i}"));
        let ask = async || {
            let text = raw_get(address, path, &credential).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            text.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_eq!((ask().await, ask().await), ("200".into(), "402".into()), "{path}");
    }
}

struct Frames(
    std::collections::VecDeque<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>>,
);

impl futures_core::Stream for Frames {
    type Item = Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

async fn raw_get(
    to: std::net::SocketAddr,
    path: &str,
    credential: &mpp_core::Credential,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(to).await.unwrap();
    let token = credential.to_token().unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Payment {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_switch_of_protocols_and_a_success_without_content_are_deliveries() {
    let (gate, _) = gate();
    let booth = Booth::new();
    for (i, status) in [101, 204].into_iter().enumerate() {
        let answer_with = async move || StatusCode::from_u16(status).unwrap();
        let app =
            Router::new().route("/a", get(answer_with).layer(paywall(&gate, "1 coupon", &booth)));
        let credential = answer(&send(&app, get_("/a")).await.challenge(), &format!("b{i}"));
        assert_eq!(send(&app, with(get_("/a"), &credential)).await.code(), status);
        assert_eq!(send(&app, with(get_("/a"), &credential)).await.code(), 402, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_delivers_nothing() {
    let (gate, _) = gate();
    let booth = Booth::new();
    for (i, status) in [302, 303, 304, 307, 308].into_iter().enumerate() {
        let answer_with = async move || StatusCode::from_u16(status).unwrap();
        let app =
            Router::new().route("/a", get(answer_with).layer(paywall(&gate, "1 coupon", &booth)));
        let credential = answer(&send(&app, get_("/a")).await.challenge(), &format!("b{i}"));
        for _ in 0..2 {
            let moved = send(&app, with(get_("/a"), &credential)).await;
            assert_eq!((moved.code(), moved.has_receipt()), (status, false));
        }
    }
    assert_eq!(booth.taken(), 5);
}

#[tokio::test]
async fn a_body_shorter_than_its_promise_is_not_delivered() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let short = async || {
        let frames = [Ok(http_body::Frame::data(bytes::Bytes::from_static(b"ha")))];
        let mut response =
            http::Response::new(Body::new(http_body_util::StreamBody::new(Frames(frames.into()))));
        response.headers_mut().insert("content-length", 6.into());
        response
    };
    let app = Router::new().route("/a", get(short).layer(paywall(&gate, "1 coupon", &booth)));
    let credential = answer(&send(&app, get_("/a")).await.challenge(), "b1");
    for _ in 0..2 {
        assert_eq!(send(&app, with(get_("/a"), &credential)).await.code(), 200);
    }
    assert_eq!(booth.taken(), 1);
}

#[tokio::test]
async fn a_paid_failure_is_kept_by_no_cache_and_no_credential_is_shown_to_the_handler() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let handler = async |headers: http::HeaderMap| {
        let shown = headers.get_all("authorization").iter().any(|v| !v.is_sensitive());
        (StatusCode::NOT_FOUND, shown.to_string())
    };
    let app = Router::new().route("/a", get(handler).layer(paywall(&gate, "1 coupon", &booth)));
    let credential = answer(&send(&app, get_("/a")).await.challenge(), "b1");
    let mut request = with(get_("/a"), &credential);
    request.headers_mut().append("authorization", "Bearer app".parse().unwrap());
    let failed = send(&app, request).await;
    assert_eq!(
        (failed.code(), &*failed.body, &failed.headers["cache-control"]),
        (404, "false", &"no-store".parse::<http::HeaderValue>().unwrap())
    );
}

#[tokio::test]
async fn events_tell_the_story_without_its_secrets() {
    let (gate, _) = gate();
    let booth = Booth::new();
    let mut events = gate.events();
    let app =
        Router::new().route("/a", get(|| async { "a" }).layer(paywall(&gate, "1 coupon", &booth)));
    let credential = answer(&send(&app, get_("/a")).await.challenge(), "x-void");
    send(&app, with(get_("/a"), &credential)).await;
    pay(&app, || get_("/a"), "b1").await;
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert!(!format!("{event:?}").contains("x-void"));
        names.push(event.name());
        if let Event::PaymentSuccess { receipt } = event {
            assert_eq!(receipt.reference, "b1");
        }
    }
    let story = [
        "challenge.created",
        "payment.failed",
        "challenge.created",
        "challenge.created",
        "payment.success",
        "payment.delivered",
    ];
    assert_eq!(names, story);
}

#[tokio::test]
async fn a_handler_that_wants_paid_without_a_paywall_says_so() {
    let app = Router::new()
        .route("/a", get(|_: Paid| async { "a" }))
        .route("/b", get(|p: Option<Paid>| async move { p.is_none().to_string() }));
    assert_eq!(send(&app, get_("/a")).await.code(), 500);
    assert_eq!(send(&app, get_("/b")).await.body, "true");
}

#[test]
fn a_price_that_no_method_can_say_is_an_error_when_the_route_is_built() {
    let (gate, _) = gate();
    let booth = Booth::new();
    for price in ["0.5 coupon", "1 usd"] {
        assert!(gate.charge(price).unwrap().via(&booth).layer().is_err(), "{price}");
    }
    assert!(gate.charge("a lot").is_err());
}

#[test]
fn s18_a_gate_without_realm_or_with_a_short_secret_is_not_built() {
    let gate = || Gate::builder(Memory::volatile());
    assert!(gate().secret([1; 32]).build().is_err());
    assert!(gate().realm("shop").build().is_err());
    assert!(gate().realm("shop").secret("short").build().is_err());
    assert!(gate().realm("sh|op").secret([1; 32]).build().is_err());
    assert!(gate().realm("shop").secret([1; 32]).build().is_ok());
}
