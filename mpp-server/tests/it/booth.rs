//! A coupon method whose rail remembers, hangs and breaks on demand: a double, and named as one.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mpp_core::{
    Challenge, Charge, Credential, Method, Price, Timestamp,
    binding::Claim,
    fate::{Fate, Settlement},
    intent::{ChargeTerms, PriceError},
    method::NoDetails,
    name::MethodName,
    problem::{Problem, Rejection},
    store::{Memory, Store},
    time::Clock,
    transport::{Http, read_challenges},
    verifier::{Asking, Minted, Spend, Verifier},
};
use mpp_server::{Gate, gate::GateBuilder};
use serde::{Deserialize, Serialize};

pub(crate) struct CouponCharge;

impl Method for CouponCharge {
    const NAME: MethodName = MethodName::from_static("coupon");
    type Intent = Charge;
    type Details = NoDetails;
    type Payload = Code;
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) code: String,
}

/// How the rail behaves the next time it is asked to settle.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Fine,
    /// Takes the money, and its answer is lost.
    Mute,
    /// Never hears of it, and its answer is lost.
    Deaf,
    Refuses,
    Panics,
}

#[derive(Default)]
pub(crate) struct Booth {
    taken: Mutex<Vec<String>>,
    mood: Mutex<Mood>,
    slow: AtomicU64,
    pub(crate) checks: AtomicUsize,
    address: &'static str,
}

impl Booth {
    pub(crate) fn new() -> Arc<Self> {
        Self::at("booth 1")
    }
    pub(crate) fn at(address: &'static str) -> Arc<Self> {
        Arc::new(Self { address, ..Self::default() })
    }
    pub(crate) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
    pub(crate) fn slow(&self, wait: Duration) {
        self.slow.store(wait.as_millis() as u64, Ordering::SeqCst);
    }
    /// How often money was taken, and that no coupon was taken twice.
    pub(crate) fn taken(&self) -> usize {
        let taken = self.taken.lock().unwrap();
        assert_eq!(
            taken.iter().collect::<BTreeSet<_>>().len(),
            taken.len(),
            "a coupon was taken twice"
        );
        taken.len()
    }
}

impl Verifier for Booth {
    type Method = CouponCharge;
    type Evidence = String;

    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.address)
    }
    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        Ok(ChargeTerms::of(price, price.in_unit("coupon", 0)?, "coupon"))
    }
    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        Ok(Minted::lasting(NoDetails {}))
    }
    async fn check(&self, claim: &Claim<CouponCharge>) -> Result<String, Rejection> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        let code = claim.payload.code.clone();
        if code.starts_with('b') {
            Ok(code)
        } else {
            Err(Rejection::failed("This coupon is not from our book."))
        }
    }
    fn spends<'e>(&self, code: &'e String) -> Option<Spend<'e>> {
        Some(Spend::of(code))
    }
    fn has_moved(&self, _: &String) -> bool {
        false
    }
    async fn settle(&self, code: &String) -> Fate {
        let wait = self.slow.load(Ordering::SeqCst);
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Refuses => return Fate::Failed(Rejection::failed("The coupon is void.")),
            Mood::Deaf => return Fate::unknown("no answer"),
            Mood::Panics => panic!("the rail's code broke"),
            Mood::Fine | Mood::Mute => self.taken.lock().unwrap().push(code.clone()),
        }
        if mood == Mood::Mute {
            Fate::unknown("no answer")
        } else {
            Fate::Settled(Settlement::new(code.clone()))
        }
    }
    async fn reconcile(&self, code: &String) -> Fate {
        match self.taken.lock().unwrap().contains(code) {
            true => Fate::Settled(Settlement::new(code.clone())),
            false => Fate::Absent,
        }
    }
}

/// A clock that tests set.
#[derive(Clone, Debug)]
pub(crate) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
    pub(crate) fn back(&self, seconds: u64) {
        self.0.fetch_sub(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst) as i64, 0)
    }
}

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";

pub(crate) fn builder_over(store: impl Store, clock: &Hands) -> GateBuilder {
    Gate::builder(store).realm("shop").secret(SECRET).clock(clock.clone())
}

pub(crate) fn gate() -> (Gate, Hands) {
    let clock = Hands::new();
    (builder_over(Memory::volatile(), &clock).build().unwrap(), clock)
}

/// Answers a challenge with a coupon.
pub(crate) fn answer(challenge: &Challenge, code: &str) -> Credential {
    Credential::answer(
        &challenge.read::<CouponCharge>().unwrap(),
        None,
        &Code { code: code.into() },
    )
    .unwrap()
}

/// Puts a credential on a request.
pub(crate) fn with<B>(mut request: Request<B>, credential: &Credential) -> Request<B> {
    Http::put_credential_in(request.headers_mut(), credential).unwrap();
    request
}

/// A response, read whole.
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) async fn from<B>(response: Response<B>) -> Self
    where
        B: http_body::Body<Error: std::fmt::Debug>,
    {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        // What a finished body sets off runs in a task of its own.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        Self {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }
    pub(crate) fn challenges(&self) -> Vec<Challenge> {
        read_challenges(&self.headers)
    }
    pub(crate) fn challenge(&self) -> Challenge {
        self.challenges().into_iter().next().expect("a challenge")
    }
    pub(crate) fn reason(&self) -> String {
        serde_json::from_str::<Problem>(&self.body).unwrap().reason.unwrap()
    }
    pub(crate) fn has_receipt(&self) -> bool {
        self.headers.contains_key("payment-receipt")
    }
}
