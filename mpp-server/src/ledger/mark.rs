//! Marks of what proofs use up: one proof, one payment, whatever the challenge.

use mpp_core::{
    problem::Rejection,
    store::{Keep, Key, Version, Versioned},
    time::Timestamp,
};

use super::{Entry, Ledger, State, broken, in_flight, refusal::elsewhere};

impl Ledger {
    /// The key of a proof's mark. Of the proof only its hash: it may be long, and it may be worth money.
    pub(crate) fn mark_key(method: &str, proof: &str) -> Result<Key, Rejection> {
        Key::of_hash(&["proof", method], proof).map_err(Rejection::internal)
    }

    /// Marks a payment's proof as its own. What is found marked so already is marked anew: whoever is about to free the mark
    /// as it was finds another, and leaves it.
    ///
    /// A mark of our own name where there is no entry is what a crash between the two leaves: nothing was sent. It is not
    /// of an entry that was forgotten, since an entry outlives its challenge by longer than the latest of claims come
    /// after it.
    pub(super) async fn mark(&self, key: &Key, entry: &Entry) -> Result<Marked, Rejection> {
        let Some(mark) = entry.mark() else { return Ok(Marked::Fresh) };
        let (name, keep) = (key.as_str().as_bytes(), self.keep_mark(entry.mark_until.as_ref()));
        let fresh = self.store.swap(&mark, None, Some(name), keep.clone()).await.map_err(broken)?;
        if fresh.is_some() {
            return Ok(Marked::Fresh);
        }
        // Freed in this instant: whoever freed it says so, and the same credential can come again.
        let owner = self.store.get(&mark).await.map_err(broken)?.ok_or_else(in_flight)?;
        let ours = owner.value == name;
        if !ours && !self.was_refused(&owner).await? {
            return Err(elsewhere());
        }
        let taken = self.store.swap(&mark, Some(owner.version), Some(name), keep).await;
        match taken.map_err(broken)? {
            Some(_) => Ok(if ours { Marked::Before } else { Marked::Fresh }),
            None if ours => Err(in_flight()),
            None => Err(elsewhere()),
        }
    }

    /// Whether the rail refused the payment that owns a mark, and a crash came before the mark was freed. Of what was written
    /// off nobody knows that: its mark stays.
    async fn was_refused(&self, owner: &Versioned) -> Result<bool, Rejection> {
        let Ok(owner) = std::str::from_utf8(&owner.value) else { return Ok(false) };
        let found = self.find(&Key::from_stored(owner)).await?;
        Ok(found.is_some_and(|(_, entry)| entry.state == State::Failed))
    }

    /// A payment's mark as it is now. To free it where the payment is taken off the books, this must be looked up before:
    /// afterwards the same credential may have come again, and the mark be its.
    pub(super) async fn marked(&self, key: &Key, entry: &Entry) -> Option<(Key, Version)> {
        let mark = entry.mark()?;
        let owner = self.store.get(&mark).await.ok().flatten()?;
        (owner.value == key.as_str().as_bytes()).then_some((mark, owner.version))
    }

    /// Frees a proof for which nothing was credited: the rail refused it, or its handler failed before anything was sent. A
    /// crash before this leaves a mark of a failed payment, which the next one takes, or one of no payment, which the same
    /// credential takes.
    pub(super) async fn unmark(&self, marked: Option<(Key, Version)>) {
        if let Some((mark, version)) = marked {
            let _ = self.store.swap(&mark, Some(version), None, Keep::Forever).await;
        }
    }

    fn keep_mark(&self, until: Option<&Timestamp>) -> Keep {
        let Some(until) = until else { return Keep::Forever };
        let since = self.clock.now();
        let ttl = until.since(&since).saturating_add(super::GRACE);
        Keep::For { since, ttl }
    }
}

/// How a proof came by its payment's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// It was free.
    Fresh,
    /// It was marked so before: somebody may be about to free it.
    Before,
}
