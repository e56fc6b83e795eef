//! S14: what a client signs, for whom, and how often; against servers that ask for too much, and answers that are lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::primitives::{Address, B256};
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::any};
use mpp_client::{Error, Journal, Limits, Wallet};
use mpp_core::{
    Challenge, Draft, Encoded, Realm, Timestamp,
    binding::Keys,
    name::{IntentName, MethodName},
    payer::Funds,
    problem::{ProblemType, Reason, Rejection},
    store::Memory,
    transport::{Http, Refusal, read_credential},
};
use mpp_server::Paid;
use mpp_tempo::{
    Chain, Key,
    chain::{
        keychain::KeyKind,
        signer::{Signer, Signing},
    },
    charge::{Mode, Payer},
};
use mpp_testkit::devnet::{
    ACCOUNTS, ALPHA_USD, BETA_USD, DevAccount, PATH_USD, PAYER, RECIPIENT, SPLIT,
};
use serde_json::{Value, json};

use super::{
    faulty::{Act, Asked, Faulty},
    shop::{SECRET, client_of},
    stage::{CENT, Stage, key, seconds},
};

/// A signer that counts.
#[derive(Debug)]
struct Counting(Key, Arc<AtomicUsize>);

impl Signer for Counting {
    fn account(&self) -> Address {
        self.0.address()
    }
    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }
    fn sign(&self, hash: B256) -> Signing<'_> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Signer::sign(&self.0, hash)
    }
}

#[derive(Clone)]
struct Greedy {
    challenge: Challenge,
    shown: Arc<AtomicUsize>,
}

async fn asks(State(greedy): State<Greedy>, headers: HeaderMap) -> Response<axum::body::Body> {
    if !matches!(read_credential(&headers, None), Ok(None)) {
        greedy.shown.fetch_add(1, Ordering::SeqCst);
    }
    let detail = "Pay me.";
    let rejection = Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL, detail);
    Http::refuse(&Refusal { rejection, challenges: vec![greedy.challenge] }).map(Into::into)
}

/// A server that asks for whatever it likes.
async fn greedy(request: &Value, realm: &str) -> (String, Arc<AtomicUsize>) {
    let challenge = Keys::new(SECRET).unwrap().seal(Draft {
        realm: Realm::parse(realm).unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(request).unwrap(),
        expires: Some(Timestamp::from_unix(i64::try_from(seconds()).unwrap() + 300, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    });
    let shown = Arc::new(AtomicUsize::new(0));
    let router =
        Router::new().route("/", any(asks)).with_state(Greedy { challenge, shown: shown.clone() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{at}/"), shown)
}

fn request() -> Value {
    json!({
        "amount": CENT.to_string(), "currency": PATH_USD, "recipient": RECIPIENT.address,
        "methodDetails": { "chainId": 42431 },
    })
}

#[tokio::test]
async fn s14_nothing_is_signed_or_sent_for_who_asks_for_something_else_than_allowed() {
    let stage = Stage::new().await;
    let to = |pointer: &'static str, value: Value| {
        move |request: &mut Value| *request.pointer_mut(pointer).unwrap() = value.clone()
    };
    let detail = |name: &'static str, value: Value| {
        move |request: &mut Value| request["methodDetails"][name] = value.clone()
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let other = ACCOUNTS[5].address;
    let cases: [(&str, Change, &str); 13] = [
        ("mainnet", Box::new(to("/methodDetails/chainId", json!(4217))), "127.0.0.1"),
        ("a local chain", Box::new(to("/methodDetails/chainId", json!(1337))), "127.0.0.1"),
        (
            "a token that is no dollar",
            Box::new(to("/currency", json!("0x20c0000000000000000000000000000000000009"))),
            "127.0.0.1",
        ),
        ("no token", Box::new(to("/currency", json!(other))), "127.0.0.1"),
        ("a token that is not listed", Box::new(to("/currency", json!(ALPHA_USD))), "127.0.0.1"),
        ("another recipient", Box::new(to("/recipient", json!(other))), "127.0.0.1"),
        (
            "a share for another",
            Box::new(detail("splits", json!([{ "amount": "1", "recipient": other }]))),
            "127.0.0.1",
        ),
        ("more than the limit", Box::new(to("/amount", json!("10000001"))), "127.0.0.1"),
        (
            "more than there is",
            Box::new(to("/amount", json!("340282366920938463463374607431768211455"))),
            "127.0.0.1",
        ),
        ("itself", Box::new(to("/recipient", json!(PAYER.address))), "127.0.0.1"),
        (
            "shares of more than all",
            Box::new(detail("splits", json!([{ "amount": "10000", "recipient": SPLIT.address }]))),
            "127.0.0.1",
        ),
        (
            "a memo of another challenge",
            Box::new(detail("memo", json!(format!("0xef1ed71201{}", "11".repeat(27))))),
            "127.0.0.1",
        ),
        ("a proof for another realm", Box::new(to("/amount", json!("0"))), "bank.example.com"),
    ];
    for mode in [Mode::Pull, Mode::Push] {
        let signed = Arc::new(AtomicUsize::new(0));
        let payer = || {
            let signer = Arc::new(Counting(key(PAYER.key.hex()), signed.clone()));
            Payer::signing_with(signer, &Chain::MODERATO, stage.node.clone())
                .mode(mode.clone())
                .fees_in(BETA_USD)
                .unwrap()
                .only_in([PATH_USD])
                .unwrap()
                .only_to([RECIPIENT.address, SPLIT.address, PAYER.address])
                .unwrap()
        };
        let (before, mined) = (stage.books().await, stage.mined().await);
        for (name, change, realm) in &cases {
            let mut asked = request();
            change(&mut asked);
            let (url, shown) = greedy(&asked, realm).await;
            let client = client_of(Wallet::new(Limits::usd("10").unwrap()).payer(payer()));
            let error = client.get(url).send().await.unwrap_err();
            let error = Error::from_reqwest(&error).unwrap();
            assert_eq!(error.funds(), Funds::Untouched, "{mode:?} {name}: {error}");
            assert_eq!(signed.load(Ordering::SeqCst), 0, "{mode:?} {name}");
            assert_eq!(shown.load(Ordering::SeqCst), 0, "{mode:?} {name}");
        }
        assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    }
}

/// A wallet of whatever payer, over a journal that outlives it.
async fn journaled(store: &Arc<Memory>, payer: Payer) -> reqwest_middleware::ClientWithMiddleware {
    let journal = Journal::open(store.clone(), "w").await.unwrap();
    let limits = Limits::usd("10").unwrap().kept_in(store.clone(), "w").unwrap();
    client_of(Wallet::new(limits).payer(payer).journal(journal))
}

async fn until(what: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if what().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("did not come to pass");
}

fn pusher(account: DevAccount, line: Arc<Faulty>) -> Payer {
    Payer::new(key(account.key.hex()), &Chain::MODERATO, line)
        .mode(Mode::Push)
        .fees_in(BETA_USD)
        .unwrap()
}

#[tokio::test]
async fn s14_a_client_that_dies_after_it_pushed_shows_the_same_payment_when_it_is_back() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let store = Arc::new(Memory::volatile());
    let before = stage.books().await;
    let line = Faulty::new(&stage.node);
    line.next(Asked::Send, Act::DoesAndHangs);
    let client = journaled(&store, pusher(PAYER, line.clone())).await;
    let request = client.get(shop.url("/joke"));
    let dying = tokio::spawn(async move { request.send().await.map(drop) });
    until(async || stage.books().await.since(before)[0] != 0).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    assert_eq!((shop.served(), stage.books().await.since(before)), (0, [-10_000, 10_000, 0, 0]));
    // The next life of the same agent.
    for (expected, cents) in [(1, 10_000), (2, 20_000)] {
        let client = journaled(&store, stage.payer().mode(Mode::Push)).await;
        let response = client.get(shop.url("/joke")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap();
        assert_eq!(shop.served(), expected);
        // What was read to its end is bought anew.
        assert_eq!(stage.books().await.since(before), [-cents, cents, 0, 0]);
    }
}

#[tokio::test]
async fn s14_a_client_that_dies_while_it_waits_for_the_answer_does_not_pay_again() {
    for mode in [Mode::Pull, Mode::Push] {
        let stage = Stage::new().await;
        let held = Arc::new(tokio::sync::Semaphore::new(0));
        let runs = Arc::new(AtomicUsize::new(0));
        let (gate_, count, till) = (held.clone(), runs.clone(), Arc::new(stage.verifier()));
        let shop = stage.counter().with(|router, gate| {
            let handler = move |_: Paid| async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate_.acquire().await.unwrap().forget();
                "a long story"
            };
            let wall = gate.charge("0.01 usd").unwrap().via(&till).layer().unwrap();
            router.route("/story", any(handler).layer(wall))
        });
        let shop = shop.open().await;
        let store = Arc::new(Memory::volatile());
        let before = stage.books().await;
        let client = journaled(&store, stage.payer().mode(mode.clone())).await;
        let request = client.get(shop.url("/story"));
        let dying = tokio::spawn(async move { request.send().await.map(drop) });
        until(async || runs.load(Ordering::SeqCst) == 1).await;
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        drop(client);
        held.add_permits(10);
        let client = journaled(&store, stage.payer().mode(mode.clone())).await;
        let response = client.get(shop.url("/story")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{mode:?}");
        assert_eq!(response.text().await.unwrap(), "a long story");
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0], "{mode:?}");
    }
}

#[tokio::test]
async fn s14_an_answer_that_is_lost_on_the_way_from_the_node_is_looked_up_by_the_client() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let before = stage.books().await;
    let line = Faulty::new(&stage.node);
    line.next(Asked::Send, Act::DoesAndIsMute);
    let heard = shop.buy(pusher(PAYER, line)).await;
    assert_eq!((heard.code(), shop.served()), (200, 1));
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
}

#[tokio::test]
async fn s14_a_shop_that_takes_the_money_and_says_no_is_not_paid_again_for_the_same() {
    // Takes a signed transaction to the chain, and asks for another.
    let stage = Stage::new().await;
    let node = stage.node.clone();
    let honest = Arc::new(stage.verifier());
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let shop = stage.counter().with(|router, gate| {
        let wall = gate.charge("0.01 usd").unwrap().via(&honest).layer().unwrap();
        let inner: Router = Router::new().route("/joke", any(|_: Paid| async { "" }).layer(wall));
        router.fallback(move |request: axum::extract::Request| async move {
            use mpp_tempo::chain::rpc::Rpc;
            use tower::ServiceExt;
            let mut request = request;
            if let Ok(Some(credential)) = read_credential(request.headers(), None) {
                counted.fetch_add(1, Ordering::SeqCst);
                let bytes = super::shop::signed(&credential).encode();
                let _ = node.send(bytes.into()).await;
                request.headers_mut().remove("authorization");
            }
            inner.oneshot(request).await
        })
    });
    let shop = shop.open().await;
    let before = stage.books().await;
    let store = Arc::new(Memory::volatile());
    for _ in 0..3 {
        let client = journaled(&store, stage.payer()).await;
        let answered = client.get(shop.url("/joke")).send().await;
        assert!(
            answered.as_ref().map_or(true, |response| response.status() == 402),
            "{answered:?}"
        );
    }
    assert!(taken.load(Ordering::SeqCst) >= 1);
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
}
