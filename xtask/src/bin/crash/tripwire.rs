//! A store that kills its process at a named write, or leaves one write out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mpp_core::store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;

/// The point this process dies at, once it is armed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuse(Arc<Mutex<Armed>>);

#[derive(Debug, Default)]
struct Armed {
    point: Option<String>,
    /// Which arming it is: a timer of one before does nothing.
    turn: u64,
}

impl Fuse {
    pub(crate) fn arm(&self, point: &str) {
        lock(&self.0).point = Some(point.to_owned());
    }

    /// Lets it die so much later, wherever it is then. By a thread: nothing that the runtime does holds it up.
    pub(crate) fn burn(&self, wait: Duration) {
        let (fuse, turn) = (self.0.clone(), lock(&self.0).turn);
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            let armed = lock(&fuse);
            if armed.turn == turn {
                die();
            }
        });
    }

    /// From here on it lives.
    pub(crate) fn disarm(&self) {
        let mut armed = lock(&self.0);
        (armed.point, armed.turn) = (None, armed.turn + 1);
    }

    /// Dies here, if this is the point: SIGKILL, so that nothing is flushed, told or cleaned up.
    pub(crate) fn pass(&self, point: &str) {
        if lock(&self.0).point.as_deref() == Some(point) {
            die();
        }
    }
}

/// SIGKILL, by its own hand.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// The durable write that this build leaves out.
const DROPPED: Option<&str> = dropped();

const fn dropped() -> Option<&'static str> {
    if cfg!(drop_mark = "settling") {
        Some("settling")
    } else if cfg!(drop_mark = "settled") {
        Some("settled")
    } else if cfg!(drop_mark = "delivered") {
        Some("delivered")
    } else if cfg!(drop_mark = "signed") {
        Some("signed")
    } else {
        None
    }
}

/// Which write this is; `None` where it is none of the named.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming {
    /// By what is written where.
    Written(fn(&Key, &Value) -> Option<&'static str>),
    /// By what was there before as well: null where there was nothing.
    Changed(fn(&Key, &Value, &Value) -> Option<&'static str>),
}

/// A store under watch.
#[derive(Debug)]
pub(crate) struct Tripwire {
    store: Arc<dyn Store>,
    fuse: Fuse,
    naming: Naming,
    dropped: Option<String>,
    /// Writes that were left out: this process goes on as if they had happened, and no other ever sees them.
    phantoms: Mutex<HashMap<Key, Phantom>>,
    versions: AtomicU64,
}

#[derive(Clone, Debug)]
struct Phantom {
    shown: Versioned,
    beneath: Option<Version>,
}

impl Tripwire {
    pub(crate) fn new(store: Arc<dyn Store>, fuse: Fuse, naming: Naming) -> Self {
        let (phantoms, versions) = (Mutex::default(), AtomicU64::new(u64::MAX));
        let dropped = DROPPED.map(str::to_owned);
        Self { store, fuse, naming, dropped, phantoms, versions }
    }

    /// Leaves a write out in this process, whatever the build does.
    pub(crate) fn without(self, write: Option<String>) -> Self {
        let dropped = write.or(self.dropped);
        Self { dropped, ..self }
    }

    async fn name(
        &self,
        key: &Key,
        value: Option<&[u8]>,
    ) -> Result<Option<&'static str>, StoreError> {
        let Some(value) = value else { return Ok(None) };
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
        match self.naming {
            Naming::Written(name) => Ok(name(key, &json(value))),
            Naming::Changed(name) => {
                let before = self.get(key).await?.map(|found| json(&found.value));
                Ok(name(key, &before.unwrap_or_default(), &json(value)))
            }
        }
    }

    fn phantom(&self, key: &Key) -> Option<Phantom> {
        lock(&self.phantoms).get(key).cloned()
    }

    fn leave_out(&self, key: &Key, beneath: Option<Version>, value: &[u8]) -> Version {
        let version = Version(self.versions.fetch_sub(1, Ordering::Relaxed));
        let shown = Versioned { version, value: value.to_vec() };
        lock(&self.phantoms).insert(key.clone(), Phantom { shown, beneath });
        version
    }

    async fn write(
        &self,
        key: &Key,
        (expect, value): (Option<Version>, Option<&[u8]>),
        keep: Keep,
        name: Option<&'static str>,
    ) -> Result<Option<Version>, StoreError> {
        let phantom = self.phantom(key);
        let seen = match &phantom {
            Some(phantom) if expect == Some(phantom.shown.version) => phantom.beneath,
            Some(_) => return Ok(None),
            None => expect,
        };
        if let (Some(value), true) = (value, name.is_some() && name == self.dropped.as_deref()) {
            let there = self.store.get(key).await?.map(|found| found.version);
            return Ok((there == seen).then(|| self.leave_out(key, seen, value)));
        }
        let written = self.store.swap(key, seen, value, keep).await?;
        if written.is_some() {
            lock(&self.phantoms).remove(key);
        }
        Ok(written)
    }
}

impl Store for Tripwire {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        match self.phantom(key) {
            Some(phantom) => Box::pin(std::future::ready(Ok(Some(phantom.shown)))),
            None => self.store.get(key),
        }
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let Some(name) = self.name(key, value).await? else {
                return self.write(key, (expect, value), keep, None).await;
            };
            self.fuse.pass(&format!("before {name}"));
            let written = self.write(key, (expect, value), keep, Some(name)).await;
            if matches!(written, Ok(Some(_))) {
                self.fuse.pass(&format!("after {name}"));
            }
            written
        })
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
