//! What is open and in nobody's hands: found by purpose, without asking the store.

use std::collections::HashMap;

use mpp_core::{credential::Fingerprint, store::Version};

use super::{Purpose, record::Record};

/// A record, and how it stands to what is stored.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: Record,
    /// What was stored last; a write that broke may have happened all the same.
    pub(super) version: Option<Version>,
    /// The store may not have what the record says.
    pub(super) unsaved: bool,
}

/// Records in nobody's hands. Taking one is the only way to have it, so no two requests ever go on with the same.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    held: HashMap<String, Held>,
    /// Oldest first.
    purposes: HashMap<Purpose, Vec<String>>,
}

impl Shelf {
    pub(super) fn put(&mut self, held: Held) {
        let id = held.record.id.clone();
        if let Some(purpose) = &held.record.purpose {
            self.purposes.entry(purpose.clone()).or_default().push(id.clone());
        }
        self.held.insert(id, held);
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Held> {
        let held = self.held.remove(id)?;
        if let Some(purpose) = &held.record.purpose
            && let Some(ids) = self.purposes.get_mut(purpose)
        {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.purposes.remove(purpose);
            }
        }
        Some(held)
    }

    pub(super) fn take_for(&mut self, purpose: &Purpose) -> Option<Held> {
        let id = self.purposes.get(purpose)?.first()?.clone();
        self.take(&id)
    }

    pub(super) fn take_signed(&mut self, print: Fingerprint) -> Option<Held> {
        let signed = |held: &&Held| {
            held.record.credential().is_some_and(|credential| credential.fingerprint() == print)
        };
        let id = self.held.values().find(signed)?.record.id.clone();
        self.take(&id)
    }

    /// Copies of all, oldest first.
    pub(super) fn list(&self) -> Vec<Record> {
        let mut all: Vec<Record> = self.held.values().map(|held| held.record.clone()).collect();
        all.sort_by(|a, b| a.began.cmp_instant(&b.began).then_with(|| a.id.cmp(&b.id)));
        all
    }
}
