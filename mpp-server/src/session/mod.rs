//! Sessions: accounts that are opened once and drawn on again and again, each one versioned value in the store.
//!
//! What a credential proves is checked outside any lock; what it does is applied by one compare-and-swap, which accepts and
//! deducts at once. An act on the rail is written down as an order before it leaves, one at a time for an account, and runs in
//! a task of its own: a hang-up changes nothing, and a crash leaves an order of which the rail is asked.

mod books;
mod close;
mod collect;
mod draw;
mod entry;
mod erased;
mod handle;
mod local;
mod meter;
mod order;
mod resume;
mod schedule;
mod sweep;
mod take;
mod till;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use mpp_core::{
    store::Store,
    time::{Clock, Timestamp},
};

pub(crate) use self::{
    erased::ErasedTill,
    local::Locals,
    take::{Take, Taken},
    till::{ErasedMetered, Metered, Till},
};
pub use self::{
    handle::Session,
    meter::{Dry, Meter},
    schedule::Schedule,
    sweep::Swept,
};
use crate::{event::Events, nonce::Nonces};

/// What all accounts of a gate share.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long one order may take before its outcome counts as unknown.
    pub(crate) deadline: Duration,
    /// Which gate this is, among all that ever wrote to the store.
    pub(crate) me: u64,
    /// No other process shares the store: whatever another holds was held by the dead.
    pub(crate) alone: bool,
    pub(crate) schedule: Schedule,
    pub(crate) events: Events,
    pub(crate) nonces: Arc<Nonces>,
    pub(crate) locals: Locals,
    pub(crate) tills: Mutex<Vec<Arc<dyn ErasedTill>>>,
    /// A route tells payers of their accounts, so whose they are is written down.
    pub(crate) tells: AtomicBool,
    /// Held by every task that has an order or a meter's rest to write down.
    pub(crate) tasks: Arc<()>,
}

/// A task that is to be waited for before a server ends.
pub(crate) struct Busy(#[expect(dead_code, reason = "it counts by being held")] Arc<()>);

impl Engine {
    /// Counts as a task until it is dropped.
    pub(crate) fn busy(&self) -> Busy {
        Busy(self.tasks.clone())
    }

    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.tasks) == 1
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets sweeps look after the accounts of a till.
    pub(crate) fn tends(&self, till: &Arc<dyn ErasedTill>) {
        let mut tills = self.tills.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            |known: &Arc<dyn ErasedTill>| known.id() == till.id() && known.place() == till.place();
        if !tills.iter().any(known) {
            tills.push(till.clone());
        }
    }

    pub(crate) fn tended(&self) -> Vec<Arc<dyn ErasedTill>> {
        self.tills.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}
