//! A route with three methods over HTTP: who pays by which, and whose `Authorization` it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, map_response},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use mpp_client::{Error, Limits, ResponseExt, Wallet, error::Kind, paying};
use mpp_core::{
    payer::{Funds, PayError},
    store::Memory,
    transport::{PAYMENT_AUTHORIZATION, read_challenges},
};
use mpp_server::{Gate, Paid, tower::Selling};
use mpp_testkit::{
    rail::{CouponCharge, Step},
    stall::{Purse, Stall, StampCharge, TokenCharge},
};
use reqwest_middleware::ClientWithMiddleware;

/// A shop that takes coupons (a dollar each), tokens and stamps.
struct Shop {
    gate: Gate,
    coupon: Arc<Stall<CouponCharge>>,
    token: Arc<Stall<TokenCharge>>,
    stamp: Arc<Stall<StampCharge>>,
}

impl Shop {
    fn new() -> Self {
        let secret = "a secret of at least thirty-two bytes";
        let gate = Gate::builder(Memory::volatile()).realm("127.0.0.1").secret(secret);
        Self {
            gate: gate.build().unwrap(),
            coupon: Arc::new(Stall::new("usd", 0)),
            token: Arc::new(Stall::new("usd", 2)),
            stamp: Arc::new(Stall::new("usd", 2).at_least(50)),
        }
    }

    /// Fifty cents; a coupon is a dollar whatever it buys, and stamps are dearer.
    fn selling(&self) -> Selling<mpp_core::Charge> {
        let selling = self.gate.charge("0.50 usd").unwrap();
        selling
            .via_at(&self.coupon, "1 usd".parse().unwrap())
            .via(&self.token)
            .via_at(&self.stamp, "0.60 usd".parse().unwrap())
    }

    /// What was taken: coupons, tokens, stamps.
    fn taken(&self) -> [usize; 3] {
        [self.coupon.rail().taken(), self.token.rail().taken(), self.stamp.rail().taken()]
    }
}

/// Which credentials came in which header, and the application's own words with them.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<HeaderMap>>>);

impl Log {
    fn of(&self, router: Router) -> Router {
        let log = self.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            log.0.lock().unwrap().push(request.headers().clone());
            next.run(request)
        }))
    }

    /// The values of a header, request by request.
    fn values(&self, name: HeaderName) -> Vec<Option<String>> {
        let text = |headers: &HeaderMap| Some(headers.get(&name)?.to_str().unwrap().to_owned());
        self.0.lock().unwrap().iter().map(text).collect()
    }

    /// How many requests carried a credential in `Payment-Authorization`.
    fn paid(&self) -> usize {
        self.values(PAYMENT_AUTHORIZATION).iter().flatten().count()
    }
}

async fn open(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{at}")
}

/// Serves the name of the method that paid.
async fn by(paid: Paid) -> String {
    paid.method.method.as_str().to_owned()
}

fn purse() -> (Purse<CouponCharge>, Purse<TokenCharge>, Purse<StampCharge>) {
    (Purse::new("usd", 0), Purse::new("usd", 2), Purse::new("usd", 2))
}

fn client(wallet: Wallet) -> ClientWithMiddleware {
    paying(reqwest::Client::builder().no_proxy(), wallet).unwrap()
}

fn three(up_to: &str) -> Wallet {
    let (coupons, tokens, stamps) = purse();
    // No order of its own: payers are no preference.
    Wallet::new(Limits::usd(up_to).unwrap()).payer(stamps).payer(tokens).payer(coupons)
}

async fn bought(client: &ClientWithMiddleware, url: &str) -> String {
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let method = response.receipt().unwrap().method.as_str().to_owned();
    assert_eq!(response.text().await.unwrap(), method, "the receipt is its method's");
    method
}

#[tokio::test]
async fn a_route_of_three_methods_is_paid_by_the_one_the_wallet_would_rather() {
    let shop = Shop::new();
    let wall = shop.selling().layer().unwrap();
    let url = open(Router::new().route("/joke", get(by).layer(wall))).await + "/joke";
    let cases: [(&str, &[&str], &str); 6] = [
        // The server's order, where the wallet has none.
        ("1", &[], "coupon"),
        ("1", &["stamp", "token"], "stamp"),
        ("1", &["nothing", "token/charge"], "token"),
        // The policy first: what it denies hides nothing.
        ("0.99", &[], "token"),
        ("0.99", &["coupon", "stamp"], "stamp"),
        ("0.55", &["coupon", "stamp"], "token"),
    ];
    let mut taken = [0; 3];
    for (up_to, prefer, expected) in cases {
        let client = client(three(up_to).prefer(prefer.iter().copied()));
        assert_eq!(bought(&client, &url).await, expected, "{up_to} {prefer:?}");
        let at = ["coupon", "token", "stamp"].iter().position(|method| *method == expected);
        taken[at.unwrap()] += 1;
        assert_eq!(shop.taken(), taken);
    }
    let e = client(three("0.49")).get(&url).send().await.unwrap_err();
    assert!(matches!(Error::from_reqwest(&e).unwrap().kind(), Kind::Denied(_)));
    assert_eq!(shop.taken(), taken);
}

#[tokio::test]
async fn a_payer_that_fails_gives_way_within_the_request_and_one_in_doubt_does_not() {
    let shop = Shop::new();
    let wall = shop.selling().layer().unwrap();
    let log = Log::default();
    let app = Router::new().route("/joke", get(by).layer(wall));
    let url = open(log.of(app)).await + "/joke";
    let (coupons, tokens, stamps) = purse();
    // A dollar an hour: what the first would have cost must be given back before the second can be paid.
    let hour = std::time::Duration::from_secs(3600);
    let limits = Limits::usd("1").unwrap().per_host("1", hour).unwrap();
    let wallet = Wallet::new(limits).payer(coupons.clone()).payer(tokens.clone());
    let client = client(wallet.payer(stamps.clone()).prefer(["coupon", "stamp", "token"]));
    coupons.fails(PayError::untouched("the issuer declined"));
    assert_eq!(bought(&client, &url).await, "stamp");
    assert_eq!(
        (log.values(header::AUTHORIZATION).iter().flatten().count(), shop.taken()),
        (1, [0, 0, 1])
    );
    // Forty cents are left: neither a coupon nor anything else is allowed.
    let denied = client.get(&url).send().await.unwrap_err();
    assert!(matches!(Error::from_reqwest(&denied).unwrap().kind(), Kind::Denied(_)));

    let wallet =
        Wallet::new(Limits::usd("1").unwrap()).payer(coupons.clone()).payer(tokens.clone());
    coupons.fails(PayError::unknown("the issuer does not answer"));
    let e = paying(reqwest::Client::builder().no_proxy(), wallet)
        .unwrap()
        .get(&url)
        .send()
        .await
        .unwrap_err();
    let e = Error::from_reqwest(&e).unwrap();
    assert!(matches!((e.kind(), e.funds()), (Kind::Payer, Funds::Unknown)));
    assert_eq!((tokens.paid(), shop.taken()), (0, [0, 0, 1]));
}

/// Puts all challenges into one field, with the application's own schemes around and between.
async fn folded(mut response: Response) -> Response {
    let fields: Vec<String> = response
        .headers()
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .map(|field| field.to_str().unwrap().to_owned())
        .collect();
    if fields.is_empty() {
        return response;
    }
    let apart = fields.join(", Basic realm=\"a, Payment id=\\\"x\\\"\", ");
    let all = format!("Bearer realm=\"app\", error=\"invalid_token\", {apart}, Negotiate");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, all.parse().unwrap());
    response
        .headers_mut()
        .append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Digest nonce=\"n\""));
    response
}

#[tokio::test]
async fn challenges_in_one_field_among_other_schemes_are_paid_as_in_many() {
    let shop = Shop::new();
    let wall = shop.selling().layer().unwrap();
    let app = Router::new().route("/joke", get(by).layer(wall)).layer(map_response(folded));
    let url = open(app).await + "/joke";
    let asked = reqwest::get(&url).await.unwrap();
    assert_eq!(
        (asked.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), asked.status().as_u16()),
        (2, 402)
    );
    let methods: Vec<_> =
        read_challenges(asked.headers()).iter().map(|c| c.method.as_str().to_owned()).collect();
    assert_eq!(methods, ["coupon", "token", "stamp"]);
    for method in ["stamp", "token", "coupon"] {
        assert_eq!(bought(&client(three("1").prefer([method])), &url).await, method);
    }
    assert_eq!(shop.taken(), [1, 1, 1]);
}

/// The application's own door: a token of its users, which is none of the paywall's business.
async fn members_only(request: Request, next: Next) -> Response {
    match request.headers().get(header::AUTHORIZATION) {
        Some(token) if token == "Bearer member" => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response(),
    }
}

#[tokio::test]
async fn a_route_whose_authorization_is_the_applications_is_paid_beside_it() {
    let shop = Shop::new();
    let wall = shop.selling().in_payment_authorization().layer().unwrap();
    let seen = async |headers: HeaderMap, paid: Paid| {
        assert_eq!(headers[header::AUTHORIZATION], "Bearer member");
        assert!(headers[PAYMENT_AUTHORIZATION].is_sensitive());
        by(paid).await
    };
    let log = Log::default();
    let app = Router::new().route("/joke", get(seen).layer(wall)).layer(from_fn(members_only));
    let url = open(log.of(app)).await + "/joke";
    for method in ["coupon", "token", "stamp"] {
        let client = client(three("1").prefer([method]));
        let response = client.get(&url).bearer_auth("member").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap().as_str()),
            (200, method)
        );
        // Who is no member is not asked to pay.
        let stranger = client.get(&url).send().await.unwrap();
        assert_eq!((stranger.status().as_u16(), stranger.verdict().is_some()), (401, false));
    }
    assert_eq!((shop.taken(), log.paid()), ([1, 1, 1], 3));
    let words = log.values(header::AUTHORIZATION);
    assert!(words.iter().flatten().all(|value| value == "Bearer member"), "{words:?}");
    assert!(log.values(PAYMENT_AUTHORIZATION).iter().flatten().all(|v| v.starts_with("Payment ")));
}

#[tokio::test]
async fn a_route_that_looks_in_authorization_is_not_paid_by_who_uses_it_otherwise() {
    let shop = Shop::new();
    let wall = shop.selling().layer().unwrap();
    let log = Log::default();
    let url = open(log.of(Router::new().route("/joke", get(by).layer(wall)))).await + "/joke";
    let e = client(three("1")).get(&url).bearer_auth("member").send().await.unwrap_err();
    let e = Error::from_reqwest(&e).unwrap();
    assert!(matches!((e.kind(), e.funds()), (Kind::AuthorizationInUse, Funds::Untouched)), "{e}");
    assert_eq!((shop.taken(), shop.token.rail().asked(Step::Check)), ([0; 3], 0));
    assert_eq!(log.values(header::AUTHORIZATION), [Some("Bearer member".to_owned())]);
}

#[tokio::test]
async fn a_payment_beside_an_authorization_goes_nowhere_else() {
    let stolen = Log::default();
    let thief = open(stolen.of(Router::new().fallback(async || "thank you"))).await;
    for temporary in [true, false] {
        let shop = Shop::new();
        let wall = shop.selling().in_payment_authorization().layer().unwrap();
        let to = format!("{thief}/{temporary}");
        let handler = async move |_: Paid| match temporary {
            true => Redirect::temporary(&to),
            false => Redirect::to(&to),
        };
        let log = Log::default();
        let url = open(log.of(Router::new().route("/joke", get(handler).layer(wall)))).await;
        let get = client(three("1")).get(format!("{url}/joke")).bearer_auth("member");
        let e = get.send().await.unwrap_err();
        let e = Error::from_reqwest(&e).unwrap();
        assert!(matches!(e.kind(), Kind::CrossOriginRedirect { .. }), "{e}");
        assert_ne!(e.funds(), Funds::Untouched);
        assert!(e.credential().is_some(), "it can be shown again where it was paid");
        assert_eq!((log.paid(), shop.taken()), (1, [1, 0, 0]));
    }
    assert!(stolen.0.lock().unwrap().is_empty(), "not even asked");
}
