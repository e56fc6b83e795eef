//! A card's 402, and its charge at a Stripe of this machine that answers at once: ours, the peer's, and the bare call.

use std::{cell::Cell, error::Error, future::IntoFuture, sync::Arc, thread, time::Instant};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use mpp_core::{
    Challenge, Credential, Realm,
    fate::Fate,
    opaque::Opaque,
    store::Memory,
    time::Clock,
    transport::{Http, Resource, read_challenges, read_credential},
    verifier::Verifier as _,
};
use mpp_server::{Gate, Paid, clock::SystemClock};
use mpp_stripe::{
    Api, Currency, SecretKey, StripeCharge, TEST_NETWORK,
    charge::{Payload, Verifier},
};
use peer::{
    ChargeRequest, PaymentChallenge, PaymentCredential, format_authorization, parse_authorization,
    server::{
        Mpp, StripeChargeMethod, StripeChargeOptions, StripeConfig,
        axum::{ChargeChallenger, ChargeConfig, MppCharge, WithReceipt},
        stripe,
    },
};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};
use tower::ServiceExt;

use crate::{
    inprocess::{FREE, free, runtime, sending},
    interleaved::{Effort, Side, least, per_call},
    ours::{PATH, REALM, SECRET, keys, unpaid},
    row::Row,
};

type Failure = Box<dyn Error>;

const KEY: &str = "sk_test_bench";
/// What Stripe says of a dollar.
const TAKEN: &str = r#"{"object":"payment_intent","id":"pi_bench","status":"succeeded","amount":100,"amount_received":100,"currency":"usd"}"#;

/// Measures, one after the other. What is missing for it is named in place of the figures.
pub fn rows(effort: Effort) -> Vec<Row> {
    measured(effort).unwrap_or_else(|why| vec![Row::missing(format!("cards ({why})"))])
}

fn measured(effort: Effort) -> Result<Vec<Row>, Failure> {
    let url = till()?;
    let (runtime, floor) = (runtime(), free());
    let shop = Arc::new(shop(&url)?);
    let (ours, peers) = (ours(&shop)?, Peers::at(&url)?);
    let (asked, served) = (StatusCode::PAYMENT_REQUIRED, StatusCode::OK);
    let app = peers.app();
    let [mine, theirs, without] = least(
        effort,
        [
            sending(effort, &runtime, &ours, asked, || unpaid(PATH)),
            sending(effort, &runtime, &app, asked, || unpaid(PATH)),
            sending(effort, &runtime, &floor, served, || unpaid(FREE)),
        ],
    );
    let asking = Row::cost("402 by card through axum", "ns", mine, theirs).over(without);

    // A call takes as long as dozens of challenges do.
    let effort = Effort { requests: effort.requests / 8, ..effort };
    let template = template(&runtime, &ours)?;
    let realm = Realm::parse(REALM)?;
    let expected = peers.issue().request.decode::<ChargeRequest>()?;
    let numbers = Cell::new(0);
    let next = || {
        numbers.set(numbers.get() + 1);
        numbers.get()
    };
    let [mine, theirs, booked, unbooked, bare] = least(
        effort,
        [
            taking(
                effort,
                &runtime,
                || paid(&template, next()),
                async |asked: Request<Body>| {
                    take(&shop, &realm, asked.headers()).await;
                },
            ),
            taking(
                effort,
                &runtime,
                || peers.paid(next()),
                async |asked: Request<Body>| {
                    peers.take(&asked.headers()[header::AUTHORIZATION], &expected).await;
                },
            ),
            sending(effort, &runtime, &ours, served, || paid(&template, next())),
            sending(effort, &runtime, &app, served, || peers.paid(next())),
            taking(effort, &runtime, || form(next()), bare(&url)?),
        ],
    );
    let charging = Row::cost("charge a card, on no books", "ns", mine, theirs).over(bare);
    let selling = Row::cost("paid request by card through axum", "ns", booked, unbooked).over(bare);
    Ok(vec![asking, charging, selling])
}

/// A side that does something with each of what was made before the clock runs.
fn taking<'a, T>(
    effort: Effort,
    runtime: &'a Runtime,
    mut make: impl FnMut() -> T + 'a,
    take: impl AsyncFn(T) + 'a,
) -> Side<'a> {
    Box::new(move || {
        let made = Vec::from_iter((0..effort.requests).map(|_| make()));
        runtime.block_on(async {
            let began = Instant::now();
            for one in made {
                take(one).await;
            }
            per_call(began.elapsed(), effort.requests)
        })
    })
}

/// A Stripe that takes every dollar, on a thread of its own.
fn till() -> Result<String, Failure> {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let json = [(header::CONTENT_TYPE, "application/json")];
    let app =
        Router::new().route("/v1/payment_intents", post(move || async move { (json, TAKEN) }));
    thread::spawn(move || runtime.block_on(axum::serve(listener, app).into_future()));
    Ok(url)
}

/// Our method.
fn shop(url: &str) -> Result<Verifier, Failure> {
    let api = Api::new(&SecretKey::new(KEY)?)?.at(url)?;
    Ok(Verifier::new(api, TEST_NETWORK, Currency::USD)?.payment_methods(["card"])?)
}

/// From a header to a charge, by the steps of the gate; nobody books it.
async fn take(shop: &Verifier, realm: &Realm, headers: &HeaderMap) {
    let credential = read_credential(headers, None).expect("it can be read");
    let known = keys().recognise(credential.expect("there is one"), realm).expect("it is ours");
    known.fits(&Resource::at(format!("GET {PATH}"))).expect("it is for this route");
    let admitted = known.admit(&SystemClock::new().now()).expect("in time");
    let claim = admitted.claim::<StripeCharge>().expect("of this method");
    let evidence = shop.check(&claim).await.expect("it can be charged");
    assert!(matches!(shop.settle(&evidence).await, Fate::Settled(_)), "it is charged");
}

/// Our application, with one route that costs a dollar by card, over a store in memory.
fn ours(shop: &Arc<Verifier>) -> Result<Router, Failure> {
    let gate = Gate::builder(Memory::volatile()).realm(REALM).secret(SECRET).build()?;
    let paywall = gate.charge("1 usd")?.via(shop).layer()?;
    Ok(Router::new().route(PATH, get(|_: Paid| async { "ok" }).layer(paywall)))
}

/// A challenge of the route's own.
fn template(runtime: &Runtime, app: &Router) -> Result<Challenge, Failure> {
    let answer = runtime.block_on(app.clone().oneshot(unpaid(PATH)))?;
    Ok(read_challenges(answer.headers()).pop().ok_or("nothing is asked")?)
}

/// A request that pays a challenge of its own by a token of its own.
fn paid(template: &Challenge, number: u64) -> Request<Body> {
    let mut draft = template.to_draft();
    draft.opaque = Some(Opaque::bind(&u128::from(number).to_be_bytes(), &format!("GET {PATH}")));
    let challenge = keys().seal(draft);
    let demand = challenge.read::<StripeCharge>().expect("the challenge is ours");
    let payload = Payload { spt: token(number), external_id: None };
    let credential = Credential::answer(&demand, None, &payload).expect("a payload is an object");
    let mut request = unpaid(PATH);
    Http::put_credential_in(request.headers_mut(), &credential).expect("no header is named");
    request
}

fn token(number: u64) -> String {
    format!("spt_{number:026}")
}

/// The peer's side.
struct Peers(Mpp<StripeChargeMethod>);

/// The price of its route.
struct Dollar;

impl ChargeConfig for Dollar {
    fn amount() -> &'static str {
        "1.00"
    }
}

impl Peers {
    fn at(url: &str) -> Result<Self, Failure> {
        let config = StripeConfig {
            secret_key: KEY,
            network_id: TEST_NETWORK,
            payment_method_types: &["card"],
            currency: "usd",
            decimals: 2,
        };
        let config = stripe(config).realm(REALM).secret_key(SECRET).stripe_api_base(url);
        Ok(Self(Mpp::create_stripe(config)?))
    }

    fn app(&self) -> Router {
        let state: Arc<dyn ChargeChallenger> = Arc::new(self.0.clone());
        let handler = |charge: MppCharge<Dollar>| async {
            WithReceipt { receipt: charge.receipt, body: "ok" }
        };
        Router::new().route(PATH, get(handler)).with_state(state)
    }

    fn issue(&self) -> PaymentChallenge {
        let scope = json!({ "route": PATH, "resource": PATH });
        let options = StripeChargeOptions { mppx_scope: Some(&scope), ..Default::default() };
        self.0.stripe_charge_with_options("1.00", options).expect("a dollar can be charged")
    }

    /// From a header to a charge, for what the route is known to expect.
    async fn take(&self, field: &HeaderValue, expected: &ChargeRequest) {
        let credential = parse_authorization(field.to_str().expect("base64url")).expect("read");
        let taken = self.0.verify_credential_with_expected_request(&credential, expected).await;
        taken.expect("it is charged");
    }

    /// A request that pays a challenge of its own by a token of its own.
    fn paid(&self, number: u64) -> Request<Body> {
        let payload = json!({ "spt": token(number) });
        let credential = PaymentCredential::new(self.issue().to_echo(), payload);
        let credential = format_authorization(&credential).expect("a payload is JSON");
        let mut request = unpaid(PATH);
        let value = HeaderValue::try_from(credential).expect("base64url");
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request
    }
}

/// The form of a charge, and its key.
fn form(number: u64) -> (String, String) {
    let (id, token) = ("a".repeat(43), token(number));
    let form = format!(
        "amount=100&automatic_payment_methods%5Ballow_redirects%5D=never&automatic_payment_methods%5Benabled%5D=true&confirm=true\
         &currency=usd&shared_payment_granted_token={token}&metadata%5Bmachine_payment%5D=true&metadata%5Bmpp_sdk%5D=bench\
         &metadata%5Bmpp_intent%5D=charge&metadata%5Bmpp_challenge_id%5D={id}"
    );
    (form, format!("mpp_{id}_{token}"))
}

/// The one call that a charge cannot do without.
fn bare(url: &str) -> Result<impl AsyncFn((String, String)), Failure> {
    let client = reqwest::Client::builder().build()?;
    let url = format!("{url}/v1/payment_intents");
    Ok(async move |(form, key): (String, String)| {
        let call = client.post(&url).header("authorization", "Basic c2tfdGVzdF9iZW5jaDo=");
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let answer = call.header("idempotency-key", key).body(form).send().await;
        let body = answer.expect("it answers").bytes().await.expect("to the end");
        assert_eq!(body.len(), TAKEN.len());
    })
}
