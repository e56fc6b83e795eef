//! What this process knows of accounts in use: who waits for a change, and who has an order in hand. Truth is the store's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use mpp_core::store::Key;
use tokio::sync::{Mutex as Turns, Notify};

/// One account in use. Dropped with its last user: an idle account costs its entry in the store and nothing here.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// A queue for writers of this process, so that they do not lose their swaps to each other. Nothing depends on it.
    pub(super) writing: Turns<()>,
    /// Whoever carries an order out holds it: one at a time.
    pub(crate) ordering: Arc<Turns<()>>,
    /// Woken when an account's credit or state changed.
    pub(super) changed: Notify,
}

/// The accounts in use.
#[derive(Debug, Default)]
pub(crate) struct Locals(Mutex<HashMap<Key, Weak<Local>>>);

/// Entries beyond which dead ones are swept out.
const MANY: usize = 1024;

impl Locals {
    pub(crate) fn of(&self, key: &Key) -> Arc<Local> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(local) = map.get(key).and_then(Weak::upgrade) {
            return local;
        }
        // Amortised: at least half of the map is dead, or it has doubled since.
        if map.len() >= MANY && map.len() == map.capacity() {
            map.retain(|_, local| local.strong_count() > 0);
        }
        let local = Arc::new(Local::default());
        map.insert(key.clone(), Arc::downgrade(&local));
        local
    }

    /// Forgets an account that nobody uses.
    pub(crate) fn leave(&self, key: &Key, local: Arc<Local>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(local);
        if map.get(key).is_some_and(|local| local.strong_count() == 0) {
            map.remove(key);
        }
    }
}
