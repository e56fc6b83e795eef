//! Reading and writing accounts: every write is one compare-and-swap of one entry.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mpp_core::{
    Receipt,
    account::Account,
    credential::Source,
    method::TermsOf,
    problem::{ProblemType, Reason, Rejection},
    store::{Keep, Key, StoreError, Version, Versioned},
    teller::Teller,
};
use serde_json::Value;

use super::{Engine, Till, entry::Entry, local::Local};

/// How long a closed account is remembered: what is shown of it again is told that it is closed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A teller's accounts on the books of one gate.
pub(crate) struct Desk<T: Teller> {
    pub(super) engine: Arc<Engine>,
    pub(super) till: Arc<Till<T>>,
}

impl<T: Teller> Clone for Desk<T> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), till: self.till.clone() }
    }
}

/// An account, by name.
#[derive(Clone)]
pub(super) struct At {
    pub(super) id: String,
    pub(super) key: Key,
    pub(super) local: Arc<Local>,
}

/// An entry as it was read.
pub(super) type Found<T> = Option<(Version, Entry<<T as Teller>::Kept>)>;

/// The same, with the text it was read from.
pub(super) struct Seen<K> {
    version: Version,
    text: Vec<u8>,
    pub(super) entry: Entry<K>,
}

impl<T: Teller> Desk<T> {
    pub(super) fn at(&self, id: &str) -> Result<At, Rejection> {
        let key = self.key(id)?;
        let local = self.engine.locals.of(&key);
        Ok(At { id: id.to_owned(), key, local })
    }

    fn key(&self, id: &str) -> Result<Key, Rejection> {
        let Till { id: method, place, .. } = &*self.till;
        Key::of(&["session", method.method.as_str(), place, id]).map_err(Rejection::internal)
    }

    /// Where all accounts of this till are.
    pub(super) fn prefix(&self) -> Result<Key, Rejection> {
        let Till { id: method, place, .. } = &*self.till;
        Key::of(&["session", method.method.as_str(), place]).map_err(Rejection::internal)
    }

    /// Where the account of a payer is written down.
    fn payer_key(&self, payer: &Source) -> Result<Key, Rejection> {
        let Till { id: method, place, .. } = &*self.till;
        Key::of_hash(&["session-of", method.method.as_str(), place], payer.as_str())
            .map_err(Rejection::internal)
    }

    pub(super) async fn read(&self, at: &At) -> Result<Found<T>, Rejection> {
        Ok(self.see(at).await?.map(|seen| (seen.version, seen.entry)))
    }

    pub(super) async fn see(&self, at: &At) -> Result<Option<Seen<T::Kept>>, Rejection> {
        let found = self.engine.store.get(&at.key).await.map_err(unavailable)?;
        let Some(Versioned { version, value: text }) = found else { return Ok(None) };
        let entry = Entry::read(&at.key, &text).map_err(unavailable)?;
        Ok(Some(Seen { version, text, entry }))
    }

    /// Reads an account that must be there.
    pub(super) async fn found(&self, at: &At) -> Result<Entry<T::Kept>, Rejection> {
        self.read(at).await?.map(|(_, entry)| entry).ok_or_else(not_found)
    }

    /// Writes an account over what was read; false where another writer was first.
    pub(super) async fn write(
        &self,
        at: &At,
        expect: Option<Version>,
        entry: &Entry<T::Kept>,
    ) -> Result<bool, Rejection> {
        self.put(at, expect, entry, &text(entry)?).await
    }

    /// Writes an account whose text is made already.
    async fn put(
        &self,
        at: &At,
        expect: Option<Version>,
        entry: &Entry<T::Kept>,
        text: &[u8],
    ) -> Result<bool, Rejection> {
        let keep = match entry.is_over() {
            true => Keep::For { since: self.engine.now(), ttl: REMEMBERED },
            false => Keep::Forever,
        };
        // Whether a write that is not answered happened is not known: nothing is granted on it.
        let swapped = self.engine.store.swap(&at.key, expect, Some(text), keep).await;
        Ok(swapped.map_err(unavailable)?.is_some())
    }

    /// Forgets an account that never opened.
    pub(super) async fn remove(&self, at: &At, expect: Version) -> Result<bool, Rejection> {
        let swapped = self.engine.store.swap(&at.key, Some(expect), None, Keep::Forever).await;
        Ok(swapped.map_err(unavailable)?.is_some() || self.read(at).await?.is_none())
    }

    /// Applies `change` to an account until its swap wins: on each version that others write, anew. An error writes nothing;
    /// what is written where a change ends in a refusal is for the change to say, by what it returns.
    pub(super) async fn change<R: Send>(
        &self,
        at: &At,
        change: impl FnMut(&mut Entry<T::Kept>, i64) -> Result<R, Rejection> + Send,
    ) -> Result<(R, Entry<T::Kept>), Rejection> {
        self.change_seen(at, None, change).await
    }

    /// As [`Desk::change`], first over what the caller has just read.
    pub(super) async fn change_seen<R: Send>(
        &self,
        at: &At,
        seen: Option<Seen<T::Kept>>,
        mut change: impl FnMut(&mut Entry<T::Kept>, i64) -> Result<R, Rejection> + Send,
    ) -> Result<(R, Entry<T::Kept>), Rejection> {
        // Whoever has to wait here waits for somebody to write: what was read before is old then.
        let (_turn, mut seen) = match at.local.writing.try_lock() {
            Ok(turn) => (turn, seen),
            Err(_) => (at.local.writing.lock().await, None),
        };
        loop {
            let read = match seen.take() {
                Some(seen) => seen,
                None => self.see(at).await?.ok_or_else(not_found)?,
            };
            let Seen { version, text: before, mut entry } = read;
            let changed = change(&mut entry, self.engine.now().unix_millis())?;
            let text = text(&entry)?;
            if text == before || self.put(at, Some(version), &entry, &text).await? {
                return Ok((changed, entry));
            }
        }
    }

    /// The account that somebody says it has: where it is on the books, and open.
    pub(super) async fn hinted(&self, id: &str) -> Result<Option<Account<T::Kept>>, Rejection> {
        // A name that no account can have is as good as none.
        let Some(id) = self.till.it.named(id) else { return Ok(None) };
        let at = self.at(&id)?;
        let found = self.read(&at).await?;
        self.engine.locals.leave(&at.key, at.local);
        Ok(found.map(|(_, entry)| entry.account))
    }

    /// Writes down whose account it is, so that a payer that forgot can be told of it.
    pub(super) async fn index(&self, id: &str, kept: &T::Kept) -> Result<(), Rejection> {
        if !self.engine.tells.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(payer) = self.till.it.payer(kept) else { return Ok(()) };
        let key = self.payer_key(&payer)?;
        loop {
            let before = self.engine.store.get(&key).await.map_err(unavailable)?;
            if before.as_ref().is_some_and(|before| before.value == id.as_bytes()) {
                return Ok(());
            }
            let expect = before.map(|before| before.version);
            let swapped =
                self.engine.store.swap(&key, expect, Some(id.as_bytes()), Keep::Forever).await;
            if swapped.map_err(unavailable)?.is_some() {
                return Ok(());
            }
        }
    }

    /// What a proven payer is told of the account it opened here last.
    pub(super) async fn fields_of(
        &self,
        payer: &Source,
        terms: &TermsOf<T::Method>,
    ) -> Result<Vec<(&'static str, String)>, Rejection> {
        let key = self.payer_key(payer)?;
        let Some(found) = self.engine.store.get(&key).await.map_err(unavailable)? else {
            return Ok(Vec::new());
        };
        let Ok(id) = String::from_utf8(found.value) else { return Ok(Vec::new()) };
        let at = self.at(&id)?;
        let found = self.read(&at).await?;
        self.engine.locals.leave(&at.key, at.local);
        let Some((_, entry)) = found else { return Ok(Vec::new()) };
        Ok(self.till.it.fields(&id, &entry.account, terms))
    }

    /// The receipt of an account as it stands.
    pub(super) fn receipt(
        &self,
        id: &str,
        challenge: &str,
        account: &Account<T::Kept>,
        more: Option<&serde_json::Map<String, Value>>,
    ) -> Receipt {
        let mut extra = self.till.it.receipt(id, account);
        extra.insert("challengeId".into(), Value::String(challenge.to_owned()));
        if let Some(more) = more {
            extra.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Receipt {
            method: self.till.id.method.clone(),
            reference: id.to_owned(),
            status: mpp_core::receipt::Status::Success,
            timestamp: self.engine.now(),
            external_id: None,
            extra,
        }
    }
}

fn text<K: serde::Serialize>(entry: &Entry<K>) -> Result<Vec<u8>, Rejection> {
    serde_json::to_vec(entry).map_err(Rejection::internal)
}

pub(super) fn not_found() -> Rejection {
    let detail = "No channel of this name is known here.";
    Rejection::new(ProblemType::CHANNEL_NOT_FOUND, Reason::NO_ACCOUNT, detail)
}

/// Nothing is granted, and nobody is invited to pay: what was written, the next look tells.
pub(super) fn unavailable(e: StoreError) -> Rejection {
    Rejection::unknown(e)
}
