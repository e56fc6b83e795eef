//! The codec of Tempo transactions beside the chain's own, `tempo-primitives`, over random transactions.
//!
//! Run it with `cargo xtask differential [--cases N] [--seed S] [--json]`. Each case is made from the seed, and what
//! fails is made smaller before it is shown. These properties are held:
//!
//! - **written**: a random transaction under each kind of signature, paid by its sender, awaiting a sponsor, or sponsored.
//!   Both sides write the same bytes, sign the same hashes (sender's, fee payer's, expiring nonce's), give it the same hash,
//!   read what the other wrote, and recover the same account, access key and sponsor.
//! - **read**: such a transaction in each of its forms (0x76, 0x76 with a placeholder, the 0x78 envelope) with bytes and
//!   fields changed. What is accepted here is accepted there **with the same meaning**; where only the chain's crate accepts,
//!   the reason is one of the [known classes](strictness::Class).
//! - **signature**, **authorization**: the same for account signatures and key authorisations by themselves.
//! - **classes**: each known class has an example that the chain's crate reads, and that is refused here for that reason.
//!
//! The chain's crate knows neither the envelope nor the placeholder: both are forms between payer and sponsor. They are shown to it
//! with the mark it uses for an awaited sponsor in their slot, so that every other field is still judged.
//!
//! Key authorisations and delegations are carried as raw lists, and are compared as well: the chain hashes what it read, so a list
//! that it spells otherwise gives the transaction another hash.

mod agreement;
mod carried;
mod changes;
mod forms;
mod run;
mod signers;
mod strictness;
mod theirs;
mod transactions;

use std::process::ExitCode;

use clap::Parser;

/// Compares the codec with the chain's own.
#[derive(Parser)]
struct Cli {
    /// Random cases of each property.
    #[arg(long, default_value_t = 2000)]
    cases: u32,
    /// Where the randomness starts: the same seed makes the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// 0: both sides agree. 1: they do not.
fn main() -> ExitCode {
    let Cli { cases, seed, json } = Cli::parse();
    let report = run::all(cases, seed);
    if json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    if report.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
