//! A simulated Stripe, those who pay through it, and a shop that is paid.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::any};
use mpp_client::{Journal, Limits, Wallet, paying};
use mpp_core::{
    Challenge, Charge, Draft, Encoded, Intent, Method, Realm, Timestamp,
    binding::Keys,
    payer::{Allowance, Payer as _, Site},
    store::Memory,
    time::Clock,
};
use mpp_server::{Gate, Paid};
use mpp_stripe::{
    Api, Currency, SecretKey, StripeCharge,
    charge::{Payer, Payload, Verifier},
    token::{ApiTokens, PaymentMethod},
};
use mpp_testkit::stripe::{Call, Simulator};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";
pub(crate) const GRANT: &str = "/v1/test_helpers/shared_payment/granted_tokens";

/// The simulator's time, as its payers read it.
#[derive(Clone, Debug)]
pub(crate) struct Now(Arc<AtomicI64>);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst), 0)
    }
}

pub(crate) struct Stage {
    pub(crate) sim: Simulator,
    now: Now,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let sim = Simulator::start().await.unwrap();
        let now = Now(Arc::new(AtomicI64::new(sim.now())));
        Self { sim, now }
    }

    pub(crate) fn api(&self) -> Api {
        let key = SecretKey::new(self.sim.secret_key()).unwrap();
        Api::new(&key).unwrap().at(self.sim.url()).unwrap()
    }

    pub(crate) fn issuer(&self) -> ApiTokens {
        ApiTokens::new(self.api()).clock(Arc::new(self.now.clone()))
    }

    pub(crate) fn payer(&self, payment_method: &str) -> Payer {
        let payment_method = PaymentMethod::parse(payment_method).unwrap();
        Payer::new(self.issuer()).paying_with(payment_method).clock(Arc::new(self.now.clone()))
    }

    pub(crate) fn now(&self) -> Now {
        self.now.clone()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.sim.advance(std::time::Duration::from_secs(seconds));
        self.now.0.store(self.sim.now(), Ordering::SeqCst);
    }

    /// A challenge for fifty cents that ends in five minutes.
    pub(crate) fn challenge(&self) -> Challenge {
        self.asking(json!({}))
    }

    /// The same with other members in its request.
    pub(crate) fn asking(&self, members: Value) -> Challenge {
        let mut request = json!({
            "amount": "50", "currency": "usd",
            "methodDetails": {
                "networkId": self.sim.network_id(), "paymentMethodTypes": ["card"],
                "metadata": { "plan": "pro" },
            },
        });
        let (all, other) = (request.as_object_mut().unwrap(), members.as_object().unwrap());
        all.extend(other.clone());
        let end = self.sim.now() + 300;
        seal(|draft| {
            draft.request = Encoded::of(&request).unwrap();
            draft.expires = Some(Timestamp::from_unix(end, 0));
        })
    }

    /// What was asked of an endpoint.
    pub(crate) fn calls(&self, path: &str) -> Vec<Call> {
        self.sim.calls().into_iter().filter(|call| call.path == path).collect()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.sim.objects("shared_payment.granted_token").len()
    }

    /// How many payments succeeded.
    pub(crate) fn charged(&self) -> usize {
        let paid = |intent: &&Value| intent["status"] == "succeeded";
        self.sim.payment_intents().iter().filter(paid).count()
    }

    /// A shop with one thing to sell, at `/joke`, for fifty cents.
    pub(crate) async fn shop(&self) -> Shop {
        let verifier = Verifier::new(self.api(), self.sim.network_id(), Currency::USD).unwrap();
        let verifier = verifier.clock(Arc::new(self.now()));
        let gate = Gate::builder(Memory::volatile()).realm("127.0.0.1").secret(SECRET);
        let gate = gate.recover_by_hand().clock(self.now()).build().unwrap();
        let wall = gate.charge("0.50 usd").unwrap().via(&Arc::new(verifier)).layer().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let counts = served.clone();
        let joke = move |_: Paid| async move {
            counts.fetch_add(1, Ordering::SeqCst);
            "ha"
        };
        let at = serve(Router::new().route("/joke", any(joke).layer(wall))).await;
        Shop { at, served }
    }
}

pub(crate) struct Shop {
    pub(crate) at: SocketAddr,
    served: Arc<AtomicUsize>,
}

impl Shop {
    pub(crate) fn url(&self) -> String {
        format!("http://{}/joke", self.at)
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

pub(crate) fn seal(change: impl FnOnce(&mut Draft)) -> Challenge {
    let mut draft = Draft {
        realm: Realm::parse("shop").unwrap(),
        method: StripeCharge::NAME,
        intent: Charge::NAME,
        request: Encoded::of(&json!({})).unwrap(),
        expires: None,
        digest: None,
        description: None,
        header: None,
        opaque: None,
    };
    change(&mut draft);
    Keys::new(SECRET).unwrap().seal(draft)
}

/// A wallet that may spend a dollar at a time.
pub(crate) fn wallet(payer: Payer) -> Wallet {
    Wallet::new(Limits::usd("1").unwrap()).payer(payer)
}

/// The same with what survives a restart.
pub(crate) async fn keeping(payer: Payer, store: &Arc<Memory>) -> Wallet {
    wallet(payer).journal(Journal::open(store.clone(), "w").await.unwrap())
}

pub(crate) fn client(wallet: Wallet) -> ClientWithMiddleware {
    paying(reqwest::Client::builder().no_proxy(), wallet).unwrap()
}

pub(crate) async fn pay(
    payer: &Payer,
    challenge: &Challenge,
) -> Result<Payload, mpp_core::payer::PayError> {
    let to = Site { origin: "https://shop".to_owned(), resource: "GET /".to_owned() };
    let demand = challenge.read::<StripeCharge>().unwrap();
    let within = Allowance { up_to: demand.request.terms.amount, to };
    payer.pay(&demand, &within).await.map(|payment| payment.payload)
}

/// Everything that an error says, its sources included, to people and to programmers.
pub(crate) fn everything(error: &(dyn Error + 'static)) -> String {
    let mut said = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        said.push_str(&format!(" / {error}"));
        next = error.source();
    }
    said
}
