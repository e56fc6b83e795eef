//! Who waits in this process for which entry.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mpp_core::store::{Key, Store, StoreError, Version};
use tokio::sync::Notify;

/// One bell for each entry that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bells: Mutex<HashMap<Key, Arc<Notify>>>,
}

impl Waiting {
    /// Wakes all who wait for an entry.
    pub(super) fn wake(&self, key: &Key) {
        if let Some(bell) = self.lock().get(key) {
            bell.notify_waiters();
        }
    }

    /// Wakes everybody: after a gap in what was heard, anything may have changed.
    pub(super) fn wake_all(&self) {
        self.lock().values().for_each(|bell| bell.notify_waiters());
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Waits until an entry is no longer at a version; at most `patience`, for who may have lost a message.
    pub(super) async fn changed<S: Store + ?Sized>(
        &self,
        store: &S,
        key: &Key,
        seen: Option<Version>,
        patience: Duration,
    ) -> Result<(), StoreError> {
        let guest = self.join(key);
        let mut rung = pin!(guest.bell.notified());
        // Listening before reading: a change after the read rings, and one before it is read.
        rung.as_mut().enable();
        if store.get(key).await?.map(|entry| entry.version) != seen {
            return Ok(());
        }
        // Woken or out of patience, the caller reads again.
        let _ = tokio::time::timeout(patience, rung).await;
        Ok(())
    }

    fn join<'a>(&'a self, key: &'a Key) -> Guest<'a> {
        let bell = Arc::clone(self.lock().entry(key.clone()).or_default());
        Guest { waiting: self, key, bell }
    }

    /// No change under this lock can be half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits; the last for an entry takes its bell along.
struct Guest<'a> {
    waiting: &'a Waiting,
    key: &'a Key,
    bell: Arc<Notify>,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut bells = self.waiting.lock();
        // Two hold it: the table, and this one. Others are only made under the lock.
        if Arc::strong_count(&self.bell) == 2 {
            bells.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use mpp_core::store::{Keep, Memory};

    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_and_leaves_nothing_behind() {
        let (waiting, store) = (Arc::new(Waiting::default()), Arc::new(Memory::volatile()));
        let key = Key::of(&["t", "a"]).unwrap();
        let waits = {
            let (waiting, store, key) = (waiting.clone(), store.clone(), key.clone());
            tokio::spawn(async move {
                waiting.changed(&*store, &key, None, Duration::MAX).await.unwrap();
            })
        };
        while waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        waiting.wake(&Key::of(&["t", "b"]).unwrap());
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        store.swap(&key, None, Some(b"1"), Keep::Forever).await.unwrap();
        waiting.wake(&key);
        waits.await.unwrap();
        assert!(waiting.is_empty());
    }
}
