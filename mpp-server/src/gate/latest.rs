//! The latest time a gate has seen: expiry is judged by it, so that a clock set back revives nothing.

use std::sync::atomic::{AtomicI64, Ordering};

use mpp_core::time::Timestamp;

/// The latest time seen, in Unix milliseconds.
#[derive(Debug)]
pub(crate) struct Latest(AtomicI64);

impl Latest {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Now, or later where it was later before.
    pub(crate) fn of(&self, now: Timestamp) -> Timestamp {
        let millis = now.unix_millis();
        let before = self.0.fetch_max(millis, Ordering::Relaxed);
        if before > millis { Timestamp::from_unix_millis(before) } else { now }
    }
}
