//! A store in one file of this process: embedded, durable, many swaps in one commit.

mod expiry;
mod file;
mod row;
mod writer;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use mpp_core::store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned, Wakes, Watch};
use tokio::sync::oneshot;

use self::{
    file::File,
    row::Row,
    writer::{Swap, Writer},
};
use super::{frame::readable, span::Span, waiting::Waiting};

/// A store in one file. A restart loses nothing; one process at a time has it open.
///
/// A swap answers once it is on the disk. Those that wait at one time share a commit, so that many in flight cost
/// hardly more than one.
///
/// **Expiry.** An entry is forgotten only when two clocks say so: its writers' (a later time than it was to be kept
/// until was named with the last write that named one) and the file's own (it was open for that long since the entry
/// was written). So a clock that jumps ahead forgets nothing early, one that jumps back keeps what it made valid again,
/// and what was written before a pause is kept for longer.
///
/// **Damage.** Opening reads the whole file, and refuses by name one that is damaged, cut short, empty, or of another
/// program. What breaks while it is open (a disk that is full, a page that does not read) is an error from then on, until it is opened again.
///
/// Dropping it waits, for a few milliseconds, until what was taken is on the disk and the file is closed.
pub struct Redb {
    // Before the file: the writer ends first.
    writer: Writer,
    file: Arc<File>,
    waiting: Arc<Waiting>,
}

impl Redb {
    /// Opens a store, and makes it where there is none. A file that is there and empty is refused: it was once a store
    /// that knew which payments were used, and taking it for a new one would sell them twice.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Newer`] name the file; [`StoreError::Unavailable`] where it cannot be
    /// reached, or is open elsewhere.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let name = path.display().to_string();
        let opened = tokio::task::spawn_blocking(move || {
            let file = Arc::new(File::open(path)?);
            let waiting = Arc::default();
            let writer = Writer::start(Arc::clone(&file), Arc::clone(&waiting))?;
            Ok(Self { writer, file, waiting })
        });
        // Redb may panic over a page that is not as it was written.
        opened.await.unwrap_or_else(|panic| Err(StoreError::corrupt(name, panic)))
    }

    fn read(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.file.reading(|entries| match entries.get(key.as_str())? {
            Some(stored) => Ok(Row::read(key, stored.value()).map(|row| Some(row.versioned()))),
            None => Ok(Ok(None)),
        })?
    }

    fn read_many(&self, span: &Span, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        use std::ops::Bound::{Excluded, Included};
        self.file.reading(|entries| {
            let mut found = Vec::new();
            let mut add = |key: Key, stored: &[u8]| {
                let row = readable(Row::read(&key, stored));
                found.extend(row.map(|row| row.versioned()).map(|entry| (key, entry)));
                found.len() < limit
            };
            if limit == 0 {
                return Ok(found);
            }
            if let Some(first) = &span.first
                && let Some(stored) = entries.get(first.as_str())?
                && !add(first.clone(), stored.value())
            {
                return Ok(found);
            }
            let from = if span.exclusive { Excluded(&*span.from) } else { Included(&*span.from) };
            for entry in entries.range::<&str>((from, Excluded(&*span.to)))? {
                let (key, stored) = entry?;
                if !add(Key::from_stored(key.value()), stored.value()) {
                    break;
                }
            }
            Ok(found)
        })
    }
}

/// A read is of pages that are in memory, as a rule, and takes microseconds: handing it to another thread takes longer.
impl Store for Redb {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move { self.read(key) })
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let value = value.map(<[u8]>::to_vec);
            self.writer.take(Swap { key: key.clone(), expect, value, keep, answer });
            // The writer answers everything it took, so silence is the end of it.
            answered.await.unwrap_or_else(|_| Err(self.file.ended()))
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        Box::pin(async move { self.read_many(&Span::new(prefix, after), limit) })
    }
}

/// Of changes by this process, which are all there are.
impl Watch for Redb {
    fn wakes(&self) -> Wakes {
        Wakes::Push
    }

    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.waiting.changed(self, key, seen, Duration::MAX))
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb").field("path", &self.file.path()).finish_non_exhaustive()
    }
}
