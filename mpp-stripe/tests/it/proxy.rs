//! A token proxy: whatever a caller says, a token is good for what a sealed challenge asks and for nothing else.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, request::Parts},
};
use mpp_core::{
    Challenge, Encoded, Realm, Timestamp,
    binding::Keys,
    name::{IntentName, MethodName},
    transport::write_challenge,
};
use mpp_stripe::{
    Api, Currency, SecretKey,
    proxy::TokenProxy,
    token::{ApiTokens, PaymentMethod, Wanted},
};
use mpp_testkit::stripe::Fault;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    log::Log,
    stage::{GRANT, SECRET, Stage, seal},
};

const CARD: &str = "pm_card_visa";

fn closed(stage: &Stage) -> TokenProxy {
    TokenProxy::new(stage.issuer(), Keys::new(SECRET).unwrap(), Realm::parse("shop").unwrap())
}

fn open(stage: &Stage) -> Router {
    closed(stage).allowing([CARD, "pm_nobodys", "pm_card_chargeDeclined"]).unwrap().router("/spt")
}

struct Told {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn reason(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        (self.status, self.json()["reason"].as_str().unwrap().to_owned())
    }
}

async fn send(app: &Router, request: Request<Body>) -> Told {
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 100_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    Told { status: head.status.as_u16(), headers: head.headers, text }
}

fn posting(body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/spt").header("content-type", "application/json; charset=utf-8");
    request.body(body.into()).unwrap()
}

async fn post(app: &Router, body: &Value) -> Told {
    send(app, posting(body.to_string())).await
}

fn asking(challenge: &Challenge) -> Value {
    json!({ "challenge": challenge, "paymentMethod": CARD })
}

/// As mppx's pages have a challenge: its request decoded.
fn decoded(challenge: &Challenge) -> Value {
    let mut object = json!(challenge);
    object["request"] = challenge.request.decode().unwrap();
    object
}

#[tokio::test]
async fn a_challenge_in_any_of_its_forms_is_given_one_token_for_its_asker_alone() {
    let stage = Stage::new().await;
    let (app, challenge) = (open(&stage), stage.challenge());
    let field = write_challenge(&challenge).unwrap().to_str().unwrap().to_owned();
    let other = seal(|draft| draft.method = MethodName::from_static("tempo"));
    let two = format!("{}, {field}", write_challenge(&other).unwrap().to_str().unwrap());
    let mut tokens = Vec::new();
    for form in [json!(field), json!(two), json!(challenge), decoded(&challenge)] {
        let told = post(&app, &json!({ "challenge": form, "paymentMethod": CARD })).await;
        assert_eq!(told.status, 200, "{}", told.text);
        assert_eq!(told.headers["cache-control"], "no-store");
        assert_eq!(told.headers["content-type"], "application/json");
        tokens.push(told.json());
    }
    let spt = stage.sim.objects("shared_payment.granted_token")[0]["id"].clone();
    assert_eq!(tokens, vec![json!({ "spt": spt }); 4]);
    assert_eq!(stage.tokens(), 1);
}

/// What mppx 0.11.0's client hands to `createToken`, which its pages post as it is; recorded, for a challenge it made itself.
const POSTED: &str = r#"{"amount":"5000","challenge":{"description":"hi","expires":"2099-01-01T00:00:00.000Z","id":"zEoAKM8mI2xGHhVGUXTAKXXSVv89qaYbx_wT3r48Mtk","intent":"charge","method":"stripe","opaque":"eyJrIjoidiJ9","realm":"api.example.com","request":{"amount":"5000","currency":"usd","externalId":"order-1","methodDetails":{"metadata":{"plan":"pro"},"networkId":"internal","paymentMethodTypes":["card"]}}},"client":{"_apiKey":"pk_test_x"},"currency":"usd","expiresAt":4070908800,"metadata":{"plan":"pro"},"networkId":"internal","paymentMethod":"pm_card_visa"}"#;

#[tokio::test]
async fn what_a_page_of_a_deployed_peer_posts_is_taken() {
    let stage = Stage::new().await;
    let keys = Keys::new("test-secret-key-test-secret-key-32").unwrap();
    let proxy = TokenProxy::new(stage.issuer(), keys, Realm::parse("api.example.com").unwrap());
    let told = send(&proxy.allowing([CARD]).unwrap().router("/spt"), posting(POSTED)).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let token = &stage.sim.objects("shared_payment.granted_token")[0];
    assert_eq!(told.json()["spt"], token["id"]);
    let limits = json!({ "currency": "usd", "expires_at": 4_070_908_800_i64, "max_amount": 5000 });
    assert_eq!(token["usage_limits"], limits);
}

#[tokio::test]
async fn no_figure_of_the_callers_own_gets_into_a_token() {
    let stage = Stage::new().await;
    let challenge = stage.challenge();
    let posted = json!({
        "amount": "1", "currency": "eur", "expiresAt": 4_070_908_800_i64, "networkId": "profile_thief",
        "metadata": { "plan": "free" }, "client": { "_apiKey": "pk_test_x" }, "paymentMethod": CARD,
        "challenge": decoded(&challenge),
    });
    assert_eq!(post(&open(&stage), &posted).await.status, 200);
    let calls = stage.calls(GRANT);
    let fields = ["usage_limits[max_amount]", "usage_limits[currency]", "usage_limits[expires_at]"];
    let end = challenge.expires.as_ref().unwrap().unix_seconds().to_string();
    assert_eq!(fields.map(|name| calls[0].field(name).unwrap()), ["50", "usd", &end]);
    assert_eq!(calls[0].field("seller_details[network_id]"), Some(stage.sim.network_id()));
    assert_eq!(calls[0].field("metadata[plan]"), Some("pro"));
}

#[tokio::test]
async fn what_is_not_a_challenge_of_ours_that_lives_is_given_nothing() {
    let stage = Stage::new().await;
    let app = open(&stage);
    let good = stage.challenge();
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut object = decoded(&good);
        change(&mut object);
        json!({ "challenge": object, "paymentMethod": CARD })
    };
    let foreign_keys = Keys::new("the secret of somebody else entirely").unwrap();
    let foreign = foreign_keys.seal(good.to_draft());
    let ours = |change: &dyn Fn(&mut mpp_core::Draft)| {
        let mut draft = good.to_draft();
        change(&mut draft);
        asking(&Keys::new(SECRET).unwrap().seal(draft))
    };
    let past = Timestamp::from_unix(stage.sim.now() - 1, 0);
    let cases = [
        (asking(&foreign), 402, "not-ours"),
        (altered(&|c| c["request"]["amount"] = json!("51")), 402, "not-ours"),
        (altered(&|c| c["request"]["currency"] = json!("jpy")), 402, "not-ours"),
        (
            altered(&|c| c["request"]["methodDetails"]["networkId"] = json!("profile_thief")),
            402,
            "not-ours",
        ),
        (altered(&|c| c["expires"] = json!("2099-01-01T00:00:00Z")), 402, "not-ours"),
        (altered(&|c| c["realm"] = json!("elsewhere")), 402, "not-ours"),
        (ours(&|d| d.realm = Realm::parse("elsewhere").unwrap()), 402, "wrong-realm"),
        (ours(&|d| d.expires = Some(past.clone())), 402, "expired"),
        (ours(&|d| d.expires = None), 402, "no-expiry"),
        (ours(&|d| d.method = MethodName::from_static("tempo")), 400, "not-offered"),
        (ours(&|d| d.intent = IntentName::from_static("session")), 400, "not-offered"),
        (
            ours(&|d| d.request = Encoded::of(&json!({ "amount": "50" })).unwrap()),
            400,
            "unreadable",
        ),
        (asking(&stage.asking(json!({ "amount": "0" }))), 400, "unpayable-terms"),
        (asking(&stage.asking(json!({ "currency": "USD" }))), 400, "unpayable-terms"),
        (
            asking(&stage.asking(json!({ "methodDetails": {
            "networkId": "", "paymentMethodTypes": ["card"] } }))),
            400,
            "unpayable-terms",
        ),
    ];
    for (body, status, reason) in cases {
        let told = post(&app, &body).await;
        assert_eq!(told.reason(), (status, reason.to_owned()), "{body}");
        assert!(told.headers.get("www-authenticate").is_none());
    }
    assert!(stage.sim.calls().is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anybody_is_asked() {
    let stage = Stage::new().await;
    let app = open(&stage);
    let good = asking(&stage.challenge());
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    let cases = [
        (String::new(), 400),
        ("null".to_owned(), 400),
        ("[".repeat(5000), 400),
        (json!({ "paymentMethod": CARD }).to_string(), 400),
        (json!({ "challenge": stage.challenge() }).to_string(), 400),
        (with("challenge", json!(null)), 400),
        (with("challenge", json!(3)), 400),
        (with("challenge", json!([])), 400),
        (with("challenge", json!({})), 400),
        (with("challenge", json!("Basic realm=x")), 400),
        (with("challenge", json!("Payment id=\"")), 400),
        (with("paymentMethod", json!(null)), 400),
        (with("paymentMethod", json!("pm_1&usage_limits[max_amount]=1")), 400),
        (with("paymentMethod", json!("sk_live_x")), 400),
        (with("client", json!("x".repeat(64 * 1024))), 413),
    ];
    for (body, status) in cases {
        let start: String = body.chars().take(80).collect();
        assert_eq!(send(&app, posting(body)).await.reason().0, status, "{start}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let request = Request::post("/spt").header("content-type", kind);
        let told = send(&app, request.body(good.to_string().into()).unwrap()).await;
        assert_eq!(told.reason(), (415, "unreadable".to_owned()), "{kind}");
    }
    let get = Request::get("/spt").body(Body::empty()).unwrap();
    assert_eq!(send(&app, get).await.status, 405);
    assert!(stage.sim.calls().is_empty());
}

#[tokio::test]
async fn nobody_pays_by_anything_until_somebody_says_so() {
    let stage = Stage::new().await;
    let signed_in = async |head: Parts, _, _| head.headers.contains_key("cookie");
    let cases = [
        (closed(&stage), false, false),
        (closed(&stage).allowing([]).unwrap(), false, false),
        (closed(&stage).allowing(["pm_card_mastercard"]).unwrap(), false, false),
        (closed(&stage).allowing([CARD]).unwrap(), true, true),
        (closed(&stage).authorizing(signed_in), false, true),
        (closed(&stage).authorizing(signed_in).allowing([CARD]).unwrap(), false, true),
        (closed(&stage).authorizing(signed_in).allowing([]).unwrap(), false, false),
        (
            closed(&stage).authorizing(async |_, method: PaymentMethod, _| method.as_str() == CARD),
            true,
            true,
        ),
    ];
    for (at, (proxy, stranger, guest)) in cases.into_iter().enumerate() {
        let app = proxy.router("/spt");
        for (cookie, given) in [(false, stranger), (true, guest)] {
            let mut request = posting(asking(&stage.challenge()).to_string());
            if cookie {
                request.headers_mut().insert("cookie", "session=1".parse().unwrap());
            }
            let told = send(&app, request).await;
            if given {
                assert_eq!(told.status, StatusCode::OK, "{at}");
            } else {
                assert_eq!(told.reason(), (403, "payment-method-not-allowed".to_owned()), "{at}");
            }
        }
    }
    assert!(closed(&stage).allowing(["card"]).is_err());
}

#[tokio::test]
async fn what_stripe_says_is_told_by_kind_and_without_a_secret() {
    let stage = Stage::new().await;
    let app = open(&stage);
    let key = stage.sim.secret_key().to_owned();
    let (log, _listening) = Log::listen();
    let card =
        json!({ "error": { "type": "card_error", "code": "card_declined", "message": key } });
    let auth = json!({ "error": { "type": "invalid_request_error", "message": key } });
    let faults = [
        (Fault::ServerError, 502, "no-token"),
        (Fault::AnswerLost, 502, "no-token"),
        (Fault::RateLimited, 502, "no-token"),
        (Fault::Garbage(200, format!("{{\"id\":\"{key}\"}}")), 502, "no-token"),
        (Fault::Garbage(401, auth.to_string()), 502, "no-token"),
        (Fault::Garbage(402, card.to_string()), 402, "declined"),
        (
            Fault::Garbage(200, json!({ "id": "spt_x", "status": "requires_action" }).to_string()),
            402,
            "action-required",
        ),
    ];
    for (at, (fault, status, reason)) in faults.into_iter().enumerate() {
        stage.sim.next(fault.clone());
        let challenge = stage.asking(json!({ "externalId": at.to_string() }));
        let told = post(&app, &asking(&challenge)).await;
        assert_eq!(told.reason(), (status, reason.to_owned()), "{fault:?}");
        assert!(!told.text.contains(&key) && !told.text.contains("spt_"), "{}", told.text);
    }
    let logged = log.text();
    assert_eq!(logged.matches("a token proxy had no token to give").count(), 7, "{logged}");
    assert!(logged.contains("card_declined"), "{logged}");
    assert!(!logged.contains(&key) && !logged.contains("spt_"), "{logged}");
    // The same challenge may be asked for again.
    assert_eq!(post(&app, &asking(&stage.challenge())).await.status, 200);
    let unknown = json!({ "challenge": stage.challenge(), "paymentMethod": "pm_nobodys" });
    let told = post(&app, &unknown).await;
    assert_eq!(told.reason(), (400, "payment-method-not-usable".to_owned()));
}

#[tokio::test]
async fn a_key_of_before_still_tells_its_challenges() {
    let stage = Stage::new().await;
    let keys = Keys::new("a newer secret of thirty-two bytes").unwrap();
    let realm = Realm::parse("shop").unwrap();
    let proxy = |keys| {
        let proxy = TokenProxy::new(Arc::new(stage.issuer()), keys, realm.clone());
        proxy.allowing([CARD]).unwrap().router("/spt")
    };
    let body = asking(&stage.challenge());
    assert_eq!(post(&proxy(keys.clone()), &body).await.reason(), (402, "not-ours".to_owned()));
    let both = keys.and_previous(SECRET).unwrap();
    assert_eq!(post(&proxy(both), &body).await.status, 200);
}

#[tokio::test]
async fn what_a_user_may_spend_is_bounded_by_what_a_token_would_be_good_for() {
    let stage = Stage::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    // Alice has a dollar left, for this seller alone.
    let seller = stage.sim.network_id().to_owned();
    let bounded = move |head: Parts, method: PaymentMethod, wanted: Wanted| {
        let alice = head.headers.get("cookie").is_some_and(|it| it == "alice");
        let ours = wanted.network_id == seller && wanted.currency == Currency::USD;
        let within = wanted.amount.get() <= 100 && method.as_str() == CARD;
        assert_eq!(wanted.payment_method.as_ref(), Some(&method));
        sees.lock().unwrap().push(wanted.challenge);
        std::future::ready(alice && ours && within)
    };
    let app = closed(&stage).authorizing(bounded).router("/spt");
    let cases = [
        (json!({}), "alice", 200),
        (json!({}), "bob", 403),
        (json!({ "amount": "100" }), "alice", 200),
        (json!({ "amount": "101" }), "alice", 403),
        (json!({ "currency": "eur" }), "alice", 403),
    ];
    let mut asked = Vec::new();
    for (change, who, status) in cases {
        let challenge = stage.asking(change.clone());
        let mut request = posting(asking(&challenge).to_string());
        request.headers_mut().insert("cookie", who.parse().unwrap());
        assert_eq!(send(&app, request).await.status, status, "{change} {who}");
        asked.push(challenge);
    }
    assert_eq!(*seen.lock().unwrap(), asked);
    assert_eq!(stage.tokens(), 2);
}

/// A body of which no byte comes.
struct Never;

impl futures_core::Stream for Never {
    type Item = Result<Vec<u8>, std::io::Error>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let (keys, realm) = (Keys::new(SECRET).unwrap(), Realm::parse("shop").unwrap());
    // Of a Stripe that nobody can reach: it is not asked.
    let api = Api::new(&SecretKey::new("sk_test_x").unwrap()).unwrap().at("http://127.0.0.1:1");
    let proxy = TokenProxy::new(ApiTokens::new(api.unwrap()), keys, realm);
    let app = proxy.allowing([CARD]).unwrap().router("/spt");
    let told = send(&app, posting(Body::from_stream(Never))).await;
    assert_eq!(told.reason(), (408, "unreadable".to_owned()));
}
