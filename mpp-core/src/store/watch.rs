//! Waiting for an entry to change, instead of asking again and again.

use std::{fmt, time::Duration};

use super::{BoxFuture, Key, StoreError, Version};

/// Wakes those who wait for an entry of a store.
pub trait Watch: fmt::Debug + Send + Sync + 'static {
    /// How it finds out.
    fn wakes(&self) -> Wakes;

    /// Waits until the entry is no longer at the version `seen` (`None`: absent), and returns at once where it is not
    /// now: no change between a read and this call is missed.
    ///
    /// It may return early. Read again and decide; what is read counts, not that one was woken.
    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// How a watch finds out that an entry changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wakes {
    /// The store says so: waiting costs nothing, and ends within milliseconds.
    Push,
    /// It reads the entry again and again, so long apart.
    Poll(Duration),
}

impl<W: Watch + ?Sized> Watch for std::sync::Arc<W> {
    fn wakes(&self) -> Wakes {
        (**self).wakes()
    }
    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).changed(key, seen)
    }
}
