//! What is done beside the swaps: others are told what changed, and what is past its time is swept.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mpp_core::store::Key;
use sha2::{Digest, Sha256};
use sqlx::{Error, PgPool, postgres::PgListener};
use tokio::sync::Notify;

use super::{super::waiting::Waiting, pool::bounded, sql};

/// The channel of a store: names may be longer than channels, and hold anything.
pub(super) fn channel(store: &str) -> String {
    let hash = Sha256::digest(store);
    hash.iter().take(16).fold("mpp_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// A task that ends once it has told everything.
#[derive(Debug)]
pub(super) struct Upkeep(Arc<News>);

#[derive(Debug, Default)]
struct News {
    untold: Mutex<Untold>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Untold {
    keys: BTreeSet<String>,
    /// More than can be listed: whoever waits, for anything, is told.
    all: bool,
    changes: usize,
    closed: bool,
}

impl Upkeep {
    pub(super) fn start(pool: PgPool, channel: String) -> Self {
        let news = Arc::<News>::default();
        let task = Arc::clone(&news);
        tokio::spawn(async move { task.run(&pool, &channel).await });
        Self(news)
    }

    /// Says that an entry changed, and that it is committed.
    pub(super) fn changed(&self, key: &Key) {
        self.0.lock().add(key);
        self.0.bell.notify_one();
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.bell.notify_one();
    }
}

impl News {
    async fn run(&self, pool: &PgPool, channel: &str) {
        const PAUSE: Duration = Duration::from_millis(500);
        const CHANGES_A_SWEEP: usize = 250;
        let mut changes = CHANGES_A_SWEEP;
        loop {
            let untold = mem::take(&mut *self.lock());
            changes += untold.changes;
            if let Err(error) = tell(pool, channel, &untold).await {
                if untold.closed {
                    return;
                }
                tracing::warn!(%error, "others are not told what changed in Postgres; trying again");
                self.lock().all = true;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if untold.closed {
                return;
            }
            if changes >= CHANGES_A_SWEEP {
                changes = 0;
                // What is not swept now is swept later, and counts as absent all the while.
                let _ = bounded(sqlx::query(sql::SWEEP).execute(pool)).await;
            }
            self.bell.notified().await;
        }
    }

    /// No change under this lock can be half done.
    fn lock(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Untold {
    fn add(&mut self, key: &Key) {
        const MOST: usize = 1000;
        self.changes += 1;
        // A zero cannot be in a notification.
        if self.keys.len() >= MOST || key.as_str().contains('\0') {
            self.all = true;
        } else {
            self.keys.insert(key.as_str().to_owned());
        }
    }
}

/// The commit of a notification need not be on the disk: who is connected hears it, and nobody else could.
async fn tell(pool: &PgPool, channel: &str, untold: &Untold) -> Result<(), Error> {
    let keys = match untold {
        Untold { all: true, .. } => vec![EVERYTHING],
        Untold { keys, .. } if keys.is_empty() => return Ok(()),
        Untold { keys, .. } => keys.iter().map(String::as_str).collect(),
    };
    bounded(async {
        let mut transaction = pool.begin().await?;
        sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
        sqlx::query(sql::TELL).bind(channel).bind(keys).execute(&mut *transaction).await?;
        transaction.commit().await
    })
    .await
}

/// No key is empty.
const EVERYTHING: &str = "";

/// Wakes who waits for what changed, for ever. After a gap everybody is woken.
pub(super) async fn listen(pool: &PgPool, channel: &str, waiting: &Waiting) {
    const PAUSE: Duration = Duration::from_millis(200);
    loop {
        if let Err(error) = until_it_breaks(pool, channel, waiting).await {
            tracing::warn!(%error, "changes in Postgres are not heard of; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn until_it_breaks(pool: &PgPool, channel: &str, waiting: &Waiting) -> Result<(), Error> {
    // A pool of its own: this connection is never given back.
    let options = (*pool.connect_options()).clone();
    let alone = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let mut listener = PgListener::connect_with(&alone.connect_lazy_with(options)).await?;
    listener.listen(channel).await?;
    waiting.wake_all();
    loop {
        match listener.try_recv().await? {
            Some(news) if news.payload() == EVERYTHING => waiting.wake_all(),
            Some(news) => waiting.wake(&Key::from_stored(news.payload())),
            // It was lost, and is there again.
            None => waiting.wake_all(),
        }
    }
}
