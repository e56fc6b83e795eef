//! What must hold of any bytes that come from outside: one function for each codec.
//!
//! Each panics where something does not hold, and says whether the bytes were accepted, so that an engine without
//! coverage can keep what got far. `cargo xtask fuzz` runs them with changed [seeds]; `cargo fuzz` runs them by coverage.

mod chain;
mod cursor;
pub mod seeds;
mod session;
mod stream;
mod stripe;
mod wire;

pub use self::{
    chain::{authorization, calldata, envelope, logs, receipt, signature, transaction},
    session::session,
    stream::{events, frame},
    stripe::{details, refusal, token, webhook},
    wire::{credential, grammar},
};

/// A function of bytes by its name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As on the command line.
    pub name: &'static str,
    /// Panics where something does not hold; whether the bytes were accepted.
    pub run: fn(&[u8]) -> bool,
    /// Bytes to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "transaction", run: transaction, seeds: seeds::transactions },
    Target { name: "envelope", run: envelope, seeds: seeds::transactions },
    Target { name: "signature", run: signature, seeds: seeds::signatures },
    Target { name: "authorization", run: authorization, seeds: seeds::authorizations },
    Target { name: "calldata", run: calldata, seeds: seeds::calldata },
    Target { name: "logs", run: logs, seeds: seeds::logs },
    Target { name: "receipt", run: receipt, seeds: seeds::receipts },
    Target { name: "session", run: session, seeds: seeds::sessions },
    Target { name: "grammar", run: grammar, seeds: seeds::fields },
    Target { name: "credential", run: credential, seeds: seeds::credentials },
    Target { name: "events", run: events, seeds: seeds::events },
    Target { name: "frame", run: frame, seeds: seeds::frames },
    Target { name: "webhook", run: webhook, seeds: seeds::stripe::webhooks },
    Target { name: "token", run: token, seeds: seeds::stripe::tokens },
    Target { name: "refusal", run: refusal, seeds: seeds::stripe::refusals },
    Target { name: "details", run: details, seeds: seeds::stripe::details },
];
