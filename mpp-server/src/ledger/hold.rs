//! Which payments a task of this process has in hand: what no lease, and no clock, can be wrong about.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mpp_core::store::Key;

/// The keys of payments in hand, from before their proofs are checked to their last write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds(Arc<Mutex<HashSet<Key>>>);

impl Holds {
    /// Takes a payment in hand; `None` where a task has it already.
    pub(crate) fn take(&self, key: &Key) -> Option<Hold> {
        let taken = self.locked().insert(key.clone());
        taken.then(|| Hold { holds: self.clone(), key: key.clone() })
    }

    /// Whether a task has a payment in hand.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.locked().contains(key)
    }

    /// Whether nothing is in hand.
    pub(crate) fn is_empty(&self) -> bool {
        self.locked().is_empty()
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A payment in hand, until this is dropped: a task that panics lets go too.
#[derive(Debug)]
pub(crate) struct Hold {
    holds: Holds,
    key: Key,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.locked().remove(&self.key);
    }
}
