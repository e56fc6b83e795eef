//! Any bytes in any header or body: a 4xx with its problem, never a panic, a 500, or a settlement.

use axum::{Router, body::Body, http::Request, routing};
use http::HeaderValue;
use mpp_core::encoded;
use proptest::prelude::*;
use tower::ServiceExt;

use crate::booth::{Booth, Heard, answer, gate, with};

fn shop() -> (Router, std::sync::Arc<Booth>) {
    let (gate, _) = gate();
    let booth = Booth::new();
    let wall = gate.charge("1 coupon").unwrap().via(&booth).layer().unwrap().bind_body(4096);
    (Router::new().route("/a", routing::any(|| async { "a" }).layer(wall)), booth)
}

fn ask(authorization: Option<HeaderValue>, body: Vec<u8>) -> Request<Body> {
    let mut request =
        Request::post("/a").header("host", "127.0.0.1").body(Body::from(body)).unwrap();
    request.headers_mut().extend(authorization.map(|v| (http::header::AUTHORIZATION, v)));
    request
}

fn heard(app: &Router, request: Request<Body>) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Heard::from(app.clone().oneshot(request).await.unwrap()).await })
}

fn check(heard: &Heard, booth: &Booth) {
    assert!(heard.status.is_client_error(), "{}: {}", heard.code(), heard.body);
    assert_eq!((booth.taken(), heard.has_receipt()), (0, false));
    assert_eq!(heard.headers["content-type"], "application/problem+json");
    assert!(heard.code() != 402 || !heard.challenges().is_empty());
}

#[test]
fn s12_malformed_credentials_are_402_and_several_are_400() {
    let (app, booth) = shop();
    let long = format!("Payment {}", "A".repeat(64 * 1024 + 1));
    for (value, status) in [
        ("Payment dGhpcyBpcyBnYXJiYWdl", 402),
        ("Payment", 402),
        ("Payment !!!", 402),
        ("Payment e30", 402),
        ("Payment W10", 402),
        (&*long, 402),
        ("Payment e30, Payment e30", 400),
        ("Bearer x", 402),
    ] {
        let answer = heard(&app, ask(Some(HeaderValue::from_str(value).unwrap()), vec![]));
        check(&answer, &booth);
        assert_eq!(answer.code(), status, "{}", &value[..value.len().min(40)]);
    }
}

#[test]
fn s4_a_refusal_shows_nothing_of_the_credential() {
    let (app, booth) = shop();
    let challenge = heard(&app, ask(None, vec![])).challenge();
    let refused = heard(&app, with(ask(None, vec![]), &answer(&challenge, "hunter2")));
    check(&refused, &booth);
    assert!(!refused.body.contains("hunter2"));
}

#[test]
fn s13_a_credential_of_every_length_is_answered_in_linear_time() {
    let (app, booth) = shop();
    for token in ["\"", ",", "Payment ", "Payment,", "=", "\\\""] {
        let value = format!("Payment {}", token.repeat(60_000 / token.len()));
        check(&heard(&app, ask(HeaderValue::from_str(&value).ok(), vec![])), &booth);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_authorization_and_body_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), body: Vec<u8>) {
        let (app, booth) = shop();
        check(&heard(&app, ask(HeaderValue::from_bytes(&bytes).ok(), body)), &booth);
    }

    #[test]
    fn any_json_in_a_credential_is_refused(json in ".{0,120}", payload in "[a-z{}:\"0-9,]{0,30}") {
        let (app, booth) = shop();
        let challenge = heard(&app, ask(None, vec![])).challenge();
        let ours = serde_json::to_string(&challenge).unwrap();
        for text in [json.clone(), format!("{{\"challenge\":{ours},\"payload\":{payload}}}"), format!("{{\"challenge\":{ours},\"payload\":{{\"code\":{json:?}}}}}")] {
            // A coupon of the book would be money; everything else is refused.
            prop_assume!(!json.starts_with('b'));
            let value = HeaderValue::from_str(&format!("Payment {}", encoded::encode(text.as_bytes()))).unwrap();
            check(&heard(&app, ask(Some(value), vec![])), &booth);
        }
    }
}
