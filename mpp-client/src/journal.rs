//! What a wallet has signed and not seen the end of, written down before anything leaves.
//!
//! ```text
//! intent ──► signed ──► sent ──► settled ──► delivered
//!    │          └─────────┴─────────┴──► lost, dead
//!    └──► dead
//! ```

mod entry;
mod purpose;
mod record;
mod shelf;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mpp_core::{
    Receipt, Timestamp,
    credential::Fingerprint,
    payer::{Quote, Site},
    store::{Key, Store, StoreError, Versioned},
};

use self::shelf::{Held, Shelf};
pub(crate) use self::{
    entry::Entry,
    record::{Proof, Record},
};
pub use self::{purpose::Purpose, record::State};
use crate::{random, unfinished::Unfinished};

/// How often what is open is asked about by itself, where requests are made: some rails can prove for an hour only that a
/// payment never happened.
const TENDED_EVERY: Duration = Duration::from_secs(30);

/// Records that are read at a time when a journal is opened.
const PAGE: usize = 256;

/// A wallet's journal, in a store and under a name.
///
/// Each payment is written down as an intent before its payer is asked, and with its credential before that can leave. After a
/// crash or a lost answer, the next request of the same [`Purpose`] shows the credential there is, and none is signed anew
/// until that one is provably dead: see [`Payer::became`](mpp_core::payer::Payer::became).
///
/// One process at a time per name: two would both go on with what they find. Clones share everything. It holds
/// credentials, which are worth money: so is the store.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    name: String,
    shelf: Mutex<Shelf>,
    /// When what is open was last asked about by itself.
    tended: Mutex<Option<Instant>>,
}

/// A payment whose end is not known, and that no request is busy with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Open {
    /// Its name in the journal.
    pub id: String,
    /// How far it came.
    pub state: State,
    /// What was quoted before it was signed: method, amount, currency, and who asked for what.
    pub quote: Quote,
    /// What to show again by hand, once there is a credential. The next request of the same purpose does so by itself.
    pub unfinished: Option<Unfinished>,
    /// The server's word that it took it.
    pub receipt: Option<Box<Receipt>>,
    /// When its payer was asked.
    pub began: Timestamp,
    /// When anything was last heard of it.
    pub changed: Timestamp,
}

impl Open {
    /// Who is paid, and for what.
    pub fn to(&self) -> &Site {
        &self.quote.to
    }
}

impl Journal {
    /// Opens the journal of this name, and reads what is open in it: once, here, and never on a request's way.
    ///
    /// # Errors
    /// The store does not answer, or holds a record that cannot be read ([`StoreError::Corrupt`]), or that a newer version
    /// wrote ([`StoreError::Newer`]): better not to pay than to pay what that says was paid.
    pub async fn open(store: impl Store, name: &str) -> Result<Self, StoreError> {
        let store: Arc<dyn Store> = Arc::new(store);
        let inner = Inner {
            store,
            name: name.to_owned(),
            shelf: Mutex::default(),
            tended: Mutex::default(),
        };
        let prefix = key(&["journal", name])?;
        let mut open = Vec::new();
        let mut after: Option<Key> = None;
        loop {
            let page = inner.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let whole = page.len() >= PAGE;
            after = page.last().map(|(key, _)| key.clone());
            for (key, Versioned { version, value }) in page {
                let record = match Record::read(key.as_str(), &value) {
                    Ok(record) => record,
                    // Nothing is ever done with what is over.
                    Err(e) if Record::is_over(&value) => {
                        tracing::warn!(key = key.as_str(), error = %e, "a record of what is over cannot be read");
                        continue;
                    }
                    Err(e) => return Err(e),
                };
                if !record.state.is_final() {
                    open.push(Held {
                        record,
                        version: Some(version),
                        unsaved: false,
                        doubt: false,
                    });
                }
            }
            if !whole {
                break;
            }
        }
        open.sort_by(|a, b| a.record.began.cmp_instant(&b.record.began));
        open.into_iter().for_each(|held| inner.shelf().put(held));
        Ok(Self(Arc::new(inner)))
    }

    /// What is open and that no request is busy with, oldest first.
    pub fn unfinished(&self) -> Vec<Open> {
        let open = |(record, unsaved): (Record, bool)| {
            let open = Open::from(record);
            // What is not stored must not leave: the next request of its purpose stores it first.
            Open { unfinished: open.unfinished.filter(|_| !unsaved), ..open }
        };
        self.0.shelf().list().into_iter().map(open).collect()
    }

    /// Writes an intent down.
    ///
    /// # Errors
    /// It may not be stored, or its purpose is to be paid for once and is open: nothing may be paid for it.
    pub(crate) async fn begin(&self, intent: Intent) -> Result<Entry, Unbegun> {
        let Intent { purpose, quote, challenge, reserved, key, only_once, now } = intent;
        let record = Record {
            id: random::name().map_err(StoreError::unavailable)?,
            state: State::Intent,
            purpose,
            quote,
            step: mpp_core::payer::Step::Pay,
            proof: Proof::Asked(challenge),
            reserved,
            key,
            receipt: None,
            began: now.clone(),
            changed: now,
        };
        let held = Held { record, version: None, unsaved: true, doubt: false };
        let mut entry = Entry::first(&self.0, held, only_once)?;
        match entry.write().await {
            Ok(()) => Ok(entry),
            Err(e) => {
                entry.discard();
                Err(e.into())
            }
        }
    }

    /// Takes what an earlier request of this purpose left, the oldest first.
    pub(crate) fn take_for(&self, purpose: &Purpose) -> Option<Entry> {
        let held = self.0.shelf().take_for(purpose)?;
        self.entry(held)
    }

    /// Whether it is time to ask what became of what is open: at most once in a while, and only where something is.
    pub(crate) fn is_to_be_tended(&self) -> bool {
        if self.0.shelf().is_empty() {
            return false;
        }
        let mut tended = self.0.tended.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tended.is_none_or(|last| last.elapsed() >= TENDED_EVERY);
        if due {
            *tended = Some(Instant::now());
        }
        due
    }

    pub(crate) fn take_signed(&self, print: Fingerprint) -> Option<Entry> {
        let held = self.0.shelf().take_signed(print)?;
        self.entry(held)
    }

    pub(crate) fn take(&self, id: &str) -> Option<Entry> {
        let held = self.0.shelf().take(id)?;
        self.entry(held)
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.shelf().list().into_iter().map(|(record, _)| record).collect()
    }

    /// The key of a record was made once, when it was read or begun.
    fn entry(&self, held: Held) -> Option<Entry> {
        Entry::new(&self.0, held).ok()
    }
}

/// What is about to be paid.
pub(crate) struct Intent {
    pub(crate) purpose: Option<Purpose>,
    pub(crate) quote: Quote,
    pub(crate) challenge: mpp_core::Challenge,
    pub(crate) reserved: crate::policy::Reservation,
    pub(crate) key: Option<String>,
    /// Its purpose is one intent by the application's own word: while that is open, nothing else is paid for it.
    pub(crate) only_once: bool,
    pub(crate) now: Timestamp,
}

/// Why nothing may be paid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unbegun {
    /// It cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same is being paid for.
    #[error("the same is being paid for already")]
    Open,
}

impl Inner {
    fn key(&self, id: &str) -> Result<Key, StoreError> {
        key(&["journal", &self.name, id])
    }

    /// No panic can happen while it is held; a poisoned one is as good as any.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Record> for Open {
    fn from(record: Record) -> Self {
        let unfinished = record.credential().map(|credential| {
            let to = record.quote.to.clone();
            Unfinished::new(credential.clone(), to).keyed(record.key.clone())
        });
        let Record { id, state, quote, receipt, began, changed, .. } = record;
        Self { id, state, quote, unfinished, receipt, began, changed }
    }
}

fn key(segments: &[&str]) -> Result<Key, StoreError> {
    Key::of(segments).map_err(StoreError::unavailable)
}

#[cfg(test)]
mod tests;
