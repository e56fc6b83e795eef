//! What the chain has of each channel, held against the seller's books and what its payer saw.

use std::collections::BTreeMap;

use anyhow::Context;
use mpp_tempo::{
    HttpRpc,
    chain::{
        reserve::{ChannelClosed, ChannelOpened, Settled, ToppedUp, search, topic},
        rpc::{Log, Rpc},
    },
};
use mpp_testkit::devnet::{ChannelState, Devnet};
use serde_json::{Value, json};

use super::{
    life::{Lived, PRICE},
    stall::BATCH,
};

/// The sums over all channels, and what is wrong with any.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) channels: u64,
    pub(super) received: u64,
    pub(super) charged: u64,
    pub(super) most_lost: u64,
    pub(super) deposited: u128,
    pub(super) captured: u128,
    pub(super) refunded: u128,
    pub(super) settlements: usize,
    pub(super) top_ups: usize,
    pub(super) kills: u64,
    pub(super) points: BTreeMap<String, u64>,
    pub(super) wrong: Vec<String>,
}

impl Sums {
    pub(super) fn tally(&self, run: &Value) -> Value {
        let mut tally = json!({
            "kills": self.kills,
            "channels": self.channels,
            "units_received": self.received,
            "units_charged": self.charged,
            "units_lost": self.charged.saturating_sub(self.received),
            "units_lost_at_most": self.most_lost,
            "deposited": self.deposited.to_string(),
            "captured": self.captured.to_string(),
            "refunded": self.refunded.to_string(),
            "settlements": self.settlements,
            "top_ups": self.top_ups,
            "wrong": self.wrong,
            "points": self.points,
        });
        if let (Some(tally), Some(run)) = (tally.as_object_mut(), run.as_object()) {
            tally.extend(run.clone());
        }
        tally
    }

    /// Takes one life into account. Returns what was captured.
    pub(super) async fn add(
        &mut self,
        chain: &Devnet,
        node: &HttpRpc,
        lived: &Lived,
    ) -> anyhow::Result<u128> {
        let found = Found::of(node, lived).await?;
        let state = chain.channel_state(lived.channel.id.0).await?;
        let id = lived.channel.id;
        if lived.books["found"] == false {
            // Its payer left before anything was written down: then nothing was sent either.
            let nowhere = found.opened.is_empty() && state == ChannelState::default();
            let nothing = lived.received == 0 && nowhere;
            let wrong = (!nothing).then(|| format!("{id}: it is on no books, and was opened"));
            self.wrong.extend(wrong);
            return Ok(0);
        }
        let books = Books::read(&lived.books)
            .with_context(|| format!("{}: {}", lived.channel.id, lived.books))?;
        let wrong = found.wrong(lived, &books, state);
        self.wrong.extend(wrong.into_iter().map(|what| format!("{id}: {what}")));
        let captured = found.closed.iter().map(|closed| closed.settled).sum();
        self.channels += 1;
        self.received += lived.received;
        self.charged += books.units;
        self.most_lost += lived.interrupted * BATCH;
        self.deposited += found.deposited();
        self.captured += captured;
        self.refunded += found.closed.iter().map(|closed| closed.refunded).sum::<u128>();
        self.settlements += found.settled.len();
        self.top_ups += found.topped_up.len();
        Ok(captured)
    }
}

/// An account on the seller's books.
struct Books {
    state: String,
    spent: u128,
    credit: u128,
    held: u128,
    units: u64,
    pending: bool,
    holds: u64,
    deposit: u128,
    settled: u128,
    ended: bool,
}

impl Books {
    fn read(said: &Value) -> Option<Self> {
        let amount = |value: &Value| match value {
            Value::Null => Some(0),
            value => value.as_str()?.parse().ok(),
        };
        Some(Self {
            state: said["state"].as_str()?.to_owned(),
            spent: amount(&said["spent"])?,
            credit: amount(&said["credit"])?,
            held: amount(&said["held"])?,
            units: said["units"].as_u64()?,
            pending: said["pending"].as_bool()?,
            holds: said["holds"].as_u64()?,
            deposit: amount(&said["kept"]["deposit"])?,
            settled: amount(&said["kept"]["settled"])?,
            ended: said["kept"]["ended"] == true,
        })
    }
}

/// The logs of one channel, in the chain's order.
struct Found {
    opened: Vec<ChannelOpened>,
    topped_up: Vec<ToppedUp>,
    settled: Vec<Settled>,
    closed: Vec<ChannelClosed>,
}

impl Found {
    async fn of(node: &HttpRpc, lived: &Lived) -> anyhow::Result<Self> {
        let latest = node.latest_block().await?.number;
        let logs = async |event| {
            let sought = search(event, (Some(lived.channel.id), None, None), (0, latest));
            let told = node.logs(sought).await?;
            anyhow::Ok(Vec::<Log>::from_iter(told.into_iter().map(|told| told.log)))
        };
        let opened = logs(topic::CHANNEL_OPENED).await?;
        let topped_up = logs(topic::TOP_UP).await?;
        let settled = logs(topic::SETTLED).await?;
        let closed = logs(topic::CHANNEL_CLOSED).await?;
        Ok(Self {
            opened: opened.iter().filter_map(ChannelOpened::read).collect(),
            topped_up: topped_up.iter().filter_map(ToppedUp::read).collect(),
            settled: settled.iter().filter_map(Settled::read).collect(),
            closed: closed.iter().filter_map(ChannelClosed::read).collect(),
        })
    }

    fn deposited(&self) -> u128 {
        let opened: u128 = self.opened.iter().map(|opened| opened.deposit).sum();
        opened + self.topped_up.iter().map(|topped_up| topped_up.added).sum::<u128>()
    }

    /// Everything that must not be.
    fn wrong(&self, lived: &Lived, books: &Books, state: ChannelState) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let Lived { received, interrupted, signed, .. } = lived;
        let Books { units, spent, credit, held, pending, holds, .. } = books;
        must(received <= units, format!("{received} units were served, {units} charged"));
        let lost = units.saturating_sub(*received);
        must(
            lost <= interrupted * BATCH,
            format!("{lost} units were lost in {interrupted} kills of a batch of {BATCH}"),
        );
        must(
            *spent == u128::from(*units) * PRICE,
            format!("{spent} was spent on {units} units at {PRICE}"),
        );
        must(spent <= credit, format!("{spent} was spent of {credit}"));
        must(credit <= signed, format!("{credit} was credited, and {signed} signed"));
        must(*held == 0 && *holds == 0, format!("{held} is still held, in {holds} holds"));
        must(!pending, "an order is still pending".into());
        must(books.state == "closed" && books.ended, format!("the books say {}", books.state));
        must(state == ChannelState::default(), format!("the chain still has it: {state:?}"));
        must(self.opened.len() == 1, format!("it was opened {} times", self.opened.len()));
        let ordered = lived.deposits.iter().sum::<u128>();
        let deposited = self.deposited();
        must(deposited == ordered, format!("{deposited} was deposited, {ordered} ordered"));
        must(
            self.topped_up.len() + 1 == lived.deposits.len(),
            format!("{} top-ups, {} deposits ordered", self.topped_up.len(), lived.deposits.len()),
        );
        must(
            books.deposit == deposited,
            format!("the books have a deposit of {}, not {deposited}", books.deposit),
        );
        let totals = Vec::from_iter(self.settled.iter().map(|settled| settled.settled));
        must(
            totals.is_sorted_by(|earlier, later| earlier < later),
            format!("settlements that do not grow: {totals:?}"),
        );
        let [closed] = self.closed.as_slice() else {
            wrong.push(format!("it was closed {} times", self.closed.len()));
            return wrong;
        };
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let ChannelClosed { settled: captured, refunded, .. } = closed;
        must(captured == spent, format!("{captured} was captured, {spent} spent"));
        must(
            books.settled == *captured,
            format!("the books have {} settled, the chain {captured}", books.settled),
        );
        must(
            captured + refunded == deposited,
            format!("{captured} captured and {refunded} refunded of {deposited}"),
        );
        must(
            totals.last().is_none_or(|last| last <= captured),
            format!("{totals:?} settled, and {captured} in all"),
        );
        wrong
    }
}
