//! A stream of tokens, each paid for from a channel: opened, topped up on the way, settled, closed, and the rest paid back.

mod count;
mod sell;

use std::sync::{Arc, atomic::Ordering};

use anyhow::{Context, ensure};
use mpp_client::{Limits, ResponseExt, SessionExt, Wallet, paying};
use mpp_core::Receipt;
use mpp_tempo::{
    Chain, HttpRpc,
    session::{ChannelId, Payer, SessionReceipt},
};
use mpp_testkit::devnet::{BETA_USD, ChannelState, Devnet, Options, PATH_USD, PAYER, RECIPIENT};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};

use self::{count::Counts, sell::Shop};
use crate::console::Console;

/// How many tokens are bought: twice what is deposited at first.
const TOKENS: u64 = 200;
/// One write for so many tokens, at most.
const TOKENS_PER_WRITE: u64 = 20;
/// What the deposit is topped up by, in dollars: more than what is needed, so that some comes back.
const TOP_UP: &str = "0.02";
/// Once less than this is left of it, in dollars: while tokens flow, before they stop.
const LOW: &str = "0.01";

/// Runs it, and says whether the books of everybody are equal.
pub(super) fn command(console: Console) -> anyhow::Result<bool> {
    crate::runtime()?.block_on(async {
        console.say("starting a local Tempo chain (the first time, npm installs it)");
        let options = Options { complete: true, sponsor_fills: false, ..Options::default() };
        let chain = Devnet::start_with(options).await?;
        console.say(format_args!("  chain {} at {}", chain.chain_id(), chain.rpc_url()));
        let shown = run(console, &chain).await;
        chain.stop().await;
        let shown = shown?;
        console.object(&shown.to_json());
        let wrong = shown.wrong();
        wrong.iter().for_each(|wrong| console.note(format_args!("error: {wrong}")));
        Ok(wrong.is_empty())
    })
}

/// What one run came to. Amounts are base units.
struct Shown {
    tokens: u64,
    vouchers: u64,
    top_ups: u64,
    /// To the seller's store, while tokens flowed.
    writes: u64,
    /// Of the seller's node, while tokens flowed and no order was in hand.
    calls: u64,
    spent: u128,
    deposit: u128,
    settled: u128,
    refunded: u128,
    payer: (u128, u128),
    payee: (u128, u128),
}

async fn run(console: Console, chain: &Devnet) -> anyhow::Result<Shown> {
    let counts = Arc::<Counts>::default();
    let shop = Shop::open(chain, &counts).await?;
    let url = format!("{}/tokens?n={TOKENS}", shop.url);
    console.say(format_args!("selling tokens for {} at {url}", sell::RATE));
    let client = client(chain)?;

    let payer = chain.balance_of(PATH_USD, PAYER.address).await?;
    let payee = chain.balance_of(PATH_USD, RECIPIENT.address).await?;
    let (tokens, receipt) = stream(console, &client, &url, &counts).await?;
    let id = SessionReceipt::read(&receipt).context("the stream's receipt")?.channel_id;
    let id = id.parse::<ChannelId>()?.0;
    console.say(format_args!("  {tokens} tokens from channel {id}"));

    // In hand for as long as it takes: what it asks the node is the order's.
    let order = counts.order();
    shop.gate.settle_all().await.map_err(|e| anyhow::anyhow!("{}", e.detail))?;
    drop(order);
    let ChannelState { settled, deposit, .. } = chain.channel_state(id).await?;
    console
        .say(format_args!("settled {settled} of a deposit of {deposit}; the channel stays open"));

    let before_close = chain.balance_of(PATH_USD, PAYER.address).await?;
    let closed = client.close_session(&url).await?.context("it closed without a receipt")?;
    let spent = SessionReceipt::read(&closed).context("the last receipt")?.spent.get();
    let payer = (payer, chain.balance_of(PATH_USD, PAYER.address).await?);
    let payee = (payee, chain.balance_of(PATH_USD, RECIPIENT.address).await?);
    let refunded = payer.1 - before_close;
    console.say(format_args!("closed for {spent}; {refunded} came back"));
    console.say(format_args!("  receipt      {}", serde_json::to_string(&closed)?));
    console.say(format_args!("  payer        {} -> {}", payer.0, payer.1));
    console.say(format_args!("  payee        {} -> {}", payee.0, payee.1));
    let gone = chain.channel_state(id).await? == ChannelState::default();
    ensure!(gone, "the chain still has the channel");

    let count = |counted: &std::sync::atomic::AtomicU64| counted.load(Ordering::SeqCst);
    let (vouchers, top_ups) = (count(&counts.vouchers), count(&counts.top_ups));
    let (writes, calls) = (count(&counts.writes_streaming), count(&counts.calls));
    let all = count(&counts.writes);
    console.say(format_args!("{vouchers} vouchers, {top_ups} top-ups, {writes} writes and {calls} calls of the node while tokens flowed; {all} writes in all"));
    Ok(Shown {
        tokens,
        vouchers,
        top_ups,
        writes,
        calls,
        spent,
        deposit,
        settled,
        refunded,
        payer,
        payee,
    })
}

/// A wallet of up to half a dollar a payment, with fees in another token, so that the channel's token moves by prices alone.
fn client(chain: &Devnet) -> anyhow::Result<ClientWithMiddleware> {
    let node = Arc::new(HttpRpc::new(chain.rpc_url())?);
    let payer = Payer::new(PAYER.key.hex().parse()?, &Chain::by_id(chain.chain_id()), node);
    let payer = payer.max_deposit("0.25")?.top_up(TOP_UP)?.top_up_below(LOW)?.fees_in(BETA_USD)?;
    let wallet = Wallet::new(Limits::usd("0.50")?).payer(payer);
    Ok(paying(reqwest::Client::builder().no_proxy(), wallet)?)
}

/// Reads the stream to its end: how many tokens came, and its receipt.
async fn stream(
    console: Console,
    client: &ClientWithMiddleware,
    url: &str,
    counts: &Arc<Counts>,
) -> anyhow::Result<(u64, Receipt)> {
    let mut events = client.get(url).send().await?.error_for_payment().await?.events()?;
    let mut tokens = 0;
    while let Some(event) = events.next().await {
        tokens += 1;
        if tokens % 50 == 1 {
            console.say(format_args!("  {} …", event?.data));
        } else {
            event?;
        }
    }
    counts.streams(false);
    Ok((tokens, events.receipt().context("no receipt came at the end")?.clone()))
}

impl Shown {
    fn to_json(&self) -> Value {
        json!({
            "tokens": self.tokens,
            "spent": self.spent.to_string(),
            "vouchers": self.vouchers,
            "topups": self.top_ups,
            "store_writes": self.writes,
            "rpc_calls_while_streaming": self.calls,
            "deposit": self.deposit.to_string(),
            "settled": self.settled.to_string(),
            "refunded": self.refunded.to_string(),
            "payer_before": self.payer.0.to_string(),
            "payer_after": self.payer.1.to_string(),
            "payee_before": self.payee.0.to_string(),
            "payee_after": self.payee.1.to_string(),
        })
    }

    /// What of it is not as it should be.
    fn wrong(&self) -> Vec<&'static str> {
        let rules = [
            (self.tokens == TOKENS, "not every token came"),
            (
                self.payee.0.checked_add(self.spent) == Some(self.payee.1),
                "the payee has not what was spent",
            ),
            (
                self.payer.1.checked_add(self.spent) == Some(self.payer.0),
                "the payer misses not what was spent",
            ),
            (
                self.deposit == self.spent + self.refunded,
                "the deposit is not what was spent and refunded",
            ),
            (
                self.settled > 0 && self.settled <= self.spent,
                "what was settled is nothing, or not all spent",
            ),
            (self.top_ups >= 1, "the deposit was not topped up"),
            (self.writes <= self.tokens / TOKENS_PER_WRITE, "the store was written to too often"),
            (self.calls == 0, "the node was asked while tokens flowed"),
        ];
        rules.into_iter().filter_map(|(holds, wrong)| (!holds).then_some(wrong)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_that_are_not_equal_are_told() {
        let good = || Shown {
            tokens: 200,
            vouchers: 2,
            top_ups: 1,
            writes: 9,
            calls: 0,
            spent: 20_000,
            deposit: 30_000,
            settled: 20_000,
            refunded: 10_000,
            payer: (50_000, 30_000),
            payee: (0, 20_000),
        };
        assert!(good().wrong().is_empty());
        for bad in [
            Shown { tokens: 199, ..good() },
            Shown { payee: (0, 19_999), ..good() },
            Shown { payer: (50_000, 29_999), ..good() },
            Shown { refunded: 9_999, ..good() },
            Shown { settled: 20_001, ..good() },
            Shown { top_ups: 0, ..good() },
            Shown { writes: 11, ..good() },
            Shown { calls: 1, ..good() },
        ] {
            assert_eq!(bad.wrong().len(), 1);
        }
    }
}
