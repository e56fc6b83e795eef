//! A store in this process's memory: fast, bounded, and gone with the process.

mod waiting;

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    ops::Bound,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use self::waiting::Waiting;
use super::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned, Wakes, Watch};

const SHARDS: usize = 16;
const DEFAULT_BOUND: usize = 1_000_000;
const FIRST_SWEEP: usize = 4096;

/// A store that a restart empties.
///
/// What that loses: which payments were settled and not yet delivered (paid and not served), and which challenges and
/// proofs were used (within a challenge's lifetime a credential could be shown again). Use it in tests, in examples, and
/// where a restart outlives every challenge; use a durable store where money matters.
pub struct Memory {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    versions: AtomicU64,
    /// The time the last writer named, in milliseconds: what expiry is judged by, since core reads no clock.
    now: AtomicI64,
    entries: AtomicUsize,
    /// How many entries are let come before what is past is looked for: twice as many as were live the last time, so that
    /// looking costs each entry little.
    sweep_at: AtomicUsize,
    bound: usize,
}

#[derive(Default)]
struct Shard {
    entries: BTreeMap<Key, Entry>,
    waiting: Waiting,
}

struct Entry {
    version: Version,
    value: Vec<u8>,
    until: Option<i64>,
}

impl Memory {
    /// Makes an empty store, for up to a million entries.
    pub fn volatile() -> Self {
        Self::bounded(DEFAULT_BOUND)
    }

    /// Makes an empty store for up to `bound` entries. Full of what may not be forgotten, it refuses new ones: forgetting
    /// a used challenge would sell it twice.
    pub fn bounded(bound: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            versions: AtomicU64::new(1),
            now: AtomicI64::new(i64::MIN),
            entries: AtomicUsize::new(0),
            sweep_at: AtomicUsize::new(FIRST_SWEEP),
            bound,
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        lock(&self.shards[index])
    }

    fn try_swap(
        &self,
        key: &Key,
        expect: Option<Version>,
        value: Option<&[u8]>,
        keep: Keep,
    ) -> Result<Option<Version>, StoreError> {
        let until = match &keep {
            Keep::Forever => None,
            Keep::For { since, ttl } => {
                let since = since.unix_millis();
                self.now.store(since, Ordering::Relaxed);
                Some(since.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)))
            }
        };
        if value.is_some() && expect.is_none() {
            let full = self.bound.min(self.sweep_at.load(Ordering::Relaxed));
            if self.entries.load(Ordering::Relaxed) >= full {
                self.sweep();
            }
        }
        let mut shard = self.shard(key);
        if shard.live(key, self.now.load(Ordering::Relaxed)) != expect {
            return Ok(None);
        }
        let version = self.next();
        let Some(value) = value else {
            if shard.entries.remove(key).is_some() {
                self.entries.fetch_sub(1, Ordering::Relaxed);
            }
            shard.waiting.wake(key);
            return Ok(Some(version));
        };
        if !shard.entries.contains_key(key) {
            if self.entries.load(Ordering::Relaxed) >= self.bound {
                return Err(StoreError::Full);
            }
            self.entries.fetch_add(1, Ordering::Relaxed);
        }
        shard.entries.insert(key.clone(), Entry { version, value: value.to_vec(), until });
        shard.waiting.wake(key);
        Ok(Some(version))
    }

    fn next(&self) -> Version {
        Version(self.versions.fetch_add(1, Ordering::Relaxed))
    }

    fn sweep(&self) {
        let now = self.now.load(Ordering::Relaxed);
        for shard in &self.shards {
            let entries = &mut lock(shard).entries;
            let before = entries.len();
            entries.retain(|_, e| !e.past(now));
            self.entries.fetch_sub(before - entries.len(), Ordering::Relaxed);
        }
        let live = self.entries.load(Ordering::Relaxed);
        self.sweep_at.store(live.saturating_mul(2).max(FIRST_SWEEP), Ordering::Relaxed);
    }
}

impl Shard {
    fn live(&self, key: &Key, now: i64) -> Option<Version> {
        self.entries.get(key).filter(|e| !e.past(now)).map(|e| e.version)
    }
}

impl Entry {
    fn past(&self, now: i64) -> bool {
        self.until.is_some_and(|until| until < now)
    }

    fn read(&self) -> Versioned {
        Versioned { version: self.version, value: self.value.clone() }
    }
}

/// Nothing under these locks can panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        let now = self.now.load(Ordering::Relaxed);
        let found = self.shard(key).entries.get(key).filter(|e| !e.past(now)).map(Entry::read);
        Box::pin(std::future::ready(Ok(found)))
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        // In the future, not before it: a swap that is never awaited must not happen.
        Box::pin(async move { self.try_swap(key, expect, value, keep) })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        let now = self.now.load(Ordering::Relaxed);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = BTreeMap::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let under = shard.entries.range((from, Bound::Unbounded));
            let under = under.take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()));
            let live = under.filter(|(key, entry)| key.is_under(prefix) && !entry.past(now));
            for (key, entry) in live.take(limit) {
                found.insert(key.clone(), entry.read());
                if found.len() > limit {
                    found.pop_last();
                }
            }
        }
        Box::pin(std::future::ready(Ok(found.into_iter().collect())))
    }
}

impl Watch for Memory {
    fn wakes(&self) -> Wakes {
        Wakes::Push
    }

    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(waiting::Changed::new(self, key, seen))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("entries", &self.entries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Poll, time::Duration};

    use super::*;
    use crate::time::Timestamp;

    fn key(name: &str) -> Key {
        Key::of(&["t", name]).unwrap()
    }

    fn keep(since: i64, secs: u64) -> Keep {
        Keep::For {
            since: Timestamp::from_unix_millis(since * 1000),
            ttl: Duration::from_secs(secs),
        }
    }

    #[tokio::test]
    async fn one_of_two_writers_wins() {
        let m = Memory::volatile();
        let v = m.swap(&key("a"), None, Some(b"1"), Keep::Forever).await.unwrap().unwrap();
        assert!(m.swap(&key("a"), None, Some(b"2"), Keep::Forever).await.unwrap().is_none());
        assert!(m.swap(&key("a"), Some(v), Some(b"3"), Keep::Forever).await.unwrap().is_some());
        assert!(m.swap(&key("a"), Some(v), Some(b"4"), Keep::Forever).await.unwrap().is_none());
        assert_eq!(m.get(&key("a")).await.unwrap().unwrap().value, b"3");
    }

    #[tokio::test]
    async fn a_swap_that_is_not_awaited_does_not_happen() {
        let m = Memory::volatile();
        drop(m.swap(&key("a"), None, Some(b"1"), Keep::Forever));
        assert!(m.get(&key("a")).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_entry_is_kept_as_long_as_it_must_be_and_room_is_made_after() {
        let m = Memory::bounded(2);
        m.swap(&key("a"), None, Some(b"1"), keep(100, 10)).await.unwrap();
        m.swap(&key("b"), None, Some(b"1"), Keep::Forever).await.unwrap();
        assert!(matches!(
            m.swap(&key("c"), None, Some(b"1"), keep(109, 1)).await,
            Err(StoreError::Full)
        ));
        assert!(m.swap(&key("c"), None, Some(b"1"), keep(111, 1)).await.unwrap().is_some());
        assert!(
            m.get(&key("a")).await.unwrap().is_none() && m.get(&key("b")).await.unwrap().is_some()
        );
    }

    #[tokio::test]
    async fn what_is_past_makes_room_long_before_the_store_is_full() {
        let m = Memory::volatile();
        for n in 0..20_000 {
            let written = m.swap(&key(&n.to_string()), None, Some(b"1"), keep(n, 10)).await;
            written.unwrap().unwrap();
        }
        assert!(m.entries.load(Ordering::Relaxed) <= FIRST_SWEEP);
    }

    #[tokio::test]
    async fn a_clock_that_was_ahead_forgets_nothing_once_it_is_right_again() {
        let m = Memory::volatile();
        m.swap(&key("a"), None, Some(b"1"), keep(100, 10)).await.unwrap();
        m.swap(&key("b"), None, Some(b"1"), keep(100_000, 10)).await.unwrap();
        m.swap(&key("c"), None, Some(b"1"), keep(101, 10)).await.unwrap();
        for name in ["a", "b", "c"] {
            assert!(m.get(&key(name)).await.unwrap().is_some(), "{name}");
        }
    }

    #[tokio::test]
    async fn who_waits_for_an_entry_is_woken_by_its_change_and_by_no_other() {
        let m = Memory::volatile();
        let v = m.swap(&key("a"), None, Some(b"1"), Keep::Forever).await.unwrap().unwrap();
        m.changed(&key("a"), None).await.unwrap();
        let seen = key("a");
        let mut waits = m.changed(&seen, Some(v));
        let mut pending = async || {
            std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending())).await
        };
        assert!(pending().await);
        m.swap(&key("b"), None, Some(b"1"), Keep::Forever).await.unwrap();
        assert!(pending().await);
        m.swap(&key("a"), Some(v), None, Keep::Forever).await.unwrap();
        assert!(!pending().await);
        drop(waits);
        // Nobody waits any more, and nothing is kept of who did.
        assert!(m.shards.iter().all(|s| lock(s).waiting.is_empty()));
    }

    #[tokio::test]
    async fn a_scan_goes_in_key_order_page_by_page() {
        let m = Memory::volatile();
        for name in ["c", "a", "b", "d"] {
            m.swap(&key(name), None, Some(b"1"), Keep::Forever).await.unwrap();
        }
        m.swap(&Key::of(&["tt", "x"]).unwrap(), None, Some(b"1"), Keep::Forever).await.unwrap();
        let prefix = Key::of(&["t"]).unwrap();
        let first = m.scan(&prefix, None, 3).await.unwrap();
        let rest = m.scan(&prefix, Some(&first[2].0), 3).await.unwrap();
        let names: Vec<_> = first.iter().chain(&rest).map(|(k, _)| k.as_str()).collect();
        assert_eq!(names, ["t/a", "t/b", "t/c", "t/d"]);
    }
}
