//! The SDKs of others as judges: every route, paid in both directions on a real chain, and what must be refused, refused.

mod books;
mod flow;
mod forge;
mod install;
mod matrix;
pub(crate) mod official;
mod paid;
mod party;
mod peer;
mod refused;
mod round;
mod session;
mod stripe;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use mpp_testkit::devnet::{self, Devnet};
use serde_json::json;

pub(crate) use self::peer::Peer;
use self::{install::Installed, matrix::Matrix, round::Round};
use crate::{console::Console, workspace::Workspace};

/// What is played, and where.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// What is bought by; all, where it is not said.
    intent: Option<Intent>,
    /// Play only the cells whose name contains this: "mppx → ours: push".
    #[arg(long)]
    only: Option<String>,
    /// Settle on this node instead of starting one; it must be a development chain with its known accounts.
    #[arg(long)]
    rpc: Option<String>,
    /// Let the others pay each other instead: what fails there is not of our making.
    #[arg(long)]
    peers_only: bool,
}

/// What is bought by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Intent {
    /// A payment for each request.
    Charge,
    /// Vouchers from a channel.
    Session,
    /// Cards, against a simulated Stripe, alone and beside the chain.
    Stripe,
}

impl Options {
    fn play(&self, intent: Intent) -> bool {
        self.intent.is_none_or(|only| only == intent)
    }
}

/// How long a cell may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Installs the others where they are missing, plays all cells, and tells whether each went as expected.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    options: &Options,
) -> anyhow::Result<bool> {
    let installed = Installed::ready(workspace, console)?;
    let matrix = crate::runtime()?.block_on(run(&installed, console, options))?;
    for line in matrix.lines() {
        console.say(line);
    }
    console.object(&matrix.to_json());
    Ok(matrix.failed() == 0)
}

async fn run(installed: &Installed, console: Console, options: &Options) -> anyhow::Result<Matrix> {
    if let Some(rpc) = &options.rpc {
        return play(installed, rpc, console, options).await;
    }
    // Bare, it refuses what pympp's server and sponsors ask of it; and servers that sponsor sessions by themselves refuse what
    // a wallet's node had signed by another sponsor.
    let kind = devnet::Options { complete: true, sponsor_fills: false, ..Default::default() };
    let chain = Devnet::start_with(kind).await.context("no local chain")?;
    // A fresh chain's base fee falls from block to block, and pympp signs for exactly what the next one asks: our server,
    // which goes by the last one, would refuse it. Tempo's own does not move.
    chain.rpc("anvil_setNextBlockBaseFeePerGas", json!(["0x7"])).await?;
    chain.rpc("evm_mine", json!([])).await?;
    let played = play(installed, chain.rpc_url(), console, options).await;
    chain.stop().await;
    played
}

async fn play(
    installed: &Installed,
    rpc: &str,
    console: Console,
    options: &Options,
) -> anyhow::Result<Matrix> {
    let mut matrix = Matrix::default();
    if options.play(Intent::Charge) {
        matrix.join(Round::begin(installed, rpc, options).await?.play(console).await?);
    }
    if options.play(Intent::Session) {
        matrix.join(session::Round::begin(installed, rpc, options).await?.play(console).await?);
    }
    if options.play(Intent::Stripe) {
        if !options.peers_only && options.only.is_none() {
            matrix.join(official::play(&installed.stripe, console).await?);
        }
        matrix.join(stripe::Round::begin(installed, rpc, options).await?.play(console).await?);
    }
    Ok(matrix)
}
