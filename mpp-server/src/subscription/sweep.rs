//! Going through the subscribers after a crash: activations are completed, open orders asked after, rails told what they were
//! to be told. Nothing is charged that nobody asked for.

use mpp_core::store::{Key, StoreError};
use tokio::task::{JoinError, JoinSet};

use super::{Agreements, entry::Entry, standing::Begun};
use crate::ledger::Recovered;

/// Entries read at a time.
const PAGE: usize = 64;
/// Subscribers gone on with at a time: one rail that hangs must not hold up the others.
const AT_ONCE: usize = 16;

impl Agreements {
    /// Goes through the subscribers once.
    pub(crate) async fn sweep(&self, found: &mut Recovered) -> Result<(), StoreError> {
        let (prefix, mut after) = (Key::from_stored("subscription"), None);
        let mut tasks = JoinSet::new();
        loop {
            let store = &self.0.ledger.store;
            let page = store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                let entry = match Entry::read(&key, &value.value) {
                    Ok(entry) if entry.is_quiet() => continue,
                    Ok(entry) => entry,
                    Err(e) => {
                        tracing::error!(key = key.as_str(), cause = %e, "a subscriber's entry cannot be read");
                        found.unreadable += 1;
                        continue;
                    }
                };
                if tasks.len() >= AT_ONCE
                    && let Some(done) = tasks.join_next().await
                {
                    found.add(done);
                }
                let me = self.clone();
                // In a task of its own: a method whose code panics over one subscriber must not stop the others.
                tasks.spawn(async move { me.tend(&key, entry).await });
            }
        }
        while let Some(done) = tasks.join_next().await {
            found.add(done);
        }
        Ok(())
    }

    async fn tend(&self, key: &Key, entry: Entry) -> Recovered {
        let mut found = Recovered::default();
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
        found
    }
}

impl Recovered {
    /// Adds what was found of one subscriber.
    fn add(&mut self, done: Result<Self, JoinError>) {
        match done {
            Ok(one) => {
                self.activated += one.activated;
                self.renewals += one.renewals;
                self.open += one.open;
                self.cancelled += one.cancelled;
            }
            // What a task that panicked had in hand is as open as it was.
            Err(e) => {
                tracing::error!(cause = %e, "a subscriber could not be gone on with");
                self.open += 1;
            }
        }
    }
}
