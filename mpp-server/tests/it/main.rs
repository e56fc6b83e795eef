//! The gate and its adapters against callers who pay, cheat, hang up and come back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adapters;
mod booth;
mod compose;
mod gate;
mod hostile;
mod idempotency;
mod identity;
mod late;
mod model;
mod on_success;
mod peers;
mod recovery;
mod sessions;
mod shop;
mod storm;
mod streams;
mod terms;
mod write_off;
