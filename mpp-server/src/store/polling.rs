//! A watch for a store that has none: it reads again and again.

use std::time::Duration;

use mpp_core::store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned, Wakes, Watch};

/// A store that is watched by reading it, so often.
#[derive(Debug, Clone)]
pub struct Polling<S> {
    store: S,
    apart: Duration,
}

impl<S: Store> Polling<S> {
    /// Reads entries that are waited for `apart` from one another; each who waits reads for itself.
    pub fn new(store: S, apart: Duration) -> Self {
        Self { store, apart }
    }
}

impl<S: Store> Store for Polling<S> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.store.get(key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        self.store.swap(key, expect, value, keep)
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.store.scan(prefix, after, limit)
    }
}

impl<S: Store> Watch for Polling<S> {
    fn wakes(&self) -> Wakes {
        Wakes::Poll(self.apart)
    }

    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            while self.store.get(key).await?.map(|entry| entry.version) == seen {
                tokio::time::sleep(self.apart).await;
            }
            Ok(())
        })
    }
}
