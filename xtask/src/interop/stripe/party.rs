//! Who pays by card, and who sells by card.

use std::sync::Arc;

use anyhow::{Context, bail};
use http::HeaderName;
use mpp_client::{Limits, Wallet};
use mpp_core::{Challenge, transport::write_challenge};
use mpp_stripe::{charge::Payer, token::ApiTokens};
use mpp_tempo::{Chain, chain::rpc::Rpc};
use mpp_testkit::{
    devnet::{BETA_USD, PAYER},
    stripe::Simulator,
};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use super::{
    flow::{Means, Way},
    fraud::VISA,
};
use crate::{
    interop::{
        PATIENCE,
        install::Installed,
        party::{Answer, Sdk, Server, signed},
        peer::Peer,
    },
    pay::{self, Buyer},
    serve::Account,
};

/// What the application wants to be shown at `/auth`, whoever pays.
pub(super) const GUEST: (HeaderName, &str) = (http::header::AUTHORIZATION, "Bearer guest");

/// Where everybody's money is.
pub(super) struct Places<'a> {
    pub(super) installed: &'a Installed,
    pub(super) rpc: &'a str,
    pub(super) stripe: &'a Simulator,
}

impl Places<'_> {
    fn program(&self, sdk: Sdk, name: &str, chain: &Chain) -> Command {
        let mut command = sdk.program(name, self.installed, self.rpc, chain);
        command.env("STRIPE_URL", self.stripe.url());
        command.env("STRIPE_SECRET_KEY", self.stripe.secret_key());
        command
    }

    fn account(&self) -> anyhow::Result<Account> {
        Account::simulated(self.stripe.url(), self.stripe.secret_key())
    }

    /// Starts one that sells.
    pub(super) async fn server(&self, sdk: Sdk) -> anyhow::Result<Server> {
        if sdk == Sdk::Ours {
            return Server::ours(self.rpc, Some(&self.account()?)).await;
        }
        let (chain, _) = pay::chain_at(self.rpc).await?;
        Server::started(sdk, self.program(sdk, "stripe-server", &chain)).await
    }

    /// Starts one that pays.
    pub(super) async fn client(&self, sdk: Sdk) -> anyhow::Result<Client> {
        let (chain, node) = pay::chain_at(self.rpc).await?;
        if sdk == Sdk::Ours {
            return Ok(Client::Ours { account: self.account()?, chain, node });
        }
        let program = self.program(sdk, "stripe-client", &chain);
        let (peer, _) = Peer::start(program).await.with_context(|| sdk.name())?;
        Ok(Client::Other(Box::new(peer)))
    }
}

/// One that pays.
pub(super) enum Client {
    /// This SDK's.
    Ours { account: Account, chain: Chain, node: Arc<dyn Rpc> },
    /// A program of another SDK.
    Other(Box<Peer>),
}

impl Client {
    /// Fetches a URL, and pays for it by what suits best.
    pub(super) async fn fetch(&mut self, url: &str, means: Means) -> anyhow::Result<Answer> {
        let guest = url.ends_with("/auth").then_some(GUEST.1);
        let peer = match self {
            Self::Ours { account, chain, node } => {
                let buyer = Buyer::of(wallet(account, chain, node, means)?)?;
                return Answer::bought(&buyer, url, guest).await;
            }
            Self::Other(peer) => peer,
        };
        let prefer = Vec::from_iter(means.iter().map(|way| way.range()));
        let mut job = json!({ "op": "fetch", "url": url, "card": VISA, "prefer": prefer });
        if means.contains(&Way::Chain) {
            job["key"] = json!(PAYER.key.hex());
        }
        if let Some(guest) = guest {
            job["headers"] = json!({ "Authorization": guest });
        }
        Ok(Answer::of(&peer.ask(job, PATIENCE).await?))
    }

    /// Answers a challenge by a card, and returns the value of an `Authorization` field.
    pub(super) async fn sign(
        &mut self,
        url: &str,
        challenge: &Challenge,
        card: &str,
    ) -> anyhow::Result<String> {
        let peer = match self {
            Self::Ours { account, .. } => {
                let payer = payer(account, card)?;
                let answer = timeout(PATIENCE, pay::answer(&payer, challenge, url)).await;
                return answer.context("no credential in time")?;
            }
            Self::Other(peer) => peer,
        };
        let field = write_challenge(challenge)?;
        let job = json!({ "op": "sign", "url": url, "challenge": field.to_str()?, "card": card });
        signed(&peer.ask(job, PATIENCE).await?)
    }
}

fn payer(account: &Account, card: &str) -> anyhow::Result<Payer> {
    Ok(Payer::new(ApiTokens::new(account.api()?)).paying_with(card.parse()?))
}

/// Up to ten dollars, or a thousand yen, by these means and in this order.
fn wallet(
    account: &Account,
    chain: &Chain,
    node: &Arc<dyn Rpc>,
    means: Means,
) -> anyhow::Result<Wallet> {
    let limits = Limits::usd("10.00")?.or(Limits::in_unit("jpy", "1000")?);
    let mut wallet = Wallet::new(limits).prefer(means.iter().map(|way| way.range()));
    for way in means {
        wallet = match way {
            Way::Card => wallet.payer(payer(account, VISA)?),
            // Fees in another token than any price is in, so that prices are seen bare.
            Way::Chain => {
                let key = PAYER.key.hex();
                wallet.payer(pay::payer(key, chain, node.clone(), None)?.fees_in(BETA_USD)?)
            }
        };
    }
    Ok(wallet)
}

/// The payload of a credential, changed.
pub(super) fn reworded(
    authorization: &str,
    change: impl FnOnce(&mut Value),
) -> anyhow::Result<String> {
    let token = authorization.strip_prefix("Payment ").context("no Payment credential")?;
    let mut credential: Value = serde_json::from_slice(&mpp_core::encoded::decode(token)?)?;
    match credential.get_mut("payload") {
        Some(payload) => change(payload),
        None => bail!("a credential without a payload"),
    }
    Ok(format!("Payment {}", mpp_core::encoded::encode(credential.to_string().as_bytes())))
}
