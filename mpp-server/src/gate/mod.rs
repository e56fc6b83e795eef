//! The gate: everything between a request and money, for every transport.

mod builder;
pub(crate) mod judge;
mod realm;

use std::{sync::Arc, time::Duration};

use mpp_core::{binding::Keys, time::Clock};
use tokio::sync::broadcast;

use crate::{
    event::{Event, Events},
    ledger::Ledger,
    limit::Limiter,
    nonce::Nonces,
    offer::GateId,
};

pub use self::builder::{GateBuilder, Plaintext};
use self::realm::Realms;

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
    clock: Arc<dyn Clock>,
    limiter: Arc<dyn Limiter>,
    events: Events,
    nonces: Nonces,
    lifetime: Duration,
    plaintext: Plaintext,
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

    /// How the gate treats connections that are not TLS.
    pub fn plaintext(&self) -> Plaintext {
        self.0.plaintext
    }

    /// Whether any host may name its own realm: where none may, a driver need not read the header.
    pub fn has_hosts(&self) -> bool {
        !self.0.realms.hosts.is_empty()
    }
}
