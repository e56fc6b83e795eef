//! The store a process is told to use.

use std::sync::Arc;

use mpp_core::store::Store;
use mpp_server::store::{Postgres, Redb, Redis};

/// Opens it: a URL of a Redis or a Postgres, or else a path.
pub(crate) async fn open(at: &str) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match at {
        url if url.starts_with("redis") => Arc::new(Redis::connect(url).await?),
        url if url.starts_with("postgres") => Arc::new(Postgres::connect(url).await?),
        path => Arc::new(Redb::open(path).await?),
    })
}
