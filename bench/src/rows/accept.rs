//! Vouchers, from the text of their header to leave to serve: read, recognised, verified, accepted and deducted in one swap.

use std::{error::Error, sync::Arc, time::Instant};

use http::request::Parts;
use mpp_core::store::{Memory, Store};
use mpp_server::{permit::Ending, store::Redb};
use tokio::{runtime::Runtime, task::JoinSet};

use super::stores::commits_per_second;
use crate::{
    channels::{Payer, Shop},
    inprocess::runtime,
    interleaved::{Effort, median},
    row::{Goal, Row},
};

type Failure = Box<dyn Error>;

/// Channels that pay at the same time, and how many of them the goals are for.
const CHANNELS: [usize; 4] = [1, 32, 256, 1000];
const GOAL_ON_DISK: usize = 256;

/// Vouchers between two looks at the clock: some milliseconds' worth, so that some runs are disturbed by nobody.
const RUN: usize = 50;

/// What one turn saw.
struct Turn {
    per_second: f64,
    /// Questions that the node was asked while vouchers were taken.
    calls: u64,
}

/// Measures.
pub fn rows(effort: Effort) -> Result<Vec<Row>, Failure> {
    let (mut rows, mut calls) = (Vec::new(), 0);
    let core = runtime();
    for count in CHANNELS {
        let vouchers = Vouchers::of(&core, count, effort.requests * 4);
        let mut rates = Vec::new();
        for _ in 0..turns(effort) {
            let turn = core.block_on(vouchers.in_turn(Memory::volatile()));
            rates.push(turn.per_second);
            calls += turn.calls;
        }
        let name = format!("vouchers, memory, {}, one core", channels(count));
        let row = Row::rate(name, "vouchers/s", median(rates), None);
        rows.push(row.to_reach(Goal::Rate(10_000.0)));
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let commits = commits_per_second(folder.path())?;
    for count in CHANNELS {
        let in_all = if count == 1 { effort.requests } else { effort.requests * 10 };
        let vouchers = Arc::new(Vouchers::of(&core, count, in_all));
        let mut rates = Vec::new();
        for turn in 0..turns(effort) {
            let path = folder.path().join(format!("{count}-{turn}.redb"));
            let store = threads.block_on(Redb::open(path))?;
            let turn = threads.block_on(vouchers.clone().at_once(store));
            rates.push(turn.per_second);
            calls += turn.calls;
        }
        let name = format!("vouchers, redb, {}", channels(count));
        // One commit after the other for each channel, of which as many as are under way share each.
        let row = Row::rate(name, "vouchers/s", median(rates), Some(commits));
        rows.push(match count >= GOAL_ON_DISK {
            true => row.to_reach(Goal::Rate(3_000.0)),
            false => row,
        });
    }
    let asked = Row::rate("questions to a node, for all of these", "calls", calls as f64, None);
    rows.push(asked.to_reach(Goal::Ours(0.0)));
    Ok(rows)
}

fn turns(effort: Effort) -> usize {
    (effort.rounds / 8).max(3)
}

fn channels(count: usize) -> String {
    if count == 1 { "1 channel".into() } else { format!("{count} channels") }
}

/// Requests that pay, of each channel in its order; signed before any clock runs.
struct Vouchers {
    /// The first of each, by which the channel comes on the books.
    first: Vec<Arc<Parts>>,
    rest: Vec<Vec<Arc<Parts>>>,
}

impl Vouchers {
    /// As many as come to about so many in all; each is for one unit more than the one before it.
    fn of(core: &Runtime, channels: usize, in_all: usize) -> Self {
        // Whatever store it is over, a shop of the same secret takes what answers this.
        let challenge = core.block_on(Shop::over(Memory::volatile()).challenge());
        let each = (in_all / channels).max(4) as u128;
        let payers = Vec::from_iter((1..=channels as u64).map(Payer::numbered));
        let head = |payer: &Payer, total| Arc::new(payer.pays(&challenge, total));
        let first = payers.iter().map(|payer| head(payer, 1)).collect();
        let rest = payers.iter().map(|payer| (2..=each + 1).map(|n| head(payer, n)).collect());
        Self { first, rest: rest.collect() }
    }

    fn count(&self) -> usize {
        self.rest.iter().map(Vec::len).sum()
    }

    /// One voucher after the other, of each channel in its turn; as fast as the fastest of short runs.
    async fn in_turn(&self, store: impl Store) -> Turn {
        let shop = self.opened(store).await;
        let each = self.rest.first().map_or(0, Vec::len);
        let in_order = (0..each).flat_map(|nth| self.rest.iter().map(move |of| &of[nth]));
        let (heads, calls) = (Vec::from_iter(in_order), shop.calls());
        let mut per_second = 0.0_f64;
        for run in heads.chunks_exact(RUN) {
            let began = Instant::now();
            for head in run {
                served(&shop, head).await;
            }
            per_second = per_second.max(RUN as f64 / began.elapsed().as_secs_f64());
        }
        Turn { per_second, calls: shop.calls() - calls }
    }

    /// All channels at the same time, each with one voucher under way.
    async fn at_once(self: Arc<Self>, store: impl Store) -> Turn {
        let shop = Arc::new(self.opened(store).await);
        let mut paying = JoinSet::new();
        let (began, calls) = (Instant::now(), shop.calls());
        for channel in 0..self.rest.len() {
            let (me, shop) = (self.clone(), shop.clone());
            paying.spawn(async move {
                for head in &me.rest[channel] {
                    served(&shop, head).await;
                }
            });
        }
        while let Some(paid) = paying.join_next().await {
            paid.expect("every voucher is taken");
        }
        let per_second = self.count() as f64 / began.elapsed().as_secs_f64();
        Turn { per_second, calls: shop.calls() - calls }
    }

    async fn opened(&self, store: impl Store) -> Shop {
        let shop = Arc::new(Shop::over(store));
        let mut opening = JoinSet::new();
        for head in &self.first {
            let (shop, head) = (shop.clone(), head.clone());
            opening.spawn(async move { served(&shop, &head).await });
        }
        while let Some(opened) = opening.join_next().await {
            opened.expect("every channel is known to the chain");
        }
        // Were it not counted here, that it is not asked later would say nothing.
        assert!(shop.calls() >= self.first.len() as u64, "each channel was asked after once");
        Arc::into_inner(shop).expect("nobody uses it any more")
    }
}

async fn served(shop: &Shop, head: &Parts) {
    let permit = shop.take(head).await;
    permit.finish(Ending::Delivered).await.expect("nothing is to be written");
}
