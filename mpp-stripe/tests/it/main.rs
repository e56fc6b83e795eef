//! What is promised of the two halves of Stripe, held against a simulator of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod live;
mod paying;
mod proxy;
mod stage;
mod tokens;
