//! Building a gate.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mpp_core::{binding::Keys, store::Store, time::Clock};

use super::{Gate, Inner, Latest, Realms, realm, recovery::Recovery};
use crate::{
    clock::SystemClock,
    error::ConfigError,
    event::Events,
    ledger::{Holds, Ledger, Rails},
    limit::{Limiter, Unlimited},
    nonce::Nonces,
    session::{Engine, Locals, Schedule},
};

/// What a gate does with a connection that is not TLS.
///
/// A challenge or a credential on plain HTTP is readable and changeable on the way (C-51).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plaintext {
    /// Refuses to speak of payment, except on loopback.
    #[default]
    LoopbackOnly,
    /// Takes every connection for TLS: a proxy in front of this server ends it.
    TlsEndsAtProxy,
    /// Speaks of payment in the clear.
    Allowed,
}

/// Settings of a [`Gate`]. Made by [`Gate::builder`].
#[derive(Debug)]
#[must_use]
pub struct GateBuilder {
    store: Arc<dyn Store>,
    realms: Result<Realms, ConfigError>,
    keys: Option<Result<Keys, mpp_core::Error>>,
    clock: Arc<dyn Clock>,
    limiter: Arc<dyn Limiter>,
    lifetime: Duration,
    deadline: Duration,
    minting: Duration,
    serving: Duration,
    servings: u32,
    longest_answer: usize,
    alone: bool,
    recover_every: Option<Duration>,
    plaintext: Plaintext,
    schedule: Schedule,
}

impl GateBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            realms: Ok(Realms::default()),
            keys: None,
            clock: Arc::new(SystemClock::new()),
            limiter: Arc::new(Unlimited),
            lifetime: Duration::from_secs(300),
            deadline: Duration::from_secs(30),
            minting: Duration::from_secs(2),
            serving: Duration::from_secs(60),
            servings: 5,
            longest_answer: 64 * 1024,
            alone: false,
            recover_every: Some(Duration::from_secs(60)),
            plaintext: Plaintext::default(),
            schedule: Schedule::new(),
        }
    }

    /// When what sessions earned is taken to the rail, and when accounts that nobody uses are closed; by hand alone unless said
    /// otherwise ([`Gate::settle_all`]). What a payer is about to take back is always taken first.
    pub fn sessions(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Names the protection space, usually the public host name. Printable ASCII without `|`, `"` and `\`.
    pub fn realm(mut self, name: &str) -> Self {
        self.realms =
            self.realms.and_then(|r| Ok(Realms { own: Some(realm::checked(name)?), ..r }));
        self
    }

    /// Reads the realm from `MPP_REALM`, or what common platforms set.
    ///
    /// # Errors
    /// None of them is set.
    pub fn realm_from_env(mut self) -> Result<Self, ConfigError> {
        let own = realm::from_env()?;
        self.realms = self.realms.map(|r| Realms { own: Some(own), ..r });
        Ok(self)
    }

    /// Lets these hosts be their own realms: a request whose `Host` is one of them is challenged in its name, any other in
    /// the gate's own.
    pub fn hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let hosts: Result<Vec<_>, _> = hosts.into_iter().map(realm::checked).collect();
        self.realms = self.realms.and_then(|r| Ok(Realms { hosts: hosts?, ..r }));
        self
    }

    /// Seals challenges with this secret, of at least 32 bytes.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.keys = Some(Keys::new(secret));
        self
    }

    /// Recognises challenges sealed with a secret of before, too. Call after [`GateBuilder::secret`]. Keep it as long as
    /// payments under it may be unfinished or undelivered: without it they are not recognised, and so not redeemed.
    pub fn previous_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.keys = self.keys.map(|keys| keys?.and_previous(secret));
        self
    }

    /// Reads the secret from `MPP_SECRET_KEY`.
    ///
    /// # Errors
    /// It is not set.
    pub fn secret_from_env(self) -> Result<Self, ConfigError> {
        let secret = std::env::var("MPP_SECRET_KEY").map_err(|_| ConfigError::NoSecret)?;
        Ok(self.secret(secret))
    }

    /// How long a challenge can be answered: 10 seconds to 24 hours; 5 minutes unless set.
    pub fn challenges_live_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long one settlement may take before its outcome counts as unknown; 30 seconds unless set.
    pub fn settle_within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long the methods of a route may take to make out what they ask, such as an invoice that a node mints: all of them side
    /// by side; 2 seconds unless set. Who is late is left out of that answer, and the log told. Where nobody is in time the
    /// answer is 503 with `Retry-After`.
    pub fn mint_within(mut self, deadline: Duration) -> Self {
        self.minting = deadline;
        self
    }

    /// How long after a crash of this server a payment that was being served waits before it can be served again; a
    /// minute unless set. A handler that runs, or a response that flows, renews it.
    pub fn serving_lease(mut self, lease: Duration) -> Self {
        self.serving = lease.max(Duration::from_millis(30));
        self
    }

    /// How often in all a payment may be served of which some was handed over and not all: the client hung up, the server
    /// died. Five unless set; at least one. Who reads all but the last byte five times has read it five times. A handler that
    /// fails is not counted.
    pub fn serve_up_to(mut self, times: u32) -> Self {
        self.servings = times.max(1);
        self
    }

    /// Keeps answers of up to so many bytes of body, to be given again to the same credential under the same
    /// `Idempotency-Key`, until an hour after the challenge's end; 64 KiB unless set, 0 keeps none. What is longer is
    /// delivered once.
    pub fn keep_answers_up_to(mut self, bytes: usize) -> Self {
        self.longest_answer = bytes;
        self
    }

    /// Says that no other process uses the store: what another held when this one started was held by the dead, and is
    /// taken over at once instead of after its lease. True of a [`Memory`](mpp_core::store::Memory) and of a file that one
    /// process opens, with one gate on it. Said of a store that is shared, two may serve one payment.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// How often the books are gone through for what a crash left open, anywhere; a minute unless set. The first time is
    /// with the first request.
    pub fn recover_every(mut self, every: Duration) -> Self {
        self.recover_every = Some(every.max(Duration::from_millis(10)));
        self
    }

    /// Goes through the books only when [`Gate::recover`] is called.
    pub fn recover_by_hand(mut self) -> Self {
        self.recover_every = None;
        self
    }

    /// Says what to do with connections that are not TLS.
    pub fn plaintext(mut self, rule: Plaintext) -> Self {
        self.plaintext = rule;
        self
    }

    /// Bounds how often challenges are issued and credentials verified.
    pub fn limiter(mut self, limiter: impl Limiter) -> Self {
        self.limiter = Arc::new(limiter);
        self
    }

    /// Reads the time elsewhere than from this machine: for tests.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// A realm or a secret is missing or unfit, or a lifetime is out of bounds.
    pub fn build(self) -> Result<Gate, ConfigError> {
        let realms = self.realms?;
        if realms.own.is_none() && realms.hosts.is_empty() {
            return Err(ConfigError::NoRealm);
        }
        let keys = self.keys.ok_or(ConfigError::NoSecret)?.map_err(ConfigError::Secret)?;
        if self.lifetime < Duration::from_secs(10) || self.lifetime > Duration::from_secs(86_400) {
            return Err(ConfigError::Lifetime);
        }
        let (events, nonces) = (Events::new(), Arc::new(Nonces::new()));
        let [a, b, c, d, e, f, g, h, ..] = nonces.draw().map_err(ConfigError::Randomness)?;
        let me = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let engine = Arc::new(Engine {
            store: self.store.clone(),
            clock: self.clock.clone(),
            deadline: self.deadline,
            me,
            alone: self.alone,
            schedule: self.schedule,
            events: events.clone(),
            nonces: nonces.clone(),
            locals: Locals::default(),
            tills: Mutex::default(),
            tells: AtomicBool::new(false),
            tasks: Arc::default(),
        });
        let ledger = Ledger {
            store: self.store,
            clock: self.clock.clone(),
            deadline: self.deadline,
            lifetime: self.lifetime,
            serving: self.serving,
            servings: self.servings,
            longest_answer: self.longest_answer,
            me,
            alone: self.alone,
            holds: Holds::default(),
            rails: Rails::default(),
            events: events.clone(),
        };
        Ok(Gate(Arc::new(Inner {
            id: GATES.fetch_add(1, Ordering::Relaxed),
            realms,
            keys,
            ledger,
            engine,
            clock: self.clock,
            limiter: self.limiter,
            events,
            nonces,
            lifetime: self.lifetime,
            minting: self.minting,
            plaintext: self.plaintext,
            recovery: Recovery::new(self.recover_every),
            latest: Latest::new(),
        })))
    }
}

static GATES: AtomicU64 = AtomicU64::new(0);
