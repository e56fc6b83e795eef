//! A store in a Postgres database: each swap is one statement.

mod pool;
mod schema;
mod sql;
mod upkeep;

use std::{fmt, sync::Arc, time::Duration};

use mpp_core::store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned, Wakes, Watch};
use sqlx::{PgPool, Row as _, postgres::PgRow};

use self::{
    pool::{bounded, explain},
    upkeep::Upkeep,
};
use super::{
    frame::{self, readable},
    lifetime::lifetime,
    listener::Listener,
    span::Span,
    waiting::Waiting,
};

/// A store in a Postgres database (13 or newer). It reconnects by itself.
///
/// Each swap is one statement and one commit, synchronous whatever the server's default is. Who waits in this process is
/// woken at once. Others are told after the commit, many changes in one notification: notifying with the commit would
/// put all commits of the server in one queue. A process that dies in between leaves others to find out by themselves,
/// seconds later.
///
/// **Expiry** is by the database's clock, from when it wrote an entry, so a writer's wrong clock shortens nothing; an
/// entry stays for up to an hour longer than it must, and never twice as long, lest that clock jumps.
///
/// **Lost answers.** A swap whose answer was lost is [`StoreError::Unavailable`], and never sent again: it may have
/// happened. What is in the store then tells.
pub struct Postgres {
    pool: PgPool,
    name: Arc<str>,
    waiting: Arc<Waiting>,
    listener: Listener,
    upkeep: Upkeep,
}

impl Postgres {
    /// Connects to `postgres://[user[:password]@]host[:port]/database`, makes or migrates the tables (`mpp_…`), and keeps
    /// entries under the name `mpp`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database does not answer; [`StoreError::Newer`] where a newer version of
    /// this program has migrated it, [`StoreError::Corrupt`] where something else has changed its tables.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_named(url, "mpp").await
    }

    /// Connects, and keeps entries under a name: stores of different names in one database know nothing of each other.
    ///
    /// # Errors
    /// As [`Postgres::connect`].
    pub async fn connect_named(url: &str, name: &str) -> Result<Self, StoreError> {
        let pool = pool::connect(url).await?;
        schema::migrate(&pool).await?;
        pool::warn_of_losses(&pool).await;
        let upkeep = Upkeep::start(pool.clone(), upkeep::channel(name));
        let (waiting, listener) = Default::default();
        Ok(Self { pool, name: name.into(), waiting, listener, upkeep })
    }

    async fn try_swap(
        &self,
        key: &Key,
        expect: Option<Version>,
        value: Option<&[u8]>,
        keep: &Keep,
    ) -> Result<Option<Version>, StoreError> {
        let statement = match (expect, value) {
            (None, Some(_)) => sql::CREATE,
            (Some(_), Some(_)) => sql::REPLACE,
            (Some(_), None) => sql::REMOVE,
            (None, None) => sql::CONFIRM_ABSENCE,
        };
        let mut query = sqlx::query(statement).bind(self.name.as_bytes()).bind(bytes(key));
        if let Some(expect) = expect {
            query = query.bind(expect.0.cast_signed());
        }
        if let Some(value) = value {
            query = query.bind(frame::seal(key, &[value])).bind(lifetime(keep));
        }
        let row = bounded(query.fetch_optional(&self.pool)).await;
        let Some(row) = row.map_err(|error| explain(error, key.as_str()))? else {
            return Ok(None);
        };
        let version = version(&row, key)?;
        self.waiting.wake(key);
        self.upkeep.changed(key);
        Ok(Some(version))
    }

    async fn try_get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let query = sqlx::query(sql::GET).bind(self.name.as_bytes()).bind(bytes(key));
        let row = bounded(query.fetch_optional(&self.pool)).await;
        row.map_err(|error| explain(error, key.as_str()))?.map(|row| entry(&row, key)).transpose()
    }

    async fn try_scan(
        &self,
        span: Span,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let mut found = Vec::new();
        let mut first = span.first.map_or_else(Vec::new, |first| bytes(&first).to_vec());
        let mut from = span.from.into_bytes();
        if span.exclusive {
            // The least text after another is that and a zero.
            from.push(0);
        }
        while found.len() < limit {
            let most = (limit - found.len()).min(PAGE);
            let query = sqlx::query(sql::SCAN).bind(self.name.as_bytes()).bind(&*first);
            let query = query.bind(&*from).bind(span.to.as_bytes());
            let query = query.bind(i64::try_from(most).unwrap_or(i64::MAX));
            let rows = bounded(query.fetch_all(&self.pool)).await;
            let rows = rows.map_err(|error| explain(error, "a page of a scan"))?;
            for row in &rows {
                let key = row.try_get::<Vec<u8>, _>("key").map_err(StoreError::unavailable)?;
                if key != first {
                    from.clone_from(&key);
                    from.push(0);
                }
                let read = String::from_utf8(key)
                    .map_err(|error| StoreError::corrupt("a key", error))
                    .map(Key::from_stored)
                    .and_then(|key| entry(row, &key).map(|entry| (key, entry)));
                found.extend(readable(read));
            }
            if rows.len() < most {
                break;
            }
            first.clear();
        }
        Ok(found)
    }
}

/// Rows in one answer.
const PAGE: usize = 256;

fn bytes(key: &Key) -> &[u8] {
    key.as_str().as_bytes()
}

fn version(row: &PgRow, key: &Key) -> Result<Version, StoreError> {
    let version = row.try_get::<i64, _>("version");
    let version = version.map_err(|error| StoreError::corrupt(key.as_str(), error))?;
    Ok(Version(version.cast_unsigned()))
}

fn entry(row: &PgRow, key: &Key) -> Result<Versioned, StoreError> {
    let stored = row.try_get::<&[u8], _>("value");
    let stored = stored.map_err(|error| StoreError::corrupt(key.as_str(), error))?;
    Ok(Versioned { version: version(row, key)?, value: frame::open(key, stored)?.to_vec() })
}

impl Store for Postgres {
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

/// Of changes by every process on the database.
impl Watch for Postgres {
    fn wakes(&self) -> Wakes {
        Wakes::Push
    }

    fn changed<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<Version>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        // Who is told nothing, because the one to tell died or the connection did, reads again after this long.
        const PATIENCE: Duration = Duration::from_secs(5);
        Box::pin(async move {
            self.listener.ensure(|| {
                let (pool, waiting) = (self.pool.clone(), Arc::clone(&self.waiting));
                let channel = upkeep::channel(&self.name);
                async move { upkeep::listen(&pool, &channel, &waiting).await }
            });
            self.waiting.changed(self, key, seen, PATIENCE).await
        })
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("name", &self.name).finish_non_exhaustive()
    }
}
