//! The processes that `cargo xtask crash` kills: a paid API over a real store, a client with a journal, and a stall that sells
//! by the unit.
//!
//! They speak in lines: commands on standard input, one JSON object a line on standard output. Built with
//! `--cfg drop_mark="POINT"`, one durable write is left out, and the books must show it.

mod buyer;
mod seller;
mod stall;
mod stores;
mod tripwire;
mod wired;

use std::io::{BufRead, Write};

use clap::Parser;
use tokio::sync::mpsc;

/// Who this process is.
#[derive(Parser, Clone, Debug)]
pub(crate) struct Args {
    /// `seller`, `buyer` or `stall`.
    role: String,
    /// A path to a redb file, or the URL of a Redis or Postgres.
    #[arg(long)]
    store: String,
    /// What is paid on.
    #[arg(long, value_enum, default_value_t = Rail::Tempo)]
    rail: Rail,
    /// The node, or the simulator of Stripe.
    #[arg(long)]
    rpc: String,
    /// The simulator's key.
    #[arg(long)]
    key: Option<String>,
    /// Where the API listens.
    #[arg(long)]
    port: u16,
    /// How many seconds the seller's clock is ahead.
    #[arg(long, default_value_t = 0)]
    ahead: u64,
    /// The buyer may show what it has, and pay nothing new.
    #[arg(long)]
    broke: bool,
    /// The private key of whoever is paid at the stall.
    #[arg(long)]
    till: Option<String>,
    /// How many units the stall's meters set aside at a time.
    #[arg(long, default_value_t = 1)]
    batch: u64,
    /// After how many units the stall collects.
    #[arg(long, default_value_t = 1)]
    collects: u64,
    /// The stall sells while it still goes through its books.
    #[arg(long)]
    eager: bool,
    /// Where the stall dies, armed before it opens.
    #[arg(long)]
    arm: Option<String>,
    /// A durable write that the stall leaves out.
    #[arg(long)]
    without: Option<String>,
}

/// What seller and buyer trade on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rail {
    /// A real local chain.
    Tempo,
    /// Simulated cards.
    Stripe,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (commands, told) = mpsc::unbounded_channel();
    // A thread: reading standard input blocks.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if commands.send(line).is_err() {
                return;
            }
        }
        // Whoever started us is gone.
        std::process::exit(0);
    });
    runtime.block_on(async {
        match args.role.as_str() {
            "seller" => seller::run(args, told).await,
            "stall" => stall::run(args, told).await,
            _ => buyer::run(args, told).await,
        }
    })
}

/// Says one thing to whoever started this process.
pub(crate) fn say(what: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}
