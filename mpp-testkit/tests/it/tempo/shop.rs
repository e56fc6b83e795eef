//! A shop on loopback, those who buy there, and what it answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use http::{HeaderMap, Method, StatusCode};
use mpp_client::{Limits, Wallet, paying};
use mpp_core::{
    Challenge, Credential, Receipt,
    credential::Source,
    payer::{Allowance, Payer as _, Site},
    problem::Problem,
    store::{Memory, Store},
    transport::{Http, read_challenges},
};
use mpp_server::{Gate, Paid, gate::GateBuilder, tower::IntoPrice};
use mpp_tempo::{
    TempoCharge,
    chain::transaction::Signed,
    charge::{Details, Payer, Payload, Verifier},
};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::value::to_raw_value;

use super::stage::Stage;

pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";

/// The routes of a shop that is not open yet.
pub(super) struct Counter {
    pub(super) gate: Gate,
    router: Router,
    served: Arc<AtomicUsize>,
}

/// A shop that is open.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) origin: String,
    served: Arc<AtomicUsize>,
    http: reqwest::Client,
    headers: HeaderMap,
}

impl Stage {
    /// A gate over a store, whose realm is the host it is asked at.
    pub(super) fn gate(&self, store: impl Store) -> GateBuilder {
        let gate = Gate::builder(store).realm("127.0.0.1").secret(SECRET);
        gate.clock(self.clock.clone()).recover_by_hand()
    }

    pub(super) fn counter(&self) -> Counter {
        Counter::at(self.gate(Memory::volatile()).build().unwrap())
    }

    /// A shop with one thing to sell, at `/joke`.
    pub(super) async fn selling(&self, price: &str, verifier: Verifier) -> Shop {
        self.counter().sell("/joke", price, verifier).open().await
    }
}

impl Counter {
    pub(super) fn at(gate: Gate) -> Self {
        Self { gate, router: Router::new(), served: Arc::default() }
    }

    /// Puts something up for sale.
    pub(super) fn sell(self, path: &str, price: impl IntoPrice, verifier: Verifier) -> Self {
        let wall = self.gate.charge(price).unwrap().via(&Arc::new(verifier)).layer().unwrap();
        let served = self.served.clone();
        let handler = move |paid: Paid| async move {
            served.fetch_add(1, Ordering::SeqCst);
            paid.payer.as_ref().map_or("", Source::as_str).to_owned()
        };
        Self { router: self.router.route(path, any(handler).layer(wall)), ..self }
    }

    /// Adds routes of a test's own.
    pub(super) fn with(self, add: impl FnOnce(Router, &Gate) -> Router) -> Self {
        Self { router: add(self.router, &self.gate), ..self }
    }

    pub(super) async fn open(self) -> Shop {
        self.open_in(&tokio::runtime::Handle::current())
    }

    /// Opens in a runtime of its own, with which it dies.
    pub(super) fn open_in(self, life: &tokio::runtime::Handle) -> Shop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at: SocketAddr = listener.local_addr().unwrap();
        life.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, self.router).await
        });
        Shop {
            origin: format!("http://{at}"),
            served: self.served,
            http: http(),
            headers: HeaderMap::new(),
        }
    }
}

fn http() -> reqwest::Client {
    builder().build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30))
}

/// A client that pays up to ten dollars at a time.
pub(super) fn client(payer: Payer) -> ClientWithMiddleware {
    client_of(Wallet::new(Limits::usd("10").unwrap()).payer(payer))
}

pub(super) fn client_of(wallet: Wallet) -> ClientWithMiddleware {
    paying(builder(), wallet).unwrap()
}

impl Shop {
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The same shop, asked with one more header each time.
    pub(super) fn with_header(&self, name: &'static str, value: &'static str) -> Self {
        let mut other = self.clone();
        other.headers.insert(name, http::HeaderValue::from_static(value));
        other
    }

    /// How often something was handed out.
    pub(super) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Buys what is at `/joke`, as people do.
    pub(super) async fn buy(&self, payer: Payer) -> Heard {
        let response = client(payer).get(self.url("/joke")).send().await.unwrap();
        Heard::of(response, None).await
    }

    /// Asks what something costs.
    pub(super) async fn ask(&self, path: &str) -> Challenge {
        self.request(Method::GET, path, None).await.challenge()
    }

    /// Asks, and signs; nothing is shown yet.
    pub(super) async fn sign(&self, payer: &Payer, path: &str) -> Credential {
        self.answer(payer, &self.ask(path).await).await
    }

    pub(super) async fn answer(&self, payer: &Payer, challenge: &Challenge) -> Credential {
        let demand = challenge.read::<TempoCharge>().unwrap();
        let up_to = payer.exposes(&demand).expect("something this payer pays").amount;
        let to = Site { origin: self.origin.clone(), resource: "GET /".into() };
        let payment = payer.pay(&demand, &Allowance { up_to, to }).await.unwrap();
        Credential::answer(&demand, payment.source, &payment.payload).unwrap()
    }

    pub(super) async fn show(&self, path: &str, credential: &Credential) -> Heard {
        self.request(Method::GET, path, Some(credential)).await
    }

    /// Shows a credential to a shop that may not live to answer.
    pub(super) async fn try_show(&self, credential: &Credential) -> reqwest::Result<()> {
        let mut headers = HeaderMap::new();
        Http::put_credential_in(&mut headers, credential).unwrap();
        self.http.get(self.url("/joke")).headers(headers).send().await.map(drop)
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        credential: Option<&Credential>,
    ) -> Heard {
        let mut headers = self.headers.clone();
        if let Some(credential) = credential {
            Http::put_credential_in(&mut headers, credential).unwrap();
        }
        let request = self.http.request(method, self.url(path)).headers(headers);
        Heard::of(request.send().await.unwrap(), credential).await
    }
}

/// An answer, read whole. A refusal that tells what is nobody's business does not get past here (S4).
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Heard {
    async fn of(response: reqwest::Response, shown: Option<&Credential>) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let heard = Self { status, headers, body: response.text().await.unwrap() };
        if !heard.status.is_success() {
            heard.tells_nothing(shown);
        }
        heard
    }

    pub(super) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(super) fn challenges(&self) -> Vec<Challenge> {
        read_challenges(&self.headers)
    }

    pub(super) fn challenge(&self) -> Challenge {
        let found = self.challenges().into_iter().next();
        found.unwrap_or_else(|| panic!("no challenge in {self:?}"))
    }

    /// Status and reason of a refusal.
    pub(super) fn why(&self) -> (u16, String) {
        let problem: Option<Problem> = serde_json::from_str(&self.body).ok();
        (self.code(), problem.and_then(|problem| problem.reason).unwrap_or_default())
    }

    pub(super) fn receipt(&self) -> Receipt {
        let header = self.headers.get("payment-receipt");
        let token = header.unwrap_or_else(|| panic!("no receipt in {self:?}"));
        Receipt::from_token(token.to_str().unwrap()).unwrap()
    }

    pub(super) fn has_receipt(&self) -> bool {
        self.headers.contains_key("payment-receipt")
    }

    /// Refused, and that for good manners' sake with nothing that only a settled payment has.
    pub(super) fn is_refused(&self, status: u16, reason: &str) {
        assert_eq!(self.why(), (status, reason.to_owned()), "{self:?}");
        assert!(!self.has_receipt());
    }

    fn tells_nothing(&self, shown: Option<&Credential>) {
        // Ids and nonces are random, and spell anything now and then: challenges are judged by what they ask.
        let mut headers = self.headers.clone();
        headers.remove("www-authenticate");
        let asked: Vec<_> = self.challenges().iter().map(|c| c.request.json().to_vec()).collect();
        let mut body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body.as_object_mut().map(|body| body.remove("challengeId"));
        let asked = String::from_utf8(asked.concat()).unwrap();
        let said = format!("{headers:?}\n{body}\n{asked}").to_lowercase();
        for word in LEAKS {
            assert!(!said.contains(word), "{word:?} in {said}");
        }
        if let Some(shown) = shown {
            let payload = shown.payload::<TempoCharge>();
            let secret = match &payload {
                Ok(Payload::Transaction { signature } | Payload::Proof { signature }) => signature,
                _ => return,
            };
            let begins = secret.to_lowercase().get(2..66).map(str::to_owned);
            assert!(!begins.is_some_and(|part| said.contains(&part)), "what was signed in {said}");
        }
    }
}

/// What no refusal says: words of nodes, numbers of theirs, keys of ours.
const LEAKS: [&str; 15] = [
    "feedc0de",
    ": have ",
    "insufficient",
    "reverted with",
    "rpc",
    "-3200",
    "-3260",
    "error code",
    "execution",
    "nonce manager",
    "base fee",
    "0x832f98b5",
    "a secret of",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];

/// The same credential with another payload.
pub(super) fn with_payload(credential: &Credential, payload: &Payload) -> Credential {
    let (challenge, source) = (credential.challenge.clone(), credential.source.clone());
    Credential::from_parts(challenge, source, to_raw_value(payload).unwrap()).unwrap()
}

/// The same payload as an answer to another challenge.
pub(super) fn moved_to(credential: &Credential, challenge: &Challenge) -> Credential {
    let payload = to_raw_value(&payload(credential)).unwrap();
    Credential::from_parts(challenge.clone(), credential.source.clone(), payload).unwrap()
}

pub(super) fn payload(credential: &Credential) -> Payload {
    credential.payload::<TempoCharge>().unwrap()
}

/// The transaction that a credential holds.
pub(super) fn signed(credential: &Credential) -> Signed {
    let Payload::Transaction { signature } = payload(credential) else { panic!("pull mode") };
    Signed::decode(&alloy::primitives::hex::decode(signature).unwrap()).unwrap()
}

pub(super) fn transaction(bytes: &[u8]) -> Payload {
    Payload::Transaction { signature: alloy::primitives::hex::encode_prefixed(bytes) }
}

/// What a challenge says of how it is to be paid.
pub(super) fn details(challenge: &Challenge) -> Details {
    challenge.read::<TempoCharge>().unwrap().request.details.method_details
}
