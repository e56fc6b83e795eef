//! A Stripe simulator: the part of the API that sellers by Shared Payment Token and by subscription call, on this machine.
//!
//! It is no Stripe. It holds one account in memory, moves no money, and knows of each card only how it ends:
//!
//! | payment method | what becomes of it |
//! |---|---|
//! | `pm_card_visa` | succeeds |
//! | `pm_card_chargeDeclined` | `card_declined`, `generic_decline` |
//! | `pm_card_chargeDeclinedInsufficientFunds` | `card_declined`, `insufficient_funds` |
//! | `pm_card_chargeCustomerFail` | is attached to a customer, and declined when it is charged |
//! | `pm_card_authenticationRequired` | `requires_action` |
//! | `pm_card_processing` | stays `processing` until [`Simulator::conclude`]; the simulator's own |
//!
//! Objects have the members and types of the fixtures that Stripe publishes (`shapes.json`); a test holds them against those.
//! Where nothing is published, it does this:
//!
//! - a currency in upper case is taken, and answered in lower case;
//! - a token is good for one PaymentIntent that succeeds or is processing, whatever is left of its amount;
//! - what a token refuses is a 400, of the type `invalid_request_error` and the code `shared_payment_token_*`;
//! - what was made with `Stripe-Account` is found only with the same;
//! - searches find what was made a moment ago, which Stripe's do only after up to a minute: see [`Simulator::set_search_lag`].

mod ask;
mod books;
mod card;
mod catalogue;
mod clock;
mod collect;
mod currency;
mod customers;
mod deliver;
mod events;
mod fault;
mod form;
mod idempotency;
mod invoices;
mod judge;
mod line;
mod list;
mod payment_intents;
mod period;
mod refunds;
mod refused;
mod route;
mod serve;
mod sign;
mod subscriptions;
mod tokens;
mod version;

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinHandle;

pub use self::fault::Fault;
use self::{
    books::Books,
    line::{Cut, Line},
};

/// Why the simulator could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The port could not be opened.
    #[error("the simulator could not listen")]
    Listen(#[source] io::Error),
    /// There is no PaymentIntent of this id that waits for its end.
    #[error("no PaymentIntent {0} is processing")]
    NotProcessing(String),
    /// The webhook endpoint could not be asked.
    #[error("the webhook endpoint could not be reached")]
    Deliver(#[source] reqwest::Error),
}

/// What the simulator was asked, once.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// `POST`.
    pub method: String,
    /// `/v1/payment_intents`, without the query.
    pub path: String,
    /// Names in lower case, in the order in which they came. No `authorization`.
    pub headers: Vec<(String, String)>,
    /// The pairs of the form, or of the query, in the order in which they came: `metadata[k]`, `v`.
    pub form: Vec<(String, String)>,
}

impl Call {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The first value of a form's member.
    pub fn field(&self, name: &str) -> Option<&str> {
        first(&self.form, name)
    }
}

/// Values may be tokens, so only names are shown.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Vec::from_iter(self.form.iter().map(|(name, _)| name));
        write!(f, "{} {} {names:?}", self.method, self.path)
    }
}

fn first<'a>(pairs: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// The simulated account and its server, which ends when this is dropped.
pub struct Simulator {
    url: String,
    keys: Keys,
    books: Shared,
    serving: JoinHandle<()>,
    end: Cut,
}

/// The account's names and secrets: made up anew for each simulator.
#[derive(Clone)]
struct Keys {
    secret: String,
    webhook: String,
    network: String,
}

/// One lock: requests are judged one after the other.
type Shared = Arc<Mutex<Books>>;

fn lock(books: &Shared) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
        self.end.now();
    }
}

impl Simulator {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be opened.
    pub async fn start() -> Result<Self, Error> {
        Self::start_at(0).await
    }

    /// Starts one on this port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// The port could not be opened.
    pub async fn start_at(port: u16) -> Result<Self, Error> {
        let line = Line::open(port).await.map_err(Error::Listen)?;
        let url = format!("http://{}", line.address());
        let mut books = Books::new();
        let keys = Keys {
            secret: books.fresh("sk_test_"),
            webhook: books.fresh("whsec_"),
            network: books.fresh("profile_sim"),
        };
        books.secret_key.clone_from(&keys.secret);
        books.network_id.clone_from(&keys.network);
        let books = Arc::new(Mutex::new(books));
        let end = line.end();
        let serving = tokio::spawn(serve::run(line, books.clone()));
        Ok(Self { url, keys, books, serving, end })
    }

    /// `http://127.0.0.1:PORT`; paths are `/v1/…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account's key, `sk_test_…`: the only one that is taken, as `Basic` with an empty password or as `Bearer`.
    pub fn secret_key(&self) -> &str {
        &self.keys.secret
    }

    /// The secret of webhook signatures, `whsec_…`.
    pub fn webhook_secret(&self) -> &str {
        &self.keys.webhook
    }

    /// The account's profile, `profile_sim…`: a token that is scoped to another network is refused. `internal` fits as well.
    pub fn network_id(&self) -> &str {
        &self.keys.network
    }

    /// What was asked, in order. What came with a wrong key is there too.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.books).calls.clone()
    }

    /// Every object of a kind in the order in which they were made: `payment_intent`, `refund`,
    /// `shared_payment.granted_token` …
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        lock(&self.books).objects(kind)
    }

    /// Every PaymentIntent.
    pub fn payment_intents(&self) -> Vec<Value> {
        self.objects("payment_intent")
    }

    /// Makes a token without a call: `spt_…`. `max_amount` is in the currency's smallest unit, `expires_at` in Unix seconds.
    pub fn token(
        &self,
        payment_method: &str,
        currency: &str,
        max_amount: u64,
        expires_at: i64,
    ) -> String {
        tokens::mint(&mut lock(&self.books), payment_method, currency, max_amount, expires_at)
    }

    /// The next state-changing request suffers this. Faults queue up.
    pub fn next(&self, fault: Fault) {
        lock(&self.books).faults.push_back(fault);
    }

    /// Ends a PaymentIntent that is `processing`: it succeeds, or is declined.
    ///
    /// # Errors
    /// None of this id is processing.
    pub fn conclude(&self, payment_intent: &str, succeeds: bool) -> Result<(), Error> {
        payment_intents::conclude(&mut lock(&self.books), payment_intent, succeeds)
            .ok_or_else(|| Error::NotProcessing(payment_intent.to_owned()))
    }

    /// The version of requests that name none. At first it is one that does not know shared payment tokens.
    pub fn set_default_version(&self, version: &str) {
        version.clone_into(&mut lock(&self.books).default_version);
    }

    /// From now on the test helper knows neither `seller_details` nor `metadata`, as in Stripe's newest description.
    pub fn forget_seller_details(&self) {
        lock(&self.books).knows_seller_details = false;
    }

    /// Searches find only what is older than this by the simulator's clock. At first nothing is hidden.
    pub fn set_search_lag(&self, lag: Duration) {
        lock(&self.books).search_lag = i64::try_from(lag.as_secs()).unwrap_or(i64::MAX);
    }

    /// The simulator's clock in Unix seconds: the real time at first, and what [`Simulator::advance`] added.
    pub fn now(&self) -> i64 {
        lock(&self.books).now()
    }

    /// Moves the clock on. What becomes due on the way happens in order.
    pub fn advance(&self, by: Duration) {
        clock::advance(&mut lock(&self.books), by);
    }

    /// A `Stripe-Signature` of this body at this time (Unix seconds).
    pub fn sign(&self, body: &str, at: i64) -> String {
        sign::signature(&self.keys.webhook, body, at)
    }
}
