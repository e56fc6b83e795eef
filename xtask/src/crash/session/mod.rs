//! Kills a seller of metered units over every write and order of its channels, and then holds its books against the chain.

mod audit;
mod life;
mod points;
mod purse;
mod stall;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use mpp_tempo::HttpRpc;
use mpp_testkit::devnet::{ACCOUNTS, DevAccount, Devnet, PATH_USD};
use serde_json::{Value, json};

use self::{
    audit::Sums,
    life::{Life, Lived},
    points::{PHASES, Phase, Plan, again, leaving, plans},
    purse::Purse,
    stall::{Site, Stall},
};
use super::{Kept, Service, plan::Dice};
use crate::console::Console;

/// Lives in which every point comes once.
pub(super) const LIVES: u64 = 9;
/// Lives more, for points that were missed.
const MORE: usize = 12;
/// Stalls that are kept at the same time, each with a payer and a payee of its own.
const PARTIES: [(usize, usize); 3] = [(1, 2), (5, 6), (7, 8)];

/// Parts of a life in which a payer leaves for good.
const LEFT_IN: [Phase; 3] = [Phase::Open, Phase::Stream, Phase::Voucher];

/// What to kill a seller over.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) lives: u64,
    pub(super) store: Kept,
    pub(super) seed: u64,
    /// A durable write that is left out: the tally must show it.
    pub(super) without: Option<String>,
}

/// A stall with its payer, and what came of their trade.
struct Pitch {
    stall: Stall,
    purse: Purse,
    payer: DevAccount,
    payee: DevAccount,
    lives: Vec<Lived>,
}

/// What gates a change: every store, and a seller that must be found out.
pub(super) fn gate(console: Console, program: &Path) -> anyhow::Result<bool> {
    let seed = super::from_the_clock;
    let run = |lives, store, seed, without: Option<&str>| {
        let without = without.map(str::to_owned);
        let options = Options { lives, store, seed, without };
        crate::runtime()?.block_on(run(console, &options, program))
    };
    let (tally, right) = run(LIVES, Kept::Redb, seed(), None)?;
    let missed = missed(&tally);
    if !right || !missed.is_empty() {
        console.say(format_args!("never died at: {missed:?}"));
        return Ok(false);
    }
    for store in [Kept::Redis, Kept::Postgres] {
        if !run(3, store, seed(), None)?.1 {
            return Ok(false);
        }
    }
    // Units that are set aside in memory alone are served unpaid.
    let (_, right) = run(6, Kept::Redb, 3, Some("hold"))?;
    let word = if right { "does NOT show" } else { "shows, as it must" };
    console.say(format_args!("without the write of hold: {word}"));
    Ok(!right)
}

/// Lives so many channels' lives, and audits them. False where something is wrong.
pub(super) async fn run(
    console: Console,
    options: &Options,
    program: &Path,
) -> anyhow::Result<(Value, bool)> {
    let Options { lives, store, seed, without } = options;
    let store = format!("{store:?}").to_lowercase();
    console.say(format_args!("crash: {lives} channels over {store}, seed {seed}"));
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    let chain = Devnet::start_complete().await?;
    let service = Service::start(options.store).await?;
    let site = |at: usize| Site {
        program: PathBuf::from(program),
        rpc: chain.rpc_url().to_owned(),
        store: service.at(&folder.path().join(format!("stall-{at}.redb"))),
        key: "",
        without: without.clone(),
    };
    let mut dice = Dice::new(*seed);
    let plans = plans(usize::try_from(*lives)?, &mut dice);
    let sums = trade(&chain, site, (&plans, &mut dice)).await;
    let sums = sums.with_context(|| format!("seed {seed}"))?;
    let seconds = began.elapsed().as_secs_f64();
    let run = json!({ "seed": seed, "store": store, "lives": lives, "seconds": seconds });
    let tally = sums.tally(&run);
    console.say(&tally);
    chain.stop().await;
    Ok((tally, sums.wrong.is_empty()))
}

async fn trade(
    chain: &Devnet,
    site: impl Fn(usize) -> Site,
    (plans, dice): (&[Plan], &mut Dice),
) -> anyhow::Result<Sums> {
    let mut shares = vec![Vec::new(); PARTIES.len()];
    for (at, plan) in plans.iter().enumerate() {
        if let Some(share) = shares.get_mut(at % PARTIES.len()) {
            share.push(*plan);
        }
    }
    let mut tasks = tokio::task::JoinSet::new();
    let before = held(chain).await?;
    for (at, ((payer, payee), share)) in PARTIES.into_iter().zip(shares).enumerate() {
        if share.is_empty() {
            continue;
        }
        let share =
            Vec::from_iter(share.into_iter().chain([leaving(LEFT_IN[at % LEFT_IN.len()], dice)]));
        let (payer, payee) = (account(payer)?, account(payee)?);
        let site = Site { key: payee.key.hex(), ..site(at) };
        let purse = Purse::new(payer.key.hex(), chain.rpc_url(), chain.chain_id())?;
        let dice = Dice::new(dice.below(u64::MAX));
        tasks.spawn(async move {
            let stall = Stall::open(site, dice).await?;
            let pitch = Pitch { stall, purse, payer, payee, lives: Vec::new() };
            pitch.lives(share).await
        });
    }
    let mut pitches = Vec::new();
    while let Some(pitch) = tasks.join_next().await {
        pitches.push(pitch??);
    }
    audit(chain, pitches, &before).await
}

impl Pitch {
    /// Lives, and lives again for what was missed.
    async fn lives(mut self, plans: Vec<Plan>) -> anyhow::Result<Self> {
        let (mut plans, mut more) = (VecDeque::from(plans), MORE);
        let mut missed = Vec::new();
        while let Some(plan) = plans.pop_front() {
            let lived = Life::live(&mut self.stall, &mut self.purse, &plan).await?;
            missed.extend_from_slice(&lived.missed);
            self.lives.push(lived);
            if plans.is_empty() && more > 0 {
                let left = again(&std::mem::take(&mut missed));
                more = more.saturating_sub(left.len());
                plans.extend(left);
            }
        }
        // What is closed stays so, whatever is left of it on the books.
        self.stall.kill().await?;
        Ok(self)
    }
}

/// What every party has of the channels' token.
async fn held(chain: &Devnet) -> anyhow::Result<Vec<(&'static str, u128)>> {
    let mut held = Vec::new();
    for (payer, payee) in PARTIES {
        for party in [payer, payee] {
            let address = account(party)?.address;
            held.push((address, chain.balance_of(PATH_USD, address).await?));
        }
    }
    Ok(held)
}

async fn audit(
    chain: &Devnet,
    pitches: Vec<Pitch>,
    before: &[(&'static str, u128)],
) -> anyhow::Result<Sums> {
    let node = HttpRpc::new(chain.rpc_url())?;
    let mut sums = Sums::default();
    for pitch in pitches {
        let mut captured = 0;
        for lived in &pitch.lives {
            captured += sums.add(chain, &node, lived).await?;
        }
        let had = |who: &DevAccount| {
            before.iter().find(|(address, _)| *address == who.address).map(|(_, had)| *had)
        };
        let [payer, payee] = [pitch.payer, pitch.payee];
        let paid = had(&payer).context("a payer")?.checked_sub(captured);
        let got = had(&payee).context("a payee")?.checked_add(captured);
        for (who, due) in [(payer, paid), (payee, got)] {
            let has = chain.balance_of(PATH_USD, who.address).await?;
            if Some(has) != due {
                let what =
                    format!("{} has {has}, and is due {due:?}: {captured} moved", who.address);
                sums.wrong.push(what);
            }
        }
        sums.kills += pitch.stall.kills;
        for (label, times) in &pitch.stall.points {
            *sums.points.entry(label.clone()).or_default() += times;
        }
        pitch.stall.close().await;
    }
    Ok(sums)
}

fn account(at: usize) -> anyhow::Result<DevAccount> {
    ACCOUNTS.get(at).copied().context("no such account")
}

/// The points that a tally lacks.
pub(super) fn missed(tally: &Value) -> Vec<String> {
    let points = PHASES
        .into_iter()
        .flat_map(|phase: Phase| phase.points().iter().map(move |point| phase.label(point)));
    points.filter(|label| tally["points"].get(label).is_none()).collect()
}
