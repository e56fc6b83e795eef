//! A record in somebody's hands: the one place where records are written.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Amount, Credential, Receipt, Timestamp,
    payer::Step,
    store::{Keep, Key, StoreError},
};

use super::{
    Inner, State, Unbegun,
    record::{Proof, Record},
    shelf::Held,
};

/// How long what is over is kept, for people: nothing is ever done with it.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A record in somebody's hands. Let go of before it is final, it goes back to where the next request of its purpose finds
/// it, whatever became of the future that held it.
#[derive(Debug)]
pub(crate) struct Entry {
    journal: Arc<Inner>,
    key: Key,
    /// Taken out when it is dropped.
    held: Option<Box<Held>>,
}

impl Entry {
    /// A record that was taken from the shelf.
    pub(super) fn new(journal: &Arc<Inner>, held: Held) -> Result<Self, StoreError> {
        let key = journal.key(&held.record.id)?;
        Ok(Self { journal: journal.clone(), key, held: Some(Box::new(held)) })
    }

    /// A record that is begun; `only`: nothing else of its purpose may be open.
    pub(super) fn first(journal: &Arc<Inner>, held: Held, only: bool) -> Result<Self, Unbegun> {
        let key = journal.key(&held.record.id)?;
        if !journal.shelf().hold(held.record.purpose.as_ref(), only) {
            return Err(Unbegun::Open);
        }
        Ok(Self { journal: journal.clone(), key, held: Some(Box::new(held)) })
    }

    pub(crate) fn record(&self) -> &Record {
        &self.held().record
    }

    /// Writes down that there is a credential, and how much of what was set aside it can move. Returns what it cannot.
    ///
    /// # Errors
    /// It may not be stored. The credential must not leave, and is not forgotten: it is tried again with the next use.
    pub(crate) async fn sign(
        &mut self,
        credential: Credential,
        (step, exposed): (Step, Option<Amount>),
        now: Timestamp,
    ) -> Result<Amount, StoreError> {
        let record = &mut self.held_mut().record;
        record.proof = Proof::Signed(credential);
        record.step = step;
        let surplus = exposed.map_or(Amount::ZERO, |exposed| record.reserved.trim(exposed));
        self.advance(State::Signed, now).await.map(|()| surplus)
    }

    /// Makes sure that what is known is stored.
    pub(crate) async fn save(&mut self) -> Result<(), StoreError> {
        if self.held().unsaved { self.write().await } else { Ok(()) }
    }

    /// Writes down that it has left, unless more is known.
    pub(crate) async fn sent(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.record().state >= State::Sent {
            return Ok(());
        }
        self.advance(State::Sent, now).await
    }

    /// Writes down a receipt.
    pub(crate) async fn settled(
        &mut self,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.held_mut().record.receipt = Some(Box::new(receipt.clone()));
        self.advance(State::Settled, now).await
    }

    /// Ends it. Where that cannot be written down, the store will tell of it again after a restart.
    pub(crate) async fn end(&mut self, state: State, now: Timestamp) -> Result<(), StoreError> {
        self.advance(state, now).await
    }

    /// Ends it, or leaves it as it was: only where it is written down that it is dead may its money be given back, or
    /// another be paid.
    pub(crate) async fn end_surely(
        &mut self,
        state: State,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let before = self.record().clone();
        let ended = self.advance(state, now).await;
        if ended.is_err() {
            self.held_mut().record = before;
        }
        ended
    }

    /// Forgets it, in memory alone: nothing was paid, and nobody was told to.
    pub(crate) fn discard(mut self) {
        if let Some(held) = self.held.take() {
            self.journal.shelf().let_go(held.record.purpose.as_ref());
        }
    }

    async fn advance(&mut self, state: State, now: Timestamp) -> Result<(), StoreError> {
        let record = &mut self.held_mut().record;
        (record.state, record.changed) = (state, now);
        self.write().await
    }

    /// A crash in here leaves the record as it was, or as it is now.
    pub(super) async fn write(&mut self) -> Result<(), StoreError> {
        self.held_mut().unsaved = true;
        let (journal, key) = (self.journal.clone(), self.key.clone());
        let (store, key) = (&journal.store, &key);
        let record = self.record();
        let bytes = record.write(key.as_str())?;
        let over = record.state.is_final();
        let keep = match over {
            true => Keep::For { since: record.changed.clone(), ttl: KEPT },
            false => Keep::Forever,
        };
        let mut version = self.held().version;
        for _ in 0..2 {
            let swapped = store.swap(key, version, Some(&bytes), keep.clone()).await;
            self.held_mut().doubt |= swapped.is_err();
            let swapped = swapped?;
            if swapped.is_some() {
                let held = self.held_mut();
                (held.version, held.unsaved, held.doubt) = (swapped, false, false);
                return Ok(());
            }
            // A write of ours that broke and happened all the same; or somebody else's.
            let found = store.get(key).await?;
            version = found.as_ref().map(|found| found.version);
            let theirs = found.map(|found| Record::read(key.as_str(), &found.value)).transpose()?;
            let Some(ended) = theirs.filter(|theirs| theirs.state.is_final()) else { continue };
            if !self.held().doubt {
                // What was given back for it was given back by whoever ended it.
                break;
            }
            // An end that we wrote, and whose answer was lost: it is over.
            let held = self.held_mut();
            (held.record, held.version, held.unsaved) = (ended, version, false);
            return Ok(());
        }
        Err(StoreError::unavailable("another process writes to this journal: give each its own"))
    }

    fn held(&self) -> &Held {
        self.held.as_ref().expect("taken out when it is dropped, and not before")
    }

    fn held_mut(&mut self) -> &mut Held {
        self.held.as_mut().expect("taken out when it is dropped, and not before")
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let mut shelf = self.journal.shelf();
        shelf.let_go(held.record.purpose.as_ref());
        if !held.record.state.is_final() {
            shelf.put(*held);
        }
    }
}
