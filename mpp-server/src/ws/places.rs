//! Who is at which account: a socket that comes later takes over from one before it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// The sockets of a route by account. A client that lost its connection and comes again does not wait until we notice, and what
/// the lost one had reserved is free at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

/// A socket's place at its account, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    account: String,
    ended: Arc<Notify>,
}

impl Places {
    /// Takes the place; whoever had it is told.
    pub(crate) fn take(&self, account: &str) -> Place {
        let ended = Arc::new(Notify::new());
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = map.insert(account.to_owned(), ended.clone()) {
            // Kept for one who is not listening yet.
            before.notify_one();
        }
        Place { places: self.clone(), account: account.to_owned(), ended }
    }
}

impl Place {
    /// Waits until another takes the place.
    pub(crate) async fn taken(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut map = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&self.account).is_some_and(|now| Arc::ptr_eq(now, &self.ended)) {
            map.remove(&self.account);
        }
    }
}
