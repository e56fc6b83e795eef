//! Whole payments of `tempo/charge`: a shop in axum, a client that pays, and the chain between them. What peers paid for
//! (S1 to S8, S14, S18) is here by name, wherever it touches the chain.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acceptance;
mod client;
mod config;
mod confusion;
mod crashes;
mod drain;
mod expiry;
mod faulty;
mod identity;
mod leaks;
mod memos;
mod modes;
mod replay;
mod sessions;
mod shares;
mod shop;
mod signers;
mod stage;
mod together;
