//! The gate: everything between a request and money, for every transport.

mod builder;
mod check;
mod identify;
pub(crate) mod invite;
pub(crate) mod judge;
pub(crate) mod latest;
mod realm;
mod recovery;
mod session;
mod subscription;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mpp_core::{
    Receipt,
    binding::Keys,
    problem::{Reason, Rejection},
    time::{Clock, Timestamp},
};
use tokio::sync::broadcast;

use crate::{
    event::{Event, Events},
    ledger::{Ledger, NotWrittenOff, Recovered, Unfinished},
    limit::Limiter,
    nonce::Nonces,
    offer::GateId,
    rail::Rail,
    route::Route,
    session::{Engine, ErasedTill, Swept},
    subscription::Agreements,
};

pub use self::builder::{GateBuilder, Plaintext};
pub(crate) use self::check::not_offered;
use self::{latest::Latest, realm::Realms};

/// Issues challenges, judges credentials, keeps the books. Cheap to clone; one per server.
///
/// ```
/// use mpp_core::store::Memory;
/// use mpp_server::Gate;
///
/// let gate = Gate::builder(Memory::volatile())
///     .realm("api.example.com")
///     .secret("a secret of at least thirty-two bytes")
///     .build()?;
/// # Ok::<(), mpp_server::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: GateId,
    realms: Realms,
    keys: Keys,
    ledger: Ledger,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    limiter: Arc<dyn Limiter>,
    events: Events,
    nonces: Arc<Nonces>,
    lifetime: Duration,
    /// How long the demands of one answer may take.
    minting: Duration,
    plaintext: Plaintext,
    recovery: recovery::Recovery,
    latest: Arc<Latest>,
    agreements: Agreements,
}

impl Gate {
    /// Starts a gate over a store. There is no default store: say what a restart may lose.
    pub fn builder(store: impl mpp_core::store::Store) -> GateBuilder {
        GateBuilder::new(Arc::new(store))
    }

    /// Makes a gate whose realm and secret come from the environment: `MPP_REALM` (or what common platforms set) and
    /// `MPP_SECRET_KEY`.
    ///
    /// # Errors
    /// One of them is missing, or unfit.
    pub fn from_env(store: impl mpp_core::store::Store) -> Result<Self, crate::ConfigError> {
        Self::builder(store).realm_from_env()?.secret_from_env()?.build()
    }

    /// Listens to what happens here from now on. A listener that lags misses the oldest events; no request waits.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.listen()
    }

    /// Goes through the books once, and goes on with what a crash left open: asks the rail, and sends only what the rail
    /// never saw. A gate does this by itself, from its first credential on and then now and then
    /// ([`GateBuilder::recover_every`]); call it at start-up to know before the first request.
    ///
    /// It goes on with payments that settle where a route of this gate does: build the routes first, or name them with
    /// [`Gate::recovers`].
    ///
    /// # Errors
    /// The store does not answer. What was done until then is done.
    pub async fn recover(&self) -> Result<Recovered, mpp_core::store::StoreError> {
        let mut recovered = self.0.ledger.recover().await?;
        // What the ledger knows by now is agreed.
        self.0.agreements.sweep(&mut recovered).await?;
        Ok(recovered)
    }

    /// Lists the payments whose outcome is not known: most are settling right now, or will be known after the next pass over
    /// the books ([`Gate::recover`]). One whose challenge ended hours ago is one for a person to look at.
    ///
    /// Of subscriptions it lists first payments; later ones are in [`Subscriptions::unfinished`](crate::Subscriptions::unfinished).
    ///
    /// Reads all the books, so call it now and then. What cannot be read is named in the log, and not listed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, mpp_core::store::StoreError> {
        self.0.ledger.unfinished().await
    }

    /// Gives up the payment of a challenge, by its operator's decision: for what a rail can never tell of again, such as an
    /// order that ended longer ago than nodes remember. Until then its credential is answered with 503, and the rail asked.
    /// From then on the credential is refused as [`written-off`](mpp_core::problem::Reason::WRITTEN_OFF), with fresh challenges.
    ///
    /// **The money may have moved, or move yet.** Its payer is then asked to pay again, and the proof, which stays used up,
    /// buys nothing here: what turns out to have arrived is to be given back by hand. So look at the rail first, by other
    /// means than this gate's, and wait until the order cannot be carried out any more. The order itself is
    /// forgotten with this, and there is no way back. Written off twice is written off once.
    ///
    /// # Errors
    /// [`NotWrittenOff`]: it is not on the books, its outcome is known, somebody has it in hand, or the store does not answer.
    pub async fn write_off(&self, challenge: &str) -> Result<(), NotWrittenOff> {
        self.0.ledger.write_off(challenge).await
    }

    /// Waits until no payment is in hand: nothing is being checked, settled or served, no order of a session is on its way, and
    /// every end is written down. For
    /// shutting down, once the server takes no more requests; give it a deadline of your own.
    pub async fn idle(&self) {
        while !self.is_idle() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_idle(&self) -> bool {
        let Inner { ledger, engine, agreements, .. } = &*self.0;
        ledger.holds.is_empty() && engine.is_idle() && agreements.is_idle()
    }

    /// Lets recovery go on with payments begun on this route. Layers say it themselves; who calls [`Gate::judge`] says it
    /// once per route.
    pub fn recovers(&self, route: &Route) {
        self.start_recovery();
        if route.bootstrap.is_some() {
            self.0.engine.tells.store(true, Ordering::Relaxed);
        }
        for offer in route.offers.iter().chain(&route.bootstrap) {
            if let Some(once) = offer.once() {
                self.settles_through(once.rail());
            }
            if let Some(metered) = offer.metered() {
                self.tends(&metered.till());
            }
        }
    }

    /// The time that challenges are made and judged by.
    fn now(&self) -> Timestamp {
        self.0.latest.of(self.0.clock.now())
    }

    /// Goes through the session accounts once: ends what a crash left open, looks what the rail says of each, closes what its
    /// payer is about to take back and what is idle, and collects what is due ([`GateBuilder::sessions`]). A gate does this by
    /// itself, now and then ([`GateBuilder::recover_every`]).
    ///
    /// # Errors
    /// The store does not answer. What was done until then is done.
    pub async fn sweep(&self) -> Result<Swept, Rejection> {
        let (mut swept, mut failed) = (Swept::default(), None);
        for till in self.0.engine.tended() {
            match till.sweep(self.0.engine.clone()).await {
                Ok(done) => swept += done,
                Err(e) => failed = Some(e),
            }
        }
        failed.map_or(Ok(swept), Err)
    }

    /// Collects everything that was earned and is not on its rail yet, whatever the schedule says. The accounts stay open.
    ///
    /// # Errors
    /// As for [`Gate::sweep`].
    pub async fn settle_all(&self) -> Result<Swept, Rejection> {
        let (mut swept, mut failed) = (Swept::default(), None);
        for till in self.0.engine.tended() {
            match till.settle_all(self.0.engine.clone()).await {
                Ok(done) => swept += done,
                Err(e) => failed = Some(e),
            }
        }
        failed.map_or(Ok(swept), Err)
    }

    /// Closes a session account without its payer, by what it proved before: what was served is captured, the rest goes back.
    /// `None`: no till of this gate can close an account of this name.
    ///
    /// # Errors
    /// It is not open, its rail refuses, or what became of it is not known yet.
    pub async fn close_account(&self, account: &str) -> Result<Option<Receipt>, Rejection> {
        let mut refused = None;
        for till in self.0.engine.tended() {
            match till.close(self.0.engine.clone(), account.to_owned()).await {
                Ok(Some(receipt)) => return Ok(Some(receipt)),
                Ok(None) => {}
                Err(e) if e.reason == Reason::NO_ACCOUNT => {}
                Err(e) => refused = Some(e),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    pub(crate) fn tends(&self, till: &Arc<dyn ErasedTill>) {
        self.0.engine.tends(till);
    }

    pub(crate) fn settles_through(&self, rail: &Rail) {
        self.0.ledger.rails.add(rail);
    }

    /// How the gate treats connections that are not TLS.
    pub fn plaintext(&self) -> Plaintext {
        self.0.plaintext
    }

    /// Whether any host may name its own realm: where none may, a driver need not read the header.
    pub fn has_hosts(&self) -> bool {
        !self.0.realms.hosts.is_empty()
    }
}
