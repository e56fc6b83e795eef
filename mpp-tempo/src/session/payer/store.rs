//! Where channels are kept: a descriptor that is lost is money that only the payee can get at.

use std::{fmt, sync::Arc};

use mpp_core::store::{Keep, Key, Memory, Store, StoreError, Versioned};
use serde::{Deserialize, Serialize};

use super::{super::ChannelId, channel::Channel, shelf::Shelf};

/// The channels of a payer, and the store that they outlive the process in.
///
/// One process at a time may use a name of a store: what is in flight in one of two, the other does not know. Clones are the same
/// channels.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_core::store::Memory;
/// use mpp_tempo::session::ChannelStore;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// // Any store of `mpp-server` does, and outlives the process.
/// let channels = ChannelStore::open(Arc::new(Memory::volatile()), "agent-7").await?;
/// # drop(channels);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ChannelStore {
    pub(super) shelf: Arc<Shelf>,
}

impl ChannelStore {
    /// Reads the channels that were kept under a name.
    ///
    /// # Errors
    /// [`StoreError`]; also for a channel that cannot be read, since to go on without it could lock a second deposit.
    pub async fn open(store: Arc<dyn Store>, name: &str) -> Result<Self, StoreError> {
        let kept = Kept::new(store, name)?;
        let channels = kept.read().await?;
        Ok(Self { shelf: Arc::new(Shelf::new(kept, channels)) })
    }
}

impl Default for ChannelStore {
    /// Keeps them in memory alone: after a restart, [`Payer::orphans`](super::Payer::orphans) finds what was open.
    fn default() -> Self {
        let kept =
            Kept { store: Arc::new(Memory::volatile()), prefix: PREFIX.to_owned(), name: None };
        Self { shelf: Arc::new(Shelf::new(kept, Vec::new())) }
    }
}

impl fmt::Debug for ChannelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelStore").finish_non_exhaustive()
    }
}

/// A store, and the name that channels have in it.
#[derive(Debug)]
pub(super) struct Kept {
    store: Arc<dyn Store>,
    prefix: String,
    name: Option<String>,
}

/// A channel as it is written down.
#[derive(Serialize, Deserialize)]
struct Form {
    form: u64,
    channel: Channel,
}

/// Only the form of what is written down.
#[derive(Deserialize)]
struct Formed {
    form: u64,
}

const PREFIX: &str = "channels";
/// The newest form that this version writes and reads.
const FORM: u64 = 1;
/// Entries read at once.
const PAGE: usize = 256;

impl Kept {
    #[cfg(test)]
    pub(super) fn of(store: Arc<dyn Store>, name: &str) -> Self {
        Self::new(store, name).unwrap()
    }

    fn new(store: Arc<dyn Store>, name: &str) -> Result<Self, StoreError> {
        let kept = Self { store, prefix: PREFIX.to_owned(), name: Some(name.to_owned()) };
        kept.key(None)?;
        Ok(kept)
    }

    fn key(&self, id: Option<ChannelId>) -> Result<Key, StoreError> {
        let id = id.map(|id| id.to_string());
        let all = [Some(self.prefix.as_str()), self.name.as_deref(), id.as_deref()];
        let segments: Vec<&str> = all.into_iter().flatten().collect();
        Key::of(&segments).map_err(StoreError::unavailable)
    }

    async fn read(&self) -> Result<Vec<Channel>, StoreError> {
        let prefix = self.key(None)?;
        let (mut channels, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(channels) };
            after = Some(last.clone());
            for (key, entry) in &page {
                channels.push(parse(key, entry)?);
            }
        }
    }

    /// Writes a channel over what is there, as it is when that was read; durable once this answers. An earlier writer's numbers
    /// never fall by it. Whether it has ended, and was forgotten.
    pub(super) async fn write(
        &self,
        id: ChannelId,
        now: impl Fn() -> Option<Channel> + Send + Sync,
    ) -> Result<bool, StoreError> {
        let key = self.key(Some(id))?;
        loop {
            let there = self.store.get(&key).await?;
            let Some(channel) = now() else { return Ok(false) };
            let kept = match &there {
                Some(entry) => channel.kept().over(&parse(&key, entry)?),
                None => channel.kept(),
            };
            let expect = there.map(|entry| entry.version);
            let ended = kept.life == super::channel::Life::Ended;
            if ended && expect.is_none() {
                return Ok(true);
            }
            let form = serde_json::to_vec(&Form { form: FORM, channel: kept })
                .map_err(|e| StoreError::corrupt(key.as_str(), e))?;
            let value = (!ended).then_some(form.as_slice());
            let swapped = self.store.swap(&key, expect, value, Keep::Forever).await?;
            if swapped.is_some() {
                return Ok(ended);
            }
        }
    }
}

fn parse(key: &Key, entry: &Versioned) -> Result<Channel, StoreError> {
    let corrupt = |e| StoreError::corrupt(key.as_str(), e);
    let Formed { form } = serde_json::from_slice(&entry.value).map_err(corrupt)?;
    if form > FORM {
        return Err(StoreError::Newer { what: key.as_str().to_owned(), found: form, known: FORM });
    }
    let Form { channel, .. } = serde_json::from_slice(&entry.value).map_err(corrupt)?;
    Ok(channel)
}
