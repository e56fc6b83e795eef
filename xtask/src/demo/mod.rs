//! The whole of it, once, on a real local chain: a payment for a request, or a session.

mod charge;
mod session;

use clap::{Args, ValueEnum};

use crate::console::Console;

/// What is shown.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Which way to pay.
    #[arg(default_value = "charge")]
    intent: Intent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Intent {
    /// One payment for one request.
    #[default]
    Charge,
    /// A stream of tokens, each paid for from a channel.
    Session,
}

/// Shows it, and tells whether the money moved as it should.
pub(crate) fn command(console: Console, options: &Options) -> anyhow::Result<bool> {
    match options.intent {
        Intent::Charge => charge::command(console),
        Intent::Session => session::command(console),
    }
}

/// Shows both.
pub(crate) fn gate(console: Console) -> anyhow::Result<bool> {
    Ok(charge::command(console)? && session::command(console)?)
}

/// A secret for challenges, different each run: its server lives for seconds.
fn secret() -> String {
    (0..4).map(|_| format!("{:016x}", different())).collect()
}

fn different() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}
