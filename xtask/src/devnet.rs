//! A local Tempo chain in the foreground, for whoever wants one to point at.

use anyhow::bail;
use mpp_testkit::devnet::Devnet;
use serde_json::json;

use crate::console::Console;

/// Starts a chain, says where it is, and stays until it is interrupted: the chain goes when this process does.
pub(crate) fn command(console: Console) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let chain = Devnet::start().await?;
        let (url, id) = (chain.rpc_url(), chain.chain_id());
        console.object(&json!({ "rpc_url": url, "chain_id": id }));
        console.say(format_args!("Tempo chain {id} at {url}; interrupt to stop it"));
        chain.ended().await;
        bail!("the node ended by itself")
    })
}
