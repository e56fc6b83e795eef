//! A store on a Redis server: one script swaps, and publishes what changed.

mod entry;
mod link;
mod messages;
mod names;

use std::{fmt, sync::Arc, time::Duration};

use ::redis::{Client, Script};
use mpp_core::store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned, Wakes, Watch};

use self::{link::Link, names::Names};
use super::{
    frame::{FORM, readable},
    lifetime::lifetime,
    listener::Listener,
    span::Span,
    waiting::Waiting,
};

/// A store on a Redis server (7, or a Valkey) with one primary. It reconnects by itself.
///
/// **Durability** is what the server is told: only with `appendonly yes` and `appendfsync always` does a swap that was
/// answered outlive a crash of the server, and only with `maxmemory-policy noeviction` is nothing forgotten early.
/// Connecting warns where the server says otherwise. Replicas follow later: failing over to one can forget swaps.
///
/// **Expiry** is counted by the server from when it wrote an entry, so a writer's wrong clock shortens nothing; an entry
/// stays for up to an hour longer than it must, and never twice as long, lest the server's clock jumps.
///
/// **Lost answers.** A swap whose answer was lost is [`StoreError::Unavailable`], and never sent again: it may have
/// happened. What is in the store then tells.
pub struct Redis {
    client: Client,
    link: Link,
    names: Arc<Names>,
    waiting: Arc<Waiting>,
    listener: Listener,
    swap: Script,
    scan: Script,
}

impl Redis {
    /// Connects to `redis://[user:password@]host[:port][/database]`, and keeps entries under the name `mpp`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server does not answer; [`StoreError::Newer`] where a newer version of this
    /// program has been at these entries.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_named(url, "mpp").await
    }

    /// Connects, and keeps entries under a name: stores of different names on one server know nothing of each other.
    ///
    /// # Errors
    /// As [`Redis::connect`].
    pub async fn connect_named(url: &str, name: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(StoreError::unavailable)?;
        let names = Arc::new(Names::new(name));
        let link = Link::connect(client.clone()).await?;
        link.check_form(&names).await?;
        link.warn_of_losses().await;
        let (waiting, listener) = Default::default();
        let swap = Script::new(include_str!("swap.lua"));
        let scan = Script::new(include_str!("scan.lua"));
        Ok(Self { client, link, names, waiting, listener, swap, scan })
    }

    async fn try_swap(
        &self,
        key: &Key,
        expect: Option<Version>,
        value: Option<&[u8]>,
        keep: &Keep,
    ) -> Result<Option<Version>, StoreError> {
        let next = entry::draw_version()?;
        let mut script = self.swap.key(self.names.entry(key));
        script.key(self.names.index());
        script.arg(expect.map_or_else(Vec::new, |version| version.0.to_be_bytes().to_vec()));
        script.arg(value.map_or_else(Vec::new, |value| entry::write(key, next, value)));
        let lifetime = lifetime(keep).map_or_else(String::new, |millis| millis.to_string());
        script.arg(lifetime).arg(key.as_str());
        script.arg(self.names.channel()).arg(self.names.entries()).arg(FORM);
        match self.link.run(&script, key.as_str()).await? {
            Outcome::Swapped => Ok(Some(next)),
            Outcome::Refused => Ok(None),
            // It says what is wrong with it; read whole, nothing may be.
            Outcome::Unread(held) => match entry::read(key, &held) {
                Err(error) => Err(error),
                Ok(_) => Err(super::frame::damaged(key, "the server took it for damaged")),
            },
        }
    }

    async fn try_get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let held = self.link.get(&self.names.entry(key), key.as_str()).await?;
        held.map(|held| entry::read(key, &held)).transpose()
    }

    async fn try_scan(
        &self,
        span: Span,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let mut found = Vec::new();
        if let Some(first) = span.first.filter(|_| limit > 0) {
            match self.try_get(&first).await {
                Ok(entry) => found.extend(entry.map(|entry| (first, entry))),
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => drop(readable::<()>(Err(error))),
            }
        }
        let mut from = [if span.exclusive { b"(" } else { b"[" }, span.from.as_bytes()].concat();
        while found.len() < limit {
            let most = (limit - found.len()).min(PAGE);
            let mut script = self.scan.key(self.names.index());
            script.arg(self.names.entries()).arg(&from).arg(format!("({}", span.to)).arg(most);
            let (last, page): Page = self.link.run(&script, self.names.index()).await?;
            for (key, held) in page {
                let entry = String::from_utf8(key)
                    .map_err(|error| StoreError::corrupt(self.names.index(), error))
                    .map(Key::from_stored)
                    .and_then(|key| entry::read(&key, &held).map(|entry| (key, entry)));
                found.extend(readable(entry));
            }
            let Some(last) = last else { break };
            from = [b"(", &*last].concat();
        }
        Ok(found)
    }
}

/// Entries in one answer: while a script runs, the server does nothing else.
const PAGE: usize = 256;

/// What the script of a scan answers: the last name looked at, unless there are no more, and names with entries.
type Page = (Option<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>);

/// What the script of a swap answers.
enum Outcome {
    Swapped,
    Refused,
    Unread(Vec<u8>),
}

impl ::redis::FromRedisValue for Outcome {
    fn from_redis_value(value: ::redis::Value) -> Result<Self, ::redis::ParsingError> {
        match value {
            ::redis::Value::Int(1) => Ok(Self::Swapped),
            ::redis::Value::Int(0) => Ok(Self::Refused),
            other => Vec::from_redis_value(other).map(Self::Unread),
        }
    }
}

impl Store for Redis {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(self.try_get(key))
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move { self.try_swap(key, expect, value, &keep).await })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        Box::pin(self.try_scan(Span::new(prefix, after), limit))
    }
}

/// Of changes by every process on the server.
impl Watch for Redis {
    fn wakes(&self) -> Wakes {
        Wakes::Push
    }

    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        // A connection can die without a word; who waits then reads again after this long.
        const PATIENCE: Duration = Duration::from_secs(10);
        Box::pin(async move {
            self.listener.ensure(|| {
                let (client, names) = (self.client.clone(), Arc::clone(&self.names));
                let waiting = Arc::clone(&self.waiting);
                async move { messages::listen(&client, &names, &waiting).await }
            });
            self.waiting.changed(self, key, seen, PATIENCE).await
        })
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("entries", &self.names.entries()).finish_non_exhaustive()
    }
}
