//! The layer before a metered socket: who is asked to pay, who is let in, and what is not handed over.

use axum::{
    Router,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::BodyExt;
use mpp_server::axum::MeteredUpgrade;
use mpp_testkit::bank::{close, open, voucher};
use serde_json::json;

use super::{Press, Reader, Words, figures, receipt, wire::knock};

async fn words(up: MeteredUpgrade) -> Response {
    up.serve(|_| Words::numbered(20))
}

fn reader(press: &Press) -> Reader {
    let socket = press.sells("2 coin per word").socket().unwrap();
    Reader::of(Router::new().route("/words", socket.guard(get(words))))
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_plain_get_is_asked_to_pay() {
    let reader = reader(&Press::new());
    let asked = reader.send(reader.request("GET").body(Body::empty()).unwrap()).await;
    assert_eq!(asked.status(), 402);
    assert!(asked.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_payer_without_a_socket_manages_its_account_and_is_told_where_the_words_are() {
    let press = Press::new();
    let reader = reader(&press);
    reader.manage(&open("a", 20, 2)).await;
    let plain = reader.show("GET", &voucher("a", 4)).await;
    assert_eq!(
        (plain.status(), &plain.headers()["upgrade"]),
        (StatusCode::UPGRADE_REQUIRED, &"websocket".parse().unwrap())
    );
    let closed = reader.manage(&close("a", 4)).await;
    assert_eq!((figures(&json!(closed)), press.bank.refunded()), ((4, 0, 0), 20));
}

#[tokio::test]
async fn nothing_but_a_metered_socket_is_handed_to_whoever_asks_for_one_unpaid() {
    let press = Press::new();
    let answers: [fn() -> Response; 4] = [
        || "a secret".into_response(),
        || (StatusCode::FOUND, "a secret").into_response(),
        // Another's socket: no ticket was used up for it.
        || (StatusCode::SWITCHING_PROTOCOLS, "a secret").into_response(),
        || (StatusCode::NO_CONTENT, [("x-secret", "a secret")]).into_response(),
    ];
    for answer in answers {
        let socket = press.sells("2 coin per word").socket().unwrap();
        let handler = get(move || async move { answer() });
        let reader = Reader::of(Router::new().route("/words", socket.guard(handler)));
        let response = reader.send(knock()).await;
        assert_eq!(response.status(), 500);
        assert!(!response.headers().contains_key("x-secret"));
        assert!(!text(response).await.contains("secret"));
    }
}

#[tokio::test]
async fn an_error_is_handed_on() {
    let press = Press::new();
    let socket = press.sells("2 coin per word").socket().unwrap();
    let handler = get(async || (StatusCode::SERVICE_UNAVAILABLE, "full"));
    let reader = Reader::of(Router::new().route("/words", socket.guard(handler)));
    let response = reader.send(knock()).await;
    assert_eq!(
        (response.status(), &*text(response).await),
        (StatusCode::SERVICE_UNAVAILABLE, "full")
    );
}

#[tokio::test]
async fn a_request_that_names_a_socket_by_another_method_or_with_a_credential_passes_the_paywall() {
    let press = Press::new();
    let reader = reader(&press);
    for method in ["POST", "PUT", "HEAD"] {
        let mut request = knock();
        *request.method_mut() = method.parse().unwrap();
        let status = reader.send(request).await.status();
        assert!(status == 402 || status == 405, "{method} {status}");
    }
    let credential = reader.answer(&open("a", 20, 2)).await.to_token().unwrap();
    let mut request = knock();
    let header = format!("Payment {credential}").parse().unwrap();
    request.headers_mut().insert("authorization", header);
    let told = reader.send(request).await;
    assert_eq!(told.status(), StatusCode::UPGRADE_REQUIRED, "the credential belongs into a frame");
    let mut request = knock();
    request.headers_mut().insert("authorization", "Payment nonsense".parse().unwrap());
    assert_eq!(reader.send(request).await.status(), 402);
}

#[tokio::test]
async fn a_socket_where_none_can_be_is_our_fault() {
    let reader = Reader::of(Router::new().route("/words", get(words)));
    assert_eq!(reader.send(knock()).await.status(), 500);
    let press = Press::new();
    let served = reader_of_plain_paywall(&press).show("GET", &open("a", 20, 2)).await;
    assert_eq!(served.status(), StatusCode::UPGRADE_REQUIRED);
    assert!(!served.headers().contains_key("payment-receipt"));
    let managed = reader_of_plain_paywall(&press).show("POST", &voucher("a", 4)).await;
    assert_eq!(figures(&json!(receipt(&managed))).1, 0);
}

fn reader_of_plain_paywall(press: &Press) -> Reader {
    let paywall = press.sells("2 coin per word").metered().layer().unwrap();
    Reader::of(Router::new().route("/words", paywall.guard(get(words))))
}
