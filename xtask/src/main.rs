//! The project's own commands: what gates a change, and what shows that the whole works.

mod accounts;
mod bench;
mod ci;
mod conformance;
mod console;
mod crash;
mod demo;
mod devnet;
mod differential;
mod docs;
mod features;
mod fuzz;
mod interop;
mod pay;
mod serve;
mod services;
mod stripe;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{console::Console, workspace::Workspace};

/// Commands of this workspace: `cargo xtask <command>`.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    /// Print exactly one JSON object on standard output, and all else on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything that gates a change, in order, and print the seconds of each stage.
    Ci,
    /// Read manifests and sources, and name what breaks a rule of the house.
    Tidy,
    /// Check each crate bare, with each feature alone, and with all.
    Features,
    /// Run the vectors of this project, or answer requests with the same code.
    Conformance {
        /// Speak the public adapter ABI: JSON requests on standard input, one line of JSON for each on standard output.
        #[arg(long)]
        adapter: bool,
    },
    /// Compare the codec of Tempo transactions with the chain's own, over random ones.
    Differential {
        #[command(flatten)]
        options: differential::Options,
    },
    /// Give the codecs bytes that were changed at random.
    Fuzz {
        #[command(flatten)]
        options: fuzz::Options,
    },
    /// Measure this SDK, its peer and the floor in one run, and print ratios.
    Bench {
        /// Look less closely.
        #[arg(long)]
        quick: bool,
    },
    /// Start a local Tempo chain (or a simulated Stripe), a paid API and a client that pays it, and show each step.
    Demo(demo::Options),
    /// Serve a paid API on 127.0.0.1 for clients and validators of other SDKs, until SIGTERM.
    Serve {
        /// The node to settle on.
        #[arg(long)]
        rpc: String,
        /// Sell by card too, through the simulated Stripe at this address; STRIPE_SECRET_KEY is its key.
        #[arg(long)]
        stripe: Option<String>,
        /// The port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Pay for URLs with a development account, and print a line of JSON for each.
    Pay(pay::Options),
    /// Pay every route of the SDKs of others, be paid by them on every route of ours, and refuse what must be refused.
    Interop(interop::Options),
    /// Kill a paid API and its client at every named point, and hold the books against the chain.
    Crash {
        #[command(flatten)]
        options: crash::Options,
        /// Leave this durable write out, and succeed only if the books show it.
        #[arg(long)]
        drop_mark: Option<String>,
    },
    /// Run a local Tempo chain, and print one line of JSON once it is there, until SIGTERM or an interrupt.
    Devnet {
        #[command(flatten)]
        kind: devnet::Kind,
    },
    /// Run the Stripe simulator, and print one line of JSON once it is there, until SIGTERM or an interrupt.
    Stripe {
        #[command(flatten)]
        kind: stripe::Kind,
    },
    /// Run a private Redis and a private Postgres until interrupted, installed first where they are missing.
    Services,
    /// Build the documentation, and see that the programs of READMEs are compiled.
    Docs,
}

/// 0: done. 1: a check failed, or could not be made. 2: the command line was not understood.
fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(cli.json);
    match run(&cli.command, console) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            console.note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether what was asked for succeeded. A command that prints JSON prints it in either case.
fn run(command: &Command, console: Console) -> anyhow::Result<bool> {
    // The adapter needs no workspace, and runs wherever it is started.
    if matches!(command, Command::Conformance { adapter: true }) {
        return conformance::adapter();
    }
    let workspace = Workspace::find()?;
    match command {
        Command::Ci => ci::command(&workspace, console),
        Command::Tidy => tidy::command(&workspace, console),
        Command::Features => features::command(&workspace, console),
        Command::Conformance { .. } => conformance::command(&workspace, console),
        Command::Differential { options } => differential::command(&workspace, console, options),
        Command::Fuzz { options } => fuzz::command(console, options),
        Command::Bench { quick } => bench::command(&workspace, console, *quick),
        Command::Demo(options) => demo::command(&workspace, console, options),
        Command::Serve { rpc, stripe, port } => {
            serve::command(console, rpc, stripe.as_deref(), *port)
        }
        Command::Pay(options) => pay::command(console, options),
        Command::Interop(options) => interop::command(&workspace, console, options),
        Command::Crash { options, drop_mark: None } => crash::command(&workspace, console, options),
        Command::Crash { options, drop_mark: Some(point) } => {
            crash::shows_drop(&workspace, console, options, point)
        }
        Command::Devnet { kind } => devnet::command(console, kind),
        Command::Stripe { kind } => stripe::command(&workspace, console, kind),
        Command::Services => services::command(&workspace, console),
        Command::Docs => docs::command(&workspace, console),
    }
}

/// What commands that talk to a network run on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
