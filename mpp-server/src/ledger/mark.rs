//! Marks of what proofs use up: one proof, one payment, whatever the challenge.

use mpp_core::{
    problem::Rejection,
    store::{Keep, Key},
    time::Timestamp,
};

use super::{Entry, Ledger, broken};

/// What is known of a proof after trying to mark it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// It was free, and is ours now.
    Fresh,
    /// It was ours already.
    Ours,
    /// It is another payment's.
    Others,
}

impl Ledger {
    /// The key of a proof's mark. Of the proof only its hash: it may be long, and it may be worth money.
    pub(crate) fn mark_key(method: &str, proof: &str) -> Result<Key, Rejection> {
        Key::of_hash(&["proof", method], proof).map_err(Rejection::internal)
    }

    /// Tries to mark a payment's proof as its own.
    pub(super) async fn mark(&self, key: &Key, entry: &Entry) -> Result<Marked, Rejection> {
        let Some(mark) = entry.mark() else { return Ok(Marked::Fresh) };
        let keep = self.keep_mark(entry.mark_until.as_ref());
        if self
            .store
            .swap(&mark, None, Some(key.as_str().as_bytes()), keep)
            .await
            .map_err(broken)?
            .is_some()
        {
            return Ok(Marked::Fresh);
        }
        let owner = self.store.get(&mark).await.map_err(broken)?;
        let ours = owner.is_some_and(|owner| owner.value == key.as_str().as_bytes());
        Ok(if ours { Marked::Ours } else { Marked::Others })
    }

    /// Frees a proof that the rail refused: nothing was credited for it. A crash before this leaves the proof marked by a
    /// failed payment, which refuses a payer who could pay, and takes nothing from anyone.
    pub(super) async fn unmark(&self, key: &Key, entry: &Entry) {
        let Some(mark) = entry.mark() else { return };
        let Ok(Some(owner)) = self.store.get(&mark).await else { return };
        if owner.value == key.as_str().as_bytes() {
            let _ = self.store.swap(&mark, Some(owner.version), None, Keep::Forever).await;
        }
    }

    fn keep_mark(&self, until: Option<&Timestamp>) -> Keep {
        let Some(until) = until else { return Keep::Forever };
        let since = self.clock.now();
        let ttl = until.since(&since).saturating_add(super::GRACE);
        Keep::For { since, ttl }
    }
}
