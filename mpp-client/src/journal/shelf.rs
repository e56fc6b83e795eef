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
    /// A write of ours was not answered: what is stored may be newer than we know, and ours.
    pub(super) doubt: bool,
}

/// Records in nobody's hands. Taking one is the only way to have it, so no two requests ever go on with the same.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    held: HashMap<String, Held>,
    /// Oldest first.
    purposes: HashMap<Purpose, Vec<String>>,
    /// How many records of a purpose are in somebody's hands.
    in_hand: HashMap<Purpose, usize>,
}

impl Shelf {
    pub(super) fn put(&mut self, held: Held) {
        let id = held.record.id.clone();
        if let Some(purpose) = &held.record.purpose {
            self.purposes.entry(purpose.clone()).or_default().push(id.clone());
        }
        self.held.insert(id, held);
    }

    /// Takes one out, and notes that it is in somebody's hands: whoever asks meanwhile finds it in one place or the other.
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
        self.hold(held.record.purpose.as_ref(), false);
        Some(held)
    }

    /// Notes that a record of a purpose is in somebody's hands. False, and nothing noted, where it is to be the only one open
    /// and is not.
    pub(super) fn hold(&mut self, purpose: Option<&Purpose>, only: bool) -> bool {
        let Some(purpose) = purpose else { return true };
        if only && (self.in_hand.contains_key(purpose) || self.purposes.contains_key(purpose)) {
            return false;
        }
        *self.in_hand.entry(purpose.clone()).or_default() += 1;
        true
    }

    /// Notes that it was let go of.
    pub(super) fn let_go(&mut self, purpose: Option<&Purpose>) {
        let Some(purpose) = purpose else { return };
        if let Some(count) = self.in_hand.get_mut(purpose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.in_hand.remove(purpose);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
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

    /// Copies of all, oldest first, and whether the store may not have what they say.
    pub(super) fn list(&self) -> Vec<(Record, bool)> {
        let copy = |held: &Held| (held.record.clone(), held.unsaved);
        let mut all: Vec<(Record, bool)> = self.held.values().map(copy).collect();
        all.sort_by(|(a, _), (b, _)| a.began.cmp_instant(&b.began).then_with(|| a.id.cmp(&b.id)));
        all
    }
}
