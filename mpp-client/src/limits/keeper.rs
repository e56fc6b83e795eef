//! Who keeps the books of a cap: this process, or a store that outlives it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mpp_core::{
    Amount,
    store::{Keep, Key, Store, StoreError, Version},
};
use serde::{Deserialize, Serialize};

use super::{
    book::{Book, Spot},
    cap::{Asked, Cap},
};
use crate::policy::{Booking, Denied, reservation::Place};

/// Writers that may be first before a store is taken to lose every write.
const TRIES: u32 = 1000;

/// Who keeps the books.
#[derive(Clone, Debug)]
pub(super) enum Keeper {
    Memory(Arc<Mutex<Book>>),
    Store(Kept),
}

/// Books in a store: one value, changed by compare-and-swap, so that every process which names it shares it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
}

/// Where something is booked in a store, as a journal keeps it.
#[derive(Serialize, Deserialize)]
struct Written {
    book: String,
    #[serde(flatten)]
    spot: Spot,
}

impl Keeper {
    pub(super) fn memory(window: i64) -> Self {
        Self::Memory(Arc::new(Mutex::new(Book::new(window))))
    }

    /// Books what is asked of the cap at this place among the limits.
    pub(super) async fn take(
        &self,
        cap: &Cap,
        at: usize,
        asked: &Asked<'_>,
    ) -> Result<Booking, Denied> {
        match self {
            Self::Memory(book) => {
                let spot = cap.take(&mut locked(book), asked)?;
                Ok(Booking(Place::Memory(Spot { cap: at, ..spot })))
            }
            // A crash here leaves it spent or not, and nothing signed.
            Self::Store(kept) => match kept.change(cap, |book| cap.take(book, asked)).await {
                Ok(taken) => kept.booking(taken?),
                Err(e) => Err(Denied::Unavailable(Arc::new(e))),
            },
        }
    }
}

/// Takes something back in memory.
pub(super) fn give_back(book: &Mutex<Book>, cap: &Cap, spot: &Spot, part: Amount) {
    locked(book).give_back(spot, cap.count_down(part, spot.decimals));
}

impl Kept {
    /// Takes something back, if it is booked here; tells whether it is.
    pub(super) async fn give_back(
        &self,
        cap: &Cap,
        place: &str,
        part: Amount,
    ) -> Result<bool, StoreError> {
        // Another policy's place, or another book's: not ours to lessen.
        let Ok(Written { book, spot }) = serde_json::from_str(place) else { return Ok(false) };
        if book != self.key.as_str() {
            return Ok(false);
        }
        let counted = cap.count_down(part, spot.decimals);
        let given = self.change(cap, |book| {
            book.give_back(&spot, counted);
            Ok::<_, Denied>(())
        });
        given.await.map(|_| true)
    }

    fn booking(&self, spot: Spot) -> Result<Booking, Denied> {
        let place = Written { book: self.key.as_str().to_owned(), spot };
        let text = serde_json::to_string(&place).map_err(|e| {
            Denied::Unavailable(Arc::new(StoreError::corrupt(self.key.as_str(), e)))
        })?;
        Ok(Booking::new(text))
    }

    /// Applies a change until its swap wins. A swap that breaks may have happened: what it booked stays spent.
    async fn change<R>(
        &self,
        cap: &Cap,
        mut change: impl FnMut(&mut Book) -> Result<R, Denied> + Send,
    ) -> Result<Result<R, Denied>, StoreError> {
        for _ in 0..TRIES {
            let (version, mut book) = self.read(cap).await?;
            let changed = match change(&mut book) {
                Ok(changed) => changed,
                Err(denied) => return Ok(Err(denied)),
            };
            let bytes = book.write(self.key.as_str())?;
            let swapped = self.store.swap(&self.key, version, Some(&bytes), Keep::Forever);
            if swapped.await?.is_some() {
                return Ok(Ok(changed));
            }
        }
        Err(StoreError::unavailable("the books are changed by others all the time"))
    }

    async fn read(&self, cap: &Cap) -> Result<(Option<Version>, Book), StoreError> {
        Ok(match self.store.get(&self.key).await? {
            Some(found) => (Some(found.version), Book::read(self.key.as_str(), &found.value)?),
            None => (None, Book::new(cap.window)),
        })
    }
}

/// No panic can happen while the book is held; a poisoned one is as good as any.
fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
