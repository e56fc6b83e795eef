//! Where state lives: one object-safe trait with one write, a compare-and-swap.

mod key;
mod memory;
mod unreadable;
mod watch;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::time::Timestamp;

pub use self::{
    key::Key,
    memory::Memory,
    unreadable::Unreadable,
    watch::{Wakes, Watch},
};

/// A boxed future: what object-safe seams return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A key-value store whose one write is a compare-and-swap. No method has a default, so none can be missed.
///
/// Everything that guards money stands on [`Store::swap`] being atomic and durable once it answers.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads an entry. One past its [`Keep`] may still be seen.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>>;

    /// Writes (`Some`) or removes (`None`) an entry, if and only if the stored version is `expect` (`None`: absent).
    ///
    /// Returns the new version where it happened, `None` where another writer was first. A version is never used
    /// twice for one key.
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>>;

    /// Reads up to `limit` entries whose keys start with `prefix`, in key order, after `after`. Recovery and schedules use
    /// it; nothing on a request's path does.
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>>;
}

/// Which write of an entry this is. Opaque: only equality means anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version(pub u64);

/// An entry as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What a swap must expect to replace it.
    pub version: Version,
    /// What was written.
    pub value: Vec<u8>,
}

/// Values may be evidence, so they are not shown.
impl fmt::Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Versioned")
            .field("version", &self.version)
            .field("bytes", &self.value.len())
            .finish()
    }
}

/// How long an entry must be kept.
///
/// A store never forgets earlier; it may forget at any time after, and a reader must not rely on it having forgotten.
/// The writer says what time it is, so that neither a store in memory nor its tests need a clock.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Keep {
    /// Until it is removed.
    Forever,
    /// For a while.
    For {
        /// When the writer wrote it.
        since: Timestamp,
        /// For how long from then.
        ttl: Duration,
    },
}

/// Why a store did not answer. The caller fails closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, or broke; whether a write happened is not known.
    #[error("the store does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds as much as it may, and nothing of it may be forgotten yet.
    #[error("the store is full")]
    Full,
    /// An entry, or the file it is in, does not read as what it should be. Nothing else is affected.
    #[error("{what} cannot be read: it is damaged, or was not written by this program")]
    Corrupt {
        /// Its key, or its file.
        what: String,
        /// How it does not read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a newer version of this program, and is left as it is.
    #[error("{what} is of form {found}, newer than the {known} that this version knows")]
    Newer {
        /// Its key, or its file.
        what: String,
        /// The form it is in.
        found: u64,
        /// The newest form that this version reads.
        known: u64,
    },
}

impl StoreError {
    /// It cannot be reached, or broke.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// What is stored under a name does not read.
    pub fn corrupt(
        what: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt { what: what.into(), source: cause.into() }
    }

    /// What is stored under a key does not read, without a word of what is stored there.
    pub fn unreadable(key: &Key, e: serde_json::Error) -> Self {
        Self::corrupt(key.as_str(), Unreadable::from(e))
    }
}

/// What users of a store call: built on [`Store::swap`], not to be implemented.
pub trait StoreExt: Store {
    /// Reads a JSON value.
    fn read<'a, T: DeserializeOwned>(
        &'a self,
        key: &'a Key,
    ) -> impl Future<Output = Result<Option<(Version, T)>, StoreError>> + Send + 'a {
        async move {
            let Some(entry) = self.get(key).await? else { return Ok(None) };
            let value =
                serde_json::from_slice(&entry.value).map_err(|e| StoreError::unreadable(key, e))?;
            Ok(Some((entry.version, value)))
        }
    }

    /// Writes a JSON value over `expect`.
    fn write<'a, T: Serialize + Sync>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: &'a T,
        keep: Keep,
    ) -> impl Future<Output = Result<Option<Version>, StoreError>> + Send + 'a {
        async move {
            let bytes =
                serde_json::to_vec(value).map_err(|e| StoreError::corrupt(key.as_str(), e))?;
            self.swap(key, expect, Some(&bytes), keep).await
        }
    }

    /// Applies `change` until its swap wins, and returns what it returned then.
    ///
    /// `change` runs as often as another writer is first, so it must be pure; where it fails, nothing is written.
    fn update<'a, T, R, E>(
        &'a self,
        key: &'a Key,
        keep: Keep,
        mut change: impl FnMut(&mut T) -> Result<R, E> + Send + 'a,
    ) -> impl Future<Output = Result<Result<R, E>, StoreError>> + Send + 'a
    where
        T: Default + Serialize + DeserializeOwned + Send + Sync,
        R: Send,
        E: Send,
    {
        async move {
            loop {
                let (version, mut value) = match self.read::<T>(key).await? {
                    Some((version, value)) => (Some(version), value),
                    None => (None, T::default()),
                };
                let result = match change(&mut value) {
                    Ok(result) => result,
                    Err(e) => return Ok(Err(e)),
                };
                if self.write(key, version, &value, keep.clone()).await?.is_some() {
                    return Ok(Ok(result));
                }
            }
        }
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

impl<S: Store + ?Sized> Store for std::sync::Arc<S> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        (**self).get(key)
    }
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        (**self).swap(key, expect, value, keep)
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        (**self).scan(prefix, after, limit)
    }
}
