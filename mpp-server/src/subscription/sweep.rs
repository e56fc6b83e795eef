//! Going through the subscribers after a crash: activations are completed, open orders asked after, rails told what they were
//! to be told. Nothing is charged that nobody asked for.

use mpp_core::store::{Key, StoreError};

use super::{Agreements, entry::Entry, standing::Begun};
use crate::ledger::Recovered;

/// Entries read at a time.
const PAGE: usize = 64;

impl Agreements {
    /// Goes through the subscribers once.
    pub(crate) async fn sweep(&self, found: &mut Recovered) -> Result<(), StoreError> {
        let (prefix, mut after) = (Key::from_stored("subscription"), None);
        loop {
            let store = &self.0.ledger.store;
            let page = store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                match Entry::read(&key, &value.value) {
                    Ok(entry) => self.tend(&key, entry, found).await,
                    Err(e) => {
                        tracing::error!(key = key.as_str(), cause = %e, "a subscriber's entry cannot be read");
                        found.unreadable += 1;
                    }
                }
            }
        }
    }

    async fn tend(&self, key: &Key, entry: Entry, found: &mut Recovered) {
        if let Some(begun) = &entry.activating {
            match self.begun(key, begun).await {
                Ok(Begun::Completed) => found.activated += 1,
                // Nothing came of it. It is in nobody's way, and left to whoever comes next.
                Ok(Begun::Nothing) | Err(_) => {}
            }
        }
        let all = || entry.held.iter().chain(&entry.past);
        if all().any(|held| held.order.is_some()) {
            match self.ask_after(key).await {
                Ok(false) => found.renewals += 1,
                _ => found.open += 1,
            }
        }
        for held in all().filter(|held| held.cancelling.is_some()) {
            let told = self.tell_rail(key, &held.agreement.began.id).await;
            found.cancelled += u64::from(told);
        }
    }
}
