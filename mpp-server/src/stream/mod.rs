//! Streams that are paid for as they flow, whatever carries them: what is generated, what it costs, how long anyone is waited for.

mod code;
mod flow;
mod item;
mod tap;

use std::time::Duration;

pub(crate) use self::flow::{Flow, Said};
pub use self::{
    code::Code,
    item::Item,
    tap::{Stopped, Tap},
};

/// How long a metered stream waits for each of those it depends on; a minute each where nothing else is said.
///
/// A stream whose time is over ends with its receipt, and what it had set aside of the payer's credit is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// For the payer, once its credit is used up.
    pub voucher: Duration,
    /// For what generates the stream, between two items.
    pub upstream: Duration,
    /// For the reader to take what is there to be read, and for a socket's client to say something where it must.
    pub client: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { voucher: minute, upstream: minute, client: minute }
    }
}

/// What a stream's own code may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
