//! The sponsor's books and records in a store.

use std::{convert::Infallible, sync::Arc};

use alloy::primitives::{Address, B256};
use mpp_core::{
    Timestamp,
    store::{Keep, Key, Store, StoreError, Version},
};

use super::{book::Book, policy::Approved, record::Record};

/// Writers that may be first before a store is taken to lose every write.
const TRIES: u32 = 1000;

/// Where the books are, shared by all processes that name the store.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    chain_id: u64,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>, chain_id: u64) -> Self {
        Self { store, chain_id }
    }

    /// Changes a sponsor's book until the swap wins; where the change says no, or changes nothing, nothing is written.
    /// A swap that breaks may have happened.
    pub(super) async fn try_change<R, E>(
        &self,
        sponsor: Address,
        mut change: impl FnMut(&mut Book) -> Result<R, E> + Send,
    ) -> Result<Result<R, E>, StoreError> {
        let key = self.key(sponsor)?;
        for _ in 0..TRIES {
            let (version, before) = self.read(&key).await?;
            let mut book = before.clone();
            let changed = match change(&mut book) {
                Ok(changed) => changed,
                Err(no) => return Ok(Err(no)),
            };
            if book == before {
                return Ok(Ok(changed));
            }
            let bytes = book.write(&key)?;
            let swapped = self.store.swap(&key, version, Some(&bytes), Keep::Forever).await?;
            if swapped.is_some() {
                return Ok(Ok(changed));
            }
        }
        Err(StoreError::unavailable("the sponsor's book is changed by others all the time"))
    }

    /// Changes a sponsor's book in a way that always can be.
    pub(super) async fn change<R>(
        &self,
        sponsor: Address,
        mut change: impl FnMut(&mut Book) -> R + Send,
    ) -> Result<R, StoreError> {
        let changed = self.try_change(sponsor, |book| Ok::<R, Infallible>(change(book)));
        let Ok(changed) = changed.await?;
        Ok(changed)
    }

    /// A sponsor's book as it stands.
    pub(super) async fn book(&self, sponsor: Address) -> Result<Book, StoreError> {
        Ok(self.read(&self.key(sponsor)?).await?.1)
    }

    /// What was co-signed, and the key it is kept by.
    pub(super) async fn record(&self, id: B256) -> Result<(Key, Option<Record>), StoreError> {
        let key = Record::key(id)?;
        let found = self.store.get(&key).await?;
        let record = found.map(|found| Record::read(&key, &found.value)).transpose()?;
        Ok((key, record))
    }

    /// Writes down what was co-signed. `false`: another run was first, and what it wrote is what counts.
    pub(super) async fn write_down(
        &self,
        approved: &Approved,
        record: &Record,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = Record::key(approved.id)?;
        let (bytes, keep) = (record.write(&key)?, Record::keep(approved, now));
        Ok(self.store.swap(&key, None, Some(&bytes), keep).await?.is_some())
    }

    async fn read(&self, key: &Key) -> Result<(Option<Version>, Book), StoreError> {
        Ok(match self.store.get(key).await? {
            Some(found) => (Some(found.version), Book::read(key, &found.value)?),
            None => (None, Book::default()),
        })
    }

    fn key(&self, sponsor: Address) -> Result<Key, StoreError> {
        let (chain, sponsor) = (self.chain_id.to_string(), format!("{sponsor:#x}"));
        Key::of(&["sponsor", &chain, &sponsor]).map_err(StoreError::unavailable)
    }
}
