//! The durable stores, on real files and real servers: what they promise, and what they do when those break.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod damage;
mod ledger;
mod outage;
mod polling;
mod postgres;
mod redb;
mod redis;

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Timestamp,
    store::{Keep, Key, Store, StoreError, Version},
};

fn key(segments: &[&str]) -> Key {
    Key::of(segments).unwrap()
}

async fn put(store: &dyn Store, key: &Key, value: &[u8]) -> Version {
    store.swap(key, None, Some(value), Keep::Forever).await.unwrap().expect("absent")
}

async fn value(store: &dyn Store, key: &Key) -> Option<Vec<u8>> {
    store.get(key).await.unwrap().map(|entry| entry.value)
}

fn keep(since: i64, ttl: Duration) -> Keep {
    Keep::For { since: Timestamp::from_unix_millis(since), ttl }
}

fn keys(found: &[(Key, mpp_core::store::Versioned)]) -> Vec<&str> {
    found.iter().map(|(key, _)| key.as_str()).collect()
}

/// Whether an error says that what it names is damaged.
fn is_corrupt(error: &StoreError, named: &str) -> bool {
    matches!(error, StoreError::Corrupt { what, .. } if what.contains(named))
}

fn is_newer(error: &StoreError, named: &str) -> bool {
    matches!(error, StoreError::Newer { what, .. } if what.contains(named))
}

/// Probe F: keys that a careless store folds into one file name or one column.
async fn probe_f(store: &dyn Store) {
    for name in ["a:b", "a_b", "a/b", "A:B"] {
        let key = key(&["probe-f", name]);
        let put = store.swap(&key, None, Some(name.as_bytes()), Keep::Forever).await.unwrap();
        assert!(put.is_some(), "put_if_absent({name}) found another key's entry");
    }
    for name in ["a:b", "a_b", "a/b", "A:B"] {
        assert_eq!(value(store, &key(&["probe-f", name])).await.unwrap(), name.as_bytes());
    }
}

/// S19: what `get` and then `put` lets through, a swap does not: of many who saw an entry absent, one writes it.
async fn s19(store: Arc<dyn Store>) {
    let used = key(&["s19", "used"]);
    assert!(value(&*store, &used).await.is_none());
    let writers = Vec::from_iter((0..64).map(|_| {
        let (store, used) = (Arc::clone(&store), used.clone());
        tokio::spawn(async move {
            store.swap(&used, None, Some(b"used"), Keep::Forever).await.unwrap().is_some()
        })
    }));
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.unwrap());
    }
    assert_eq!(won, 1, "a challenge was used {won} times");
    // An empty value is an entry, and not absence.
    let empty = key(&["s19", "empty"]);
    put(&*store, &empty, b"").await;
    assert!(store.swap(&empty, None, Some(b"x"), Keep::Forever).await.unwrap().is_none());
}
