//! Who pays by sessions.

use anyhow::{Context, bail};
use mpp_core::{Challenge, transport::write_challenge};
use mpp_testkit::devnet::PAYER;
use serde_json::{Value, json};

use super::{flow::Flow, ours::Ours};
use crate::{
    interop::{
        PATIENCE,
        install::Installed,
        party::{Sdk, Server},
        peer::Peer,
    },
    pay,
};

/// What a client says of a flow that it played to its end.
pub(super) struct Outcome {
    /// The channel that paid for it.
    pub(super) channel: String,
    /// How many units it got.
    pub(super) served: u64,
    /// The receipt of the channel's end.
    pub(super) close: Value,
}

/// One that pays.
pub(super) enum Client {
    /// This SDK's.
    Ours(Ours),
    /// A program of another SDK.
    Other(Box<Peer>),
}

impl Client {
    pub(super) async fn of(sdk: Sdk, installed: &Installed, rpc: &str) -> anyhow::Result<Self> {
        let (chain, node) = pay::chain_at(rpc).await?;
        if sdk == Sdk::Ours {
            return Ok(Self::Ours(Ours { chain, node }));
        }
        let program = sdk.program("session-client", installed, rpc, &chain);
        let (peer, _) = Peer::start(program).await.with_context(|| sdk.name())?;
        Ok(Self::Other(Box::new(peer)))
    }

    /// Plays a flow at a server, on a channel of its own.
    pub(super) async fn run(&mut self, flow: &Flow, url: &str) -> anyhow::Result<Outcome> {
        let peer = match self {
            Self::Ours(ours) => return ours.run(flow, url).await,
            Self::Other(peer) => peer,
        };
        let job = json!({ "op": "run", "flow": flow.name, "url": url, "key": PAYER.key.hex() });
        let mut told = succeeded(peer.ask(job, PATIENCE).await?)?;
        Ok(Outcome {
            channel: told["channel"].as_str().context("it names no channel")?.to_owned(),
            served: told["served"].as_u64().context("it does not say what it got")?,
            close: told["close"].take(),
        })
    }

    /// Answers a challenge by opening a channel, and returns the value of an `Authorization` field.
    pub(super) async fn open(
        &mut self,
        url: &str,
        challenge: &Challenge,
    ) -> anyhow::Result<String> {
        let peer = match self {
            Self::Ours(ours) => return ours.open(url, challenge).await,
            Self::Other(peer) => peer,
        };
        let field = write_challenge(challenge)?;
        let job = json!({ "op": "sign", "url": url, "challenge": field.to_str()?, "key": PAYER.key.hex() });
        let told = succeeded(peer.ask(job, PATIENCE).await?)?;
        Ok(told["authorization"].as_str().context("it did not sign")?.to_owned())
    }
}

fn succeeded(told: Value) -> anyhow::Result<Value> {
    match told.get("error").and_then(Value::as_str) {
        Some(error) => bail!("{error}"),
        None => Ok(told),
    }
}

/// Starts one that sells.
pub(super) async fn server(sdk: Sdk, installed: &Installed, rpc: &str) -> anyhow::Result<Server> {
    if sdk == Sdk::Ours {
        return Server::of(sdk, installed, rpc).await;
    }
    let (chain, _) = pay::chain_at(rpc).await?;
    Server::started(sdk, sdk.program("session-server", installed, rpc, &chain)).await
}
