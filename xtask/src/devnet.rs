//! A local Tempo chain in the foreground, for whoever wants one to point at.

use std::io::{self, Write};

use anyhow::bail;
use clap::Args;
use mpp_testkit::devnet::{ACCOUNTS, Devnet, Options, TOKENS};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::console::Console;

/// What kind of chain.
#[derive(Debug, Args)]
pub(crate) struct Kind {
    /// The port on 127.0.0.1; without it, a free one.
    #[arg(long)]
    port: Option<u16>,
    /// The node alone, with its gaps: no faucet, no sponsor, and `calls` are not run in estimates.
    #[arg(long)]
    bare: bool,
    /// Sign as the sponsor whenever a transaction with `feePayer` is filled in, as the relay of a sponsor does. Servers that
    /// sponsor sessions by themselves refuse what was signed so.
    #[arg(long)]
    sponsor_fills: bool,
}

/// Starts a chain, says in one line of JSON where it is and who has money on it, and stays until SIGTERM or an interrupt:
/// the chain goes when this process does.
pub(crate) fn command(console: Console, kind: &Kind) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        // Before it starts: a signal in between must not be missed.
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let Kind { port, bare, sponsor_fills } = *kind;
        let options = Options { complete: !bare, port, sponsor_fills, ..Options::default() };
        let chain = Devnet::start_with(options).await?;
        console.note(format_args!(
            "Tempo chain {} at {}; interrupt to stop it",
            chain.chain_id(),
            chain.rpc_url()
        ));
        writeln!(io::stdout(), "{}", described(&chain))?;
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            () = chain.ended() => bail!("the node ended by itself"),
        }
        chain.stop().await;
        Ok(true)
    })
}

/// The keys are those of a mnemonic that the whole world knows.
fn described(chain: &Devnet) -> Value {
    let accounts: Vec<Value> = ACCOUNTS
        .iter()
        .enumerate()
        .map(|(index, account)| json!({ "index": index, "address": account.address, "key": account.key.hex() }))
        .collect();
    let tokens: Map<String, Value> =
        TOKENS.iter().map(|(name, token)| ((*name).to_owned(), json!(token))).collect();
    json!({ "rpc": chain.rpc_url(), "chainId": chain.chain_id(), "accounts": accounts, "tokens": tokens })
}
