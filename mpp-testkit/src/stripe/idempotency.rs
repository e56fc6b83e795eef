//! Idempotency keys, as Stripe documents them: the result of what began is kept for a day, and given again.

use std::{collections::HashMap, time::Instant};

use serde_json::Value;

use super::{ask::Ask, refused::Refused};

/// How long a result is kept, by the simulator's clock.
const KEPT: i64 = 24 * 60 * 60;

/// A result.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The id of the request that made it.
    pub(super) request: String,
}

struct Entry {
    method: String,
    path: String,
    form: Vec<(String, String)>,
    at: i64,
    stored: Stored,
    /// Until then, by the real clock, nobody was answered.
    busy: Option<Instant>,
}

/// Every key in use, by connected account.
#[derive(Default)]
pub(super) struct Keyring {
    entries: HashMap<(Option<String>, String), Entry>,
}

impl Keyring {
    /// What this key stands for already.
    pub(super) fn find(&self, ask: &Ask) -> Result<Option<Stored>, Refused> {
        let Some(key) = &ask.key else { return Ok(None) };
        let Some(entry) = self.entries.get(&(ask.account.clone(), key.clone())) else {
            return Ok(None);
        };
        if entry.busy.is_some_and(|until| Instant::now() < until) {
            let said = "There is currently another in-progress request using this idempotency key. Please try again later.";
            return Err(Refused::idempotency(409, said).code("idempotency_key_in_use"));
        }
        if (&entry.method, &entry.path) != (&ask.method, &ask.path) {
            let said = format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{}' vs '{}').",
                ask.path, entry.path
            );
            return Err(Refused::idempotency(400, said));
        }
        if entry.form != ask.form.canonical() {
            let said = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
            return Err(Refused::idempotency(400, said));
        }
        Ok(Some(entry.stored.clone()))
    }

    /// Keeps a result.
    pub(super) fn keep(&mut self, ask: &Ask, at: i64, stored: Stored, busy: Option<Instant>) {
        let Some(key) = &ask.key else { return };
        let (method, path) = (ask.method.clone(), ask.path.clone());
        let entry = Entry { method, path, form: ask.form.canonical(), at, stored, busy };
        self.entries.insert((ask.account.clone(), key.clone()), entry);
    }

    /// Drops what is older than a day.
    pub(super) fn forget(&mut self, now: i64) {
        self.entries.retain(|_, entry| now.saturating_sub(entry.at) < KEPT);
    }
}
