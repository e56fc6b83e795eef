//! What is promised of the two halves of Stripe, held against a simulator of it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod live;
mod log;
mod paying;
mod proxy;
mod seller;
mod stage;
mod tokens;
