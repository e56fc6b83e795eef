//! What can befall a request.

use std::time::Duration;

/// What befalls a state-changing request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The work is done, and the connection dropped without an answer.
    AnswerLost,
    /// 500 with an `api_error`. Nothing is done, and nothing stored under the idempotency key.
    ServerError,
    /// 500 that is the stored result under the idempotency key. The work is not done.
    ServerErrorStored,
    /// The connection is dropped before anything is done.
    ConnectionLost,
    /// The work is done, and answered after so long. Until then its idempotency key is in use.
    Slow(Duration),
    /// 429. Nothing is done.
    RateLimited,
    /// This status with this body, whatever it is: HTML, an array, nothing. Nothing is done.
    Garbage(u16, String),
}
