//! The whole of it, once: a payment for a request or a session on a real local chain, or a card at a simulated Stripe.

mod charge;
mod session;
mod stripe;

use clap::{Args, ValueEnum};

use crate::{console::Console, workspace::Workspace};

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
    /// One payment by card, at a simulated Stripe; with STRIPE_SECRET_KEY set, at Stripe itself in test mode.
    Stripe,
}

/// Shows it, and tells whether the money moved as it should.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    options: &Options,
) -> anyhow::Result<bool> {
    match options.intent {
        Intent::Charge => charge::command(console),
        Intent::Session => session::command(console),
        Intent::Stripe => stripe::command(workspace, console),
    }
}

/// Shows all of them, and asks nobody outside this machine.
pub(crate) fn gate(console: Console) -> anyhow::Result<bool> {
    Ok(charge::command(console)? && session::command(console)? && stripe::simulated(console)?)
}

/// A secret for challenges, different each run: its server lives for seconds.
fn secret() -> String {
    (0..4).map(|_| format!("{:016x}", different())).collect()
}

fn different() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}
