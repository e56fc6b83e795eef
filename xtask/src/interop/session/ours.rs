//! This SDK's client, as it plays what the programs of others play.

use std::sync::Arc;

use anyhow::{Context, ensure};
use mpp_client::{Limits, ResponseExt, SessionExt, Wallet, paying, ws::SocketExt};
use mpp_core::{Amount, Challenge, Credential, Receipt, payer::Allowance, payer::Payer as _};
use mpp_tempo::{
    Chain,
    chain::rpc::Rpc,
    charge,
    session::{Payer, SessionReceipt, TempoSession},
};
use mpp_testkit::devnet::{BETA_USD, PAYER};
use reqwest_middleware::ClientWithMiddleware;

use super::{flow::Flow, party::Outcome};
use crate::interop::party::REQUEST;

/// What it pays with. Each flow has a wallet of its own, and so a channel of its own.
pub(super) struct Ours {
    pub(super) chain: Chain,
    pub(super) node: Arc<dyn Rpc>,
}

/// What is added to a deposit that is used up, in dollars.
const TOP_UP: &str = "0.005";

impl Ours {
    /// Plays a flow at a server, on a channel of its own.
    pub(super) async fn run(&self, flow: &Flow, url: &str) -> anyhow::Result<Outcome> {
        let mut client = self.client()?;
        let at = |path: &str| format!("{url}{path}");
        let (place, served) = match flow.name {
            "topup" => {
                let place = at("/data");
                let before = requests(&client, &place, 1).await?;
                topped_up(&client, &place, 50_000).await?;
                let after = requests(&client, &place, flow.units - before).await?;
                (place, before + after)
            }
            "sponsored" => {
                let place = at("/sponsored");
                let served = requests(&client, &place, flow.units).await?;
                topped_up(&client, &place, 20_000).await?;
                (place, served)
            }
            "ws" => return poured(&client, url).await,
            // By a client that forgot its channel, and is told of it once it proved who it is.
            "bootstrap" => {
                let place = at("/data");
                let before = requests(&client, &place, 2).await?;
                client = self.client()?;
                ensure!(client.bootstrap(&place).await?, "it was told of no channel");
                let after = requests(&client, &place, flow.units - before).await?;
                (place, before + after)
            }
            // All at once, on one channel.
            "fetch" => {
                let place = at("/data");
                let one = || requests(&client, &place, 1);
                let (a, b, c) = tokio::try_join!(one(), one(), one())?;
                (place, a + b + c)
            }
            name if name.contains("sse") => {
                let path = if flow.sponsored { "/sse-sponsored" } else { "/sse" };
                let place = at(&format!("{path}?n={}", flow.units));
                let served = streamed(&client, &place).await?;
                (place, served)
            }
            _ => {
                let place = at("/data");
                let served = requests(&client, &place, flow.units).await?;
                (place, served)
            }
        };
        let closed = client.close_session(&place).await?.context("it closed without a receipt")?;
        Outcome::of(&closed, served)
    }

    /// Answers a challenge by opening a channel, and sends the answer nowhere.
    pub(super) async fn open(&self, url: &str, challenge: &Challenge) -> anyhow::Result<String> {
        let demand = challenge.read::<TempoSession>()?;
        let to = mpp_client::reqwest::site(&reqwest::Method::GET, &url.parse()?);
        let within = Allowance { up_to: Amount::new(u128::from(u64::MAX)), to };
        let payment = self.payer()?.pay(&demand, &within).await?;
        let credential = Credential::answer(&demand, payment.source.clone(), &payment.payload)?;
        Ok(format!("Payment {}", credential.to_token()?))
    }

    fn client(&self) -> anyhow::Result<ClientWithMiddleware> {
        let proving = charge::Payer::new(PAYER.key.hex().parse()?, &self.chain, self.node.clone());
        let wallet = Wallet::new(Limits::usd("1.50")?)
            .payer(self.payer()?)
            .payer(proving)
            .prefer(["tempo/session"]);
        Ok(paying(reqwest::Client::builder().no_proxy().timeout(REQUEST), wallet)?)
    }

    fn payer(&self) -> anyhow::Result<Payer> {
        let payer = Payer::new(PAYER.key.hex().parse()?, &self.chain, self.node.clone());
        // Fees in another token than any price is in, so that prices are seen bare.
        Ok(payer.max_deposit("1.00")?.top_up(TOP_UP)?.fees_in(BETA_USD)?)
    }
}

impl Outcome {
    fn of(closed: &Receipt, served: u64) -> anyhow::Result<Self> {
        let channel = SessionReceipt::read(closed).context("its last receipt")?.channel_id;
        Ok(Self { channel, served, close: serde_json::to_value(closed)? })
    }
}

/// How many of so many requests were served: all, or an error.
async fn requests(client: &ClientWithMiddleware, url: &str, times: u64) -> anyhow::Result<u64> {
    for _ in 0..times {
        let response = client.get(url).send().await?.error_for_payment().await?;
        let status = response.status();
        ensure!(response.receipt().is_some(), "{status}, and no receipt came");
        let body = response.text().await?;
        ensure!(status.is_success(), "{status}: {body}");
    }
    Ok(times)
}

/// How many events came, by the stream's own end.
async fn streamed(client: &ClientWithMiddleware, url: &str) -> anyhow::Result<u64> {
    let mut events = client.get(url).send().await?.error_for_payment().await?.events()?;
    let mut served = 0;
    while let Some(event) = events.next().await {
        event?;
        served += 1;
    }
    ensure!(events.receipt().is_some(), "no receipt came at the end");
    Ok(served)
}

/// A socket to its stream's end, and closed over the socket.
async fn poured(client: &ClientWithMiddleware, url: &str) -> anyhow::Result<Outcome> {
    // Without a query: mppx takes an opening at an address with one for a request that is paid for by itself.
    let url = format!("{}/ws", url.replacen("http", "ws", 1));
    let mut socket = client.socket(&url).await?;
    let mut served = 0;
    while let Some(text) = socket.next().await {
        text?;
        served += 1;
    }
    let closed = socket.close().await?.context("it closed without a receipt")?;
    Outcome::of(&closed, served)
}

async fn topped_up(
    client: &ClientWithMiddleware,
    url: &str,
    more: u128,
) -> anyhow::Result<Receipt> {
    client.top_up(url, Amount::new(more)).await?.context("it was topped up without a receipt")
}
