//! A wallet: payers, and the policy that holds them back.

use std::{collections::BTreeSet, fmt, sync::Arc};

use mpp_core::{
    accept::Accept,
    payer::{Payer, Site},
    time::Clock,
    transport::Answer,
};

use crate::{
    choice::{self, Choice, Pick},
    clock::SystemClock,
    erased::ErasedPayer,
    error::Error,
    event::Event,
    exchange::Exchange,
    journal::Journal,
    policy::Policy,
    prepared::Prepared,
    unfinished::Unfinished,
};

mod accounts;
mod afterwards;

type OnChallenge = dyn Fn(&[Choice]) -> Pick + Send + Sync;
type OnEvent = dyn Fn(Event) + Send + Sync;

/// What pays: payers of any methods, under one policy. Clones share everything.
#[derive(Clone)]
pub struct Wallet {
    pub(crate) payers: Vec<Arc<dyn ErasedPayer>>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) prefer: Vec<String>,
    pub(crate) max_payments: u32,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Option<Journal>,
    plain_http: BTreeSet<String>,
    on_challenge: Option<Arc<OnChallenge>>,
    on_event: Option<Arc<OnEvent>>,
}

impl Wallet {
    /// A wallet that can pay nothing yet. There is none without a policy: see [`Limits`](crate::Limits).
    pub fn new(policy: impl Policy + 'static) -> Self {
        Self {
            payers: Vec::new(),
            policy: Arc::new(policy),
            prefer: Vec::new(),
            max_payments: 1,
            clock: Arc::new(SystemClock::new()),
            journal: None,
            plain_http: BTreeSet::new(),
            on_challenge: None,
            on_event: None,
        }
    }

    /// Adds a payer. Of several payers of one method, earlier ones are asked first.
    pub fn payer(mut self, payer: impl Payer) -> Self {
        self.payers.push(Arc::new(payer));
        self
    }

    /// Says which methods it would rather pay with, best first: `["lightning", "tempo/session"]`. Methods that are
    /// not named come last; the server's order decides among equals.
    pub fn prefer(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.prefer = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Lets one request be paid up to `most` times (at least once), each time after the server refused what was sent
    /// before. Default 1: a server that took the money and says it did not gets no more. Each counts against the policy,
    /// refused or not. Steps that manage an account (opening a channel) are not counted.
    pub fn max_payments(mut self, most: u32) -> Self {
        self.max_payments = most.max(1);
        self
    }

    /// Pays `host` even where it is asked for over plain HTTP: whoever is on the way can then read and change
    /// everything, credentials included. Loopback needs no permission.
    pub fn allow_plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http.insert(host.into().to_ascii_lowercase());
        self
    }

    /// Shows every choice to `decide` before the policy is asked, best first; it may pick one, or none. It runs on the
    /// request's path and must not block.
    pub fn on_challenge(
        mut self,
        decide: impl Fn(&[Choice]) -> Pick + Send + Sync + 'static,
    ) -> Self {
        self.on_challenge = Some(Arc::new(decide));
        self
    }

    /// Tells `hear` everything that happens, and never a credential. It runs on the request's path and must not block:
    /// hand the event to a channel where more is to be done with it.
    pub fn on_event(mut self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(hear));
        self
    }

    /// Writes payments down before anything leaves: after a crash or a lost answer, the next request of the same purpose
    /// shows the credential there is, and pays nothing new until that one is provably dead.
    pub fn journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Reads the time from another clock: expiry is judged by it.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What its payers can pay with, in the order it would rather: the `Accept-Payment` header.
    pub fn accept(&self) -> Accept {
        choice::accept(&self.payers, &self.prefer)
    }

    /// Whether plain HTTP was allowed for a host by name.
    pub fn allows_plain_http(&self, host: &str) -> bool {
        self.plain_http.contains(&host.to_ascii_lowercase())
    }

    /// Starts the protocol state of one request.
    pub fn exchange(&self, to: Site) -> Exchange {
        Exchange::new(self, to)
    }

    /// Starts the protocol state of a request that shows a credential again. It never pays: the answer is all there is. What
    /// its journal has of the credential goes on with it.
    pub fn resume(&self, unfinished: &Unfinished) -> Exchange {
        Exchange::resuming(self, unfinished)
    }

    /// Lists the ways to pay that an answer offers, and pays none: for callers who decide themselves.
    ///
    /// # Errors
    /// As for [`Exchange::hear`], where nothing can be paid.
    pub fn prepare(&self, to: Site, answer: Answer) -> Result<Prepared, Error> {
        self.exchange(to).prepare(answer)
    }

    pub(crate) fn pick(&self, choices: &[Choice]) -> Pick {
        self.on_challenge.as_ref().map_or(Pick::Any, |decide| decide(choices))
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(hear) = &self.on_event {
            hear(event());
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payers: Vec<String> = self.payers.iter().map(|p| p.id().to_string()).collect();
        f.debug_struct("Wallet")
            .field("payers", &payers)
            .field("max_payments", &self.max_payments)
            .finish_non_exhaustive()
    }
}
