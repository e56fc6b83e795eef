//! Pays for URLs as the reference clients of other SDKs do, and prints a line of JSON for each.

mod buyer;

use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use mpp_tempo::{Chain, HttpRpc, chain::rpc::Rpc, charge};

pub(crate) use self::buyer::{Buyer, answer};
use crate::{accounts, console::Console};

/// Who pays, how, how much at most, and for what.
#[derive(Args)]
pub(crate) struct Options {
    /// The node to pay through.
    #[arg(long)]
    rpc: String,
    /// The account of the development mnemonic that pays, 0 to 9.
    #[arg(long)]
    account: usize,
    /// How the transaction reaches the chain; without it, as the challenge allows.
    #[arg(long)]
    mode: Option<Way>,
    /// The most a payment may put at stake, in dollars, its fee included.
    #[arg(long, default_value = "10.00")]
    max: String,
    /// What to pay for.
    #[arg(required = true)]
    urls: Vec<String>,
}

/// How a transaction reaches the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The payer signs, the server sends.
    Pull,
    /// The payer sends, and shows the hash.
    Push,
}

impl Way {
    /// The draft's word for it.
    pub(crate) const fn mode(self) -> charge::Mode {
        match self {
            Self::Pull => charge::Mode::Pull,
            Self::Push => charge::Mode::Push,
        }
    }
}

/// Pays for each URL in turn, and tells whether all were served.
pub(crate) fn command(console: Console, options: &Options) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        let key = accounts::key(options.account).context("accounts have numbers from 0 to 9")?;
        let (chain, rpc) = chain_at(&options.rpc).await?;
        let payer =
            payer(key, &chain, rpc, options.mode)?.fees_in(accounts::fee_token(options.account))?;
        let buyer = Buyer::new(payer, &options.max)?;
        let mut all = true;
        for url in &options.urls {
            let outcome = buyer.fetch(url).await;
            all &= outcome.is_served();
            console.line(&outcome.to_json(url));
        }
        Ok(all)
    })
}

/// A payer of this way; of either, where none is named.
pub(crate) fn payer(
    key: &str,
    chain: &Chain,
    rpc: Arc<dyn Rpc>,
    way: Option<Way>,
) -> anyhow::Result<charge::Payer> {
    let payer = charge::Payer::new(key.parse()?, chain, rpc);
    Ok(match way.map(Way::mode) {
        Some(mode) => payer.mode(mode),
        None => payer,
    })
}

/// A node, and the chain it says it is on.
pub(crate) async fn chain_at(rpc_url: &str) -> anyhow::Result<(Chain, Arc<dyn Rpc>)> {
    let rpc: Arc<dyn Rpc> = Arc::new(HttpRpc::new(rpc_url)?);
    let id = rpc.chain_id().await.with_context(|| format!("no chain answers at {rpc_url}"))?;
    Ok((Chain::by_id(id), rpc))
}
