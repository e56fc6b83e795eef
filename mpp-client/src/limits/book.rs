//! The books of one cap: what was spent, per host and in all. Pure; who holds them writes them down.

use std::collections::HashMap;

use mpp_core::store::StoreError;
use serde::{Deserialize, Serialize, Serializer};

use super::window::{Cell, Window};
use crate::form;

/// Origins kept apart in a window; one more is denied rather than forgotten.
pub(super) const MAX_HOSTS: usize = 1024;

/// The newest form of a book that is read, and the one that is written.
const FORM: u64 = 1;

/// What was spent, per host and in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    v: u64,
    pub(super) all: Window,
    #[serde(serialize_with = "sorted")]
    hosts: HashMap<String, Window>,
}

/// Where a reservation is booked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spot {
    /// Which of the limits' caps, among those in memory.
    #[serde(skip)]
    pub(super) cap: usize,
    pub(super) host: String,
    pub(super) in_host: Cell,
    pub(super) in_all: Cell,
    /// Those of the currency that was quoted.
    pub(super) decimals: u8,
}

impl Book {
    pub(super) fn new(window: i64) -> Self {
        Self { v: FORM, all: Window::of(window), hosts: HashMap::new() }
    }

    pub(super) fn read(key: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let read: Self = form::read(key, bytes, FORM)?;
        let whole = read.hosts.values().chain([&read.all]).all(Window::is_whole);
        if whole { Ok(Self { v: FORM, ..read }) } else { Err(StoreError::corrupt(key, Broken)) }
    }

    pub(super) fn write(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|e| StoreError::corrupt(key, e))
    }

    /// What a host got; `None` where that would be one host too many.
    pub(super) fn host(&mut self, host: &str, window: i64, now: i64) -> Option<&mut Window> {
        if !self.hosts.contains_key(host) {
            if self.hosts.len() >= MAX_HOSTS {
                self.hosts.retain(|_, window| window.spent(now) > 0);
            }
            if self.hosts.len() >= MAX_HOSTS {
                return None;
            }
        }
        let found = self.hosts.entry(host.to_owned()).or_insert_with(|| Window::of(window));
        found.fit(window);
        Some(found)
    }

    pub(super) fn give_back(&mut self, spot: &Spot, amount: u128) {
        if let Some(window) = self.hosts.get_mut(&spot.host) {
            window.give_back(spot.in_host, amount);
        }
        self.all.give_back(spot.in_all, amount);
    }
}

/// The same book is the same bytes.
fn sorted<S: Serializer>(hosts: &HashMap<String, Window>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(std::collections::BTreeMap::from_iter(hosts))
}

#[derive(Debug, thiserror::Error)]
#[error("a window of no length, or one whose slots are out of order")]
struct Broken;
