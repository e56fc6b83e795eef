//! Connections: a bounded number, for a bounded time, and what their errors mean.

use std::time::Duration;

use mpp_core::store::StoreError;
use sqlx::{
    Connection as _, Error, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Connects once, so that a wrong address is known at once; further connections are made as they are needed.
pub(super) async fn connect(url: &str) -> Result<PgPool, StoreError> {
    const MOST: u32 = 16;
    const WAIT: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(1);
    let options = url.parse::<PgConnectOptions>().map_err(StoreError::unavailable)?;
    let pool = PgPoolOptions::new()
        .max_connections(MOST)
        .acquire_timeout(WAIT)
        // Asking before each use would double the way of each swap; one that was just used is there.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query(SESSION).execute(connection).await?;
                Ok(())
            })
        });
    bounded(pool.connect_with(options)).await.map_err(StoreError::unavailable)
}

/// What swaps rely on, whatever the defaults of the server, the database or the user are.
const SESSION: &str = "
    SELECT set_config('default_transaction_isolation', 'read committed', false),
        set_config('statement_timeout', '5s', false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)";

/// Warns of what the server is told that loses swaps.
pub(super) async fn warn_of_losses(pool: &PgPool) {
    let asked = sqlx::query("SELECT current_setting('fsync')").fetch_one(pool);
    let told = bounded(asked).await.and_then(|row| row.try_get::<String, _>(0));
    if told.is_ok_and(|told| told == "off") {
        tracing::warn!("fsync is off: this Postgres can forget what was paid, or used");
    }
}

/// Waits for an answer, and no longer than a server takes that is there.
pub(super) async fn bounded<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    const ANSWER: Duration = Duration::from_secs(10);
    tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(Error::PoolTimedOut))
}

pub(super) fn explain(error: Error, what: &str) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // disk_full
        Some("53100") => StoreError::Full,
        // data_corrupted, index_corrupted
        Some("XX001" | "XX002") => StoreError::corrupt(what, error),
        _ => StoreError::unavailable(error),
    }
}
