//! Stores that outlive the process, each behind a feature of its name, and a watch for those that have none.
//!
//! | Store | Where | Durable | Wakes |
//! |---|---|---|---|
//! | `Redb` | a file of this process | each swap, many in one commit | push |
//! | `Redis` | a server | as the server is told: `appendfsync always` | push |
//! | `Postgres` | a server | each swap | push |
//! | [`Polling`] | over any store | as that store | poll |
//!
//! An entry that does not read is left alone: it is an error that names the entry to whoever asks for it, a scan goes
//! past it and says so in an error event, and no other entry is affected.

#[cfg(any(feature = "redb", feature = "redis", feature = "postgres"))]
mod frame;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod lifetime;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod listener;
mod polling;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "redb", feature = "redis", feature = "postgres"))]
mod span;
#[cfg(any(feature = "redb", feature = "redis", feature = "postgres"))]
mod waiting;

pub use self::polling::Polling;
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redb")]
pub use self::redb::Redb;
#[cfg(feature = "redis")]
pub use self::redis::Redis;
