//! Real servers on this machine: private, on ports of their own, gone with the test that started them.
//!
//! ```no_run
//! # async fn run() -> Result<(), mpp_testkit::services::ServiceError> {
//! use mpp_testkit::services::Redis;
//!
//! let mut redis = Redis::start().await?;
//! // point the code under test at `redis.url()`, then take its server away
//! redis.kill().await;
//! redis.restart().await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod instance;
mod keeper;
mod postgres;
mod programs;
mod redis;
mod scratch;

pub use self::{error::ServiceError, postgres::Postgres, redis::Redis};
