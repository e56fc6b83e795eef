//! Who plays: this SDK or another, as the client that pays and as the server that is paid.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use mpp_core::{Challenge, transport::write_challenge};
use mpp_tempo::{Chain, chain::rpc::Rpc};
use mpp_testkit::devnet::BETA_USD;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinHandle};

use super::{PATIENCE, install::Installed, peer::Peer};
use crate::{
    pay::{self, Buyer, Way},
    serve,
};

/// An SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    /// This one.
    Ours,
    /// The reference, in TypeScript.
    Mppx,
    /// Its sibling in Python.
    Pympp,
    /// The reference as it was when it last sold by sessions v1.
    Legacy,
}

impl Sdk {
    /// Its name in the matrix.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Mppx => "mppx",
            Self::Pympp => "pympp",
            Self::Legacy => "mppx 0.8",
        }
    }

    /// Its program of this name, pointed at a chain.
    pub(super) fn program(
        self,
        name: &str,
        installed: &Installed,
        rpc: &str,
        chain: &Chain,
    ) -> Command {
        let (interpreter, folder, ending) = match self {
            Self::Pympp => (installed.python.as_os_str(), &installed.scripts, "py"),
            Self::Legacy => ("node".as_ref(), &installed.legacy, "mjs"),
            _ => ("node".as_ref(), &installed.node, "mjs"),
        };
        let mut command = Command::new(interpreter);
        command.arg(folder.join(format!("{name}.{ending}")));
        command.env("RPC_URL", rpc).env("CHAIN_ID", chain.id.to_string());
        command.env("PORT", "0").env("MPP_SECRET_KEY", serve::SECRET);
        // What is quoted of it is to be its own words.
        command.env("NODE_NO_WARNINGS", "1");
        match self {
            // It would say "localhost" to whoever asked 127.0.0.1.
            Self::Pympp => command.env("MPP_REALM", serve::REALM),
            _ => command.env_remove("MPP_REALM"),
        };
        command
    }
}

/// A payment to make.
#[derive(Clone, Copy)]
pub(super) struct Purse<'a> {
    /// Whose money.
    pub(super) key: &'a str,
    /// How it goes; as the challenge allows, where it is not said.
    pub(super) way: Option<Way>,
}

/// What a client says became of a request.
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) receipt: Option<Value>,
    pub(super) body: String,
    pub(super) error: Option<String>,
}

/// One that pays.
pub(super) enum Client {
    Ours(Chain, Arc<dyn Rpc>),
    Other(Box<Peer>),
}

impl Client {
    pub(super) async fn of(sdk: Sdk, installed: &Installed, rpc: &str) -> anyhow::Result<Self> {
        let (chain, node) = pay::chain_at(rpc).await?;
        if sdk == Sdk::Ours {
            return Ok(Self::Ours(chain, node));
        }
        let program = sdk.program("client", installed, rpc, &chain);
        let (peer, _) = Peer::start(program).await.with_context(|| sdk.name())?;
        Ok(Self::Other(Box::new(peer)))
    }

    /// Fetches a URL, and pays for it.
    pub(super) async fn fetch(&mut self, url: &str, purse: Purse<'_>) -> anyhow::Result<Answer> {
        let peer = match self {
            Self::Ours(chain, node) => {
                return Answer::ours(payer(purse, chain, node)?, url).await;
            }
            Self::Other(peer) => peer,
        };
        Ok(Answer::of(&peer.ask(job("fetch", url, purse), PATIENCE).await?))
    }

    /// Answers a challenge, and returns the value of an `Authorization` field.
    pub(super) async fn sign(
        &mut self,
        url: &str,
        challenge: &Challenge,
        purse: Purse<'_>,
    ) -> anyhow::Result<String> {
        let peer = match self {
            Self::Ours(chain, node) => {
                let payer = payer(purse, chain, node)?;
                let signed = tokio::time::timeout(PATIENCE, pay::answer(&payer, challenge, url));
                return signed.await.context("no signature in time")?;
            }
            Self::Other(peer) => peer,
        };
        let mut job = job("sign", url, purse);
        job["challenge"] = write_challenge(challenge)?.to_str()?.into();
        signed(&peer.ask(job, PATIENCE).await?)
    }
}

/// The credential that a program made.
pub(super) fn signed(outcome: &Value) -> anyhow::Result<String> {
    match outcome.get("authorization").and_then(Value::as_str) {
        Some(signed) => Ok(signed.to_owned()),
        None => bail!("it would not sign: {}", outcome["error"]),
    }
}

impl Answer {
    /// What a program says of a request.
    pub(super) fn of(outcome: &Value) -> Self {
        let text = |name: &str| outcome.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            status: outcome.get("status").and_then(Value::as_u64).and_then(|s| s.try_into().ok()),
            receipt: outcome.get("receipt").filter(|r| r.is_object()).cloned(),
            body: text("body").unwrap_or_default(),
            error: text("error"),
        }
    }

    async fn ours(payer: mpp_tempo::charge::Payer, url: &str) -> anyhow::Result<Self> {
        Self::bought(&Buyer::new(payer, "10.00")?, url, None).await
    }

    /// What this SDK's client says of a request.
    pub(super) async fn bought(
        buyer: &Buyer,
        url: &str,
        authorization: Option<&str>,
    ) -> anyhow::Result<Self> {
        let outcome = tokio::time::timeout(PATIENCE, buyer.fetch_as(url, authorization)).await;
        let outcome = outcome.context("no answer in time")?;
        Ok(Self {
            status: outcome.status,
            receipt: outcome.receipt.map(serde_json::to_value).transpose()?,
            body: outcome.body,
            error: outcome.error.map(|error| error.said),
        })
    }
}

fn payer(
    purse: Purse<'_>,
    chain: &Chain,
    node: &Arc<dyn Rpc>,
) -> anyhow::Result<mpp_tempo::charge::Payer> {
    // In another token than any price is in, so that prices are seen bare.
    Ok(pay::payer(purse.key, chain, node.clone(), purse.way)?.fees_in(BETA_USD)?)
}

fn job(op: &str, url: &str, purse: Purse<'_>) -> Value {
    let mut job = json!({ "op": op, "url": url, "key": purse.key });
    if let Some(way) = purse.way {
        job["mode"] = json!(way.mode());
    }
    job
}

/// One that sells.
pub(super) struct Server {
    pub(super) url: String,
    keeper: Keeper,
}

enum Keeper {
    Ours(JoinHandle<()>),
    Other(Box<Peer>),
}

impl Server {
    pub(super) async fn of(sdk: Sdk, installed: &Installed, rpc: &str) -> anyhow::Result<Self> {
        if sdk == Sdk::Ours {
            return Self::ours(rpc, None).await;
        }
        let (chain, _) = pay::chain_at(rpc).await?;
        Self::started(sdk, sdk.program("server", installed, rpc, &chain)).await
    }

    /// This SDK's, with an account by card too.
    pub(super) async fn ours(rpc: &str, cards: Option<&serve::Account>) -> anyhow::Result<Self> {
        let gate = serve::gate(serve::REALM, serve::SECRET)?;
        let app = serve::app(rpc, &gate, cards).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, keeper: Keeper::Ours(serving) })
    }

    /// One of another SDK, by its program.
    pub(super) async fn started(sdk: Sdk, program: Command) -> anyhow::Result<Self> {
        let (peer, ready) = Peer::start(program).await.with_context(|| sdk.name())?;
        let url = ready.get("url").and_then(Value::as_str).context("it does not say where")?;
        Ok(Self { url: url.to_owned(), keeper: Keeper::Other(Box::new(peer)) })
    }

    /// What it has to say for itself, where something went wrong.
    pub(super) fn words(&self) -> String {
        match &self.keeper {
            Keeper::Ours(_) => String::new(),
            Keeper::Other(peer) => peer.words(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Keeper::Ours(serving) = &self.keeper {
            serving.abort();
        }
    }
}

/// How long a bare request may take.
pub(super) const REQUEST: Duration = PATIENCE;
