//! Accounts are managed at the resource's own address, and handlers see them as an argument.

use axum::{
    Json, Router,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mpp_server::Session;
use mpp_testkit::bank::{close, open, top_up, voucher};
use serde::Deserialize;
use serde_json::json;

use super::{Press, Reader, figures, receipt};

async fn words(session: Session) -> Response {
    match session.charge(3).await {
        Ok(()) => format!("three words for {}", session.account()).into_response(),
        Err(refusal) => mpp_server::axum::refuse(&refusal),
    }
}

fn reader(press: &Press) -> Reader {
    let paywall = press.sells("2 coin per word").metered().layer().unwrap();
    Reader::of(Router::new().route("/words", paywall.guard(get(words))))
}

#[tokio::test]
async fn a_handler_charges_what_it_serves_and_refuses_with_fresh_challenges_what_it_cannot() {
    let (press, reader) = {
        let press = Press::new();
        let reader = reader(&press);
        (press, reader)
    };
    let served = reader.show("GET", &open("a", 100, 6)).await;
    assert_eq!(
        (served.status(), &served.headers()["payment-session"]),
        (StatusCode::OK, &"a".parse().unwrap())
    );
    let short = reader.show("GET", &voucher("a", 8)).await;
    assert_eq!(short.status(), 402);
    assert!(short.headers().contains_key("www-authenticate"));
    assert!(!short.headers().contains_key("payment-receipt"), "a receipt stands on a success");
    let served = reader.show("GET", &voucher("a", 12)).await;
    assert_eq!(served.status(), 200);
    let closed = reader.manage(&close("a", 12)).await;
    assert_eq!(figures(&json!(closed)), (12, 12, 6));
    assert_eq!((press.bank.earned(), press.bank.refunded()), (12, 88));
}

#[tokio::test]
async fn every_act_but_content_is_204_at_an_address_that_has_only_get() {
    let press = Press::new();
    let reader = reader(&press);
    for (method, slip, expected) in [
        ("POST", open("a", 20, 2), (2, 0, 0)),
        ("POST", voucher("a", 4), (4, 0, 0)),
        ("HEAD", voucher("a", 6), (6, 0, 0)),
        ("POST", top_up("a", "t", 10), (6, 0, 0)),
        ("POST", close("a", 6), (6, 0, 0)),
    ] {
        let response = reader.show(method, &slip).await;
        assert_eq!(
            (response.status(), figures(&json!(receipt(&response)))),
            (StatusCode::NO_CONTENT, expected),
            "{method} {slip:?}"
        );
        assert_eq!(response.headers()["payment-session"], "a");
    }
    assert_eq!((press.bank.earned(), press.bank.refunded()), (0, 30));
}

#[tokio::test]
async fn what_an_address_does_not_have_is_405_and_costs_nothing() {
    let press = Press::new();
    let reader = reader(&press);
    reader.manage(&open("a", 20, 20)).await;
    let credential = reader.answer(&voucher("a", 20)).await.to_token().unwrap();
    let paid = |method: &str| {
        reader.request(method).header("authorization", format!("Payment {credential}"))
    };
    let with_body = paid("POST").header("content-length", "2").body(Body::from("{}")).unwrap();
    for request in [
        reader.request("POST").body(Body::empty()).unwrap(),
        paid("DELETE").body(Body::empty()).unwrap(),
        with_body,
    ] {
        let shown = format!("{} {}", request.method(), request.uri());
        let response = reader.send(request).await;
        assert_eq!(response.status(), 405, "{shown}");
        assert!(!response.headers().contains_key("www-authenticate"), "{shown}");
    }
    assert_eq!(figures(&json!(reader.manage(&close("a", 20)).await)).1, 0);
}

#[tokio::test]
async fn an_address_with_a_query_is_managed_there() {
    let press = Press::new();
    let reader = reader(&press);
    reader.manage(&open("a", 20, 20)).await;
    let credential = reader.answer(&voucher("a", 20)).await.to_token().unwrap();
    let mut request =
        reader.request("POST").header("authorization", format!("Payment {credential}"));
    request = request.uri("/words?n=1");
    assert_eq!(reader.send(request.body(Body::empty()).unwrap()).await.status(), 204);
    assert_eq!(figures(&json!(reader.manage(&close("a", 20)).await)).1, 0);
}

#[tokio::test]
async fn a_browser_may_ask_an_address_without_options() {
    let press = Press::new();
    let reader = reader(&press);
    let asks = reader.request("OPTIONS").header("access-control-request-method", "POST");
    assert_eq!(reader.send(asks.body(Body::empty()).unwrap()).await.status(), 204);
}

#[derive(Deserialize)]
struct Order {
    words: u64,
}

#[tokio::test]
async fn management_goes_past_validation_and_the_handler() {
    let press = Press::new();
    let handler = post(|session: Session, Json(order): Json<Order>| async move {
        session.charge(order.words).await.map_err(|refusal| mpp_server::axum::refuse(&refusal))?;
        Ok::<_, Response>("written")
    });
    let paywall = press.sells("2 coin per word").metered().layer().unwrap();
    let walled = paywall.validate::<Json<Order>>(1024).guard(handler);
    let reader = Reader::of(Router::new().route("/words", walled));
    let ask = || reader.request("POST").header("content-type", "application/json");
    // A wrong request is wrong whoever pays, and an empty one without a session's credential is wrong too.
    assert_eq!(reader.send(ask().body(Body::empty()).unwrap()).await.status(), 400);
    let bearer = ask().header("authorization", "Bearer abc").body(Body::empty()).unwrap();
    assert_eq!(reader.send(bearer).await.status(), 400);
    let body = || Body::from(r#"{"words":2}"#);
    let asked = reader.send(ask().body(body()).unwrap()).await;
    assert_eq!(asked.status(), 402);
    let challenge = mpp_core::transport::read_challenges(asked.headers()).remove(0);
    let pay = |slip| {
        let credential = mpp_testkit::bank::answer(&challenge, &slip).to_token().unwrap();
        ask().header("authorization", format!("Payment {credential}"))
    };
    let managed = reader.send(pay(open("a", 100, 4)).body(Body::empty()).unwrap()).await;
    assert_eq!(
        (managed.status(), figures(&json!(receipt(&managed)))),
        (StatusCode::NO_CONTENT, (4, 0, 0))
    );
    let written = reader.send(pay(voucher("a", 4)).body(body()).unwrap()).await;
    assert_eq!(written.status(), 200);
    let closed = reader.send(pay(close("a", 4)).body(Body::empty()).unwrap()).await;
    assert_eq!((closed.status(), press.bank.earned()), (StatusCode::NO_CONTENT, 4));
}

#[tokio::test]
async fn a_session_where_none_can_be_is_our_fault_and_not_a_402() {
    let app = Router::new().route("/words", get(words)).route(
        "/maybe",
        get(|session: Option<Session>| async move { session.is_none().to_string() }),
    );
    let reader = Reader::of(app);
    let asked = reader.send(reader.request("GET").body(Body::empty()).unwrap()).await;
    assert_eq!(asked.status(), 500);
    let maybe = Reader { path: "/maybe", ..reader };
    assert_eq!(maybe.send(maybe.request("GET").body(Body::empty()).unwrap()).await.status(), 200);
}

#[tokio::test]
async fn one_unit_is_charged_for_each_request_unless_the_handler_charges() {
    let press = Press::new();
    let paywall = press.sells("2 coin").layer().unwrap();
    let reader = Reader::of(Router::new().route("/words", paywall.guard(get(|| async { "one" }))));
    let served = reader.show("GET", &open("a", 100, 2)).await;
    assert_eq!((served.status(), figures(&json!(receipt(&served)))), (StatusCode::OK, (2, 2, 1)));
    assert_eq!(reader.show("GET", &voucher("a", 2)).await.status(), 402);
}
