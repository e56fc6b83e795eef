//! Kills a paid API and its client at every named point and at random, and then holds the books against the rail.

mod books;
mod child;
mod market;
mod plan;
mod rail;
mod session;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use mpp_testkit::services;
use serde_json::json;

use self::{
    market::Market,
    rail::{Paid, Rail},
};
use crate::{console::Console, workspace::Workspace};

/// What to kill processes over, and how often.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// How many processes to kill.
    #[arg(long, default_value_t = 200)]
    pub(crate) rounds: u64,
    /// The store that both processes keep their books in.
    #[arg(long, value_enum, default_value_t = Kept::Redb)]
    pub(crate) store: Kept,
    /// What they trade on.
    #[arg(long, value_enum, default_value_t = Paid::Tempo)]
    pub(crate) rail: Paid,
    /// Repeats a run.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Of how many interrupted orders one is left alone until the audit.
    #[arg(long, default_value_t = 4)]
    pub(crate) one_away_in: u64,
    /// Kills a seller by session instead, over so many channels; every point comes in nine.
    #[arg(long)]
    pub(crate) sessions: Option<u64>,
    /// With `--sessions`: a durable write that the seller leaves out.
    #[arg(long, requires = "sessions")]
    pub(crate) without: Option<String>,
}

impl Options {
    fn charges(rounds: u64, store: Kept, seed: Option<u64>, one_away_in: u64) -> Self {
        let rail = Paid::Tempo;
        Self { rounds, store, rail, seed, one_away_in, sessions: None, without: None }
    }
}

/// A durable store.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kept {
    /// A file of each process.
    Redb,
    /// A server of its own, that writes each command down before it answers.
    Redis,
    /// A server of its own.
    Postgres,
}

/// Durable writes of which each, left out by `--cfg drop_mark="POINT"`, must show in the tally.
pub(crate) const DROPS: &[&str] = &["settling", "settled", "delivered", "signed"];

/// What gates a change: every store, and two builds that must be found out.
pub(crate) fn gate(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let program = build(workspace, console, None)?;
    let runs = [
        (Paid::Tempo, Kept::Redb, 200),
        (Paid::Stripe, Kept::Redb, 60),
        (Paid::Tempo, Kept::Redis, 40),
        (Paid::Tempo, Kept::Postgres, 40),
    ];
    for (rail, store, rounds) in runs {
        let options = Options { rail, ..Options::charges(rounds, store, None, 4) };
        let (tally, right) = run(console, &options, &program, PATIENCE)?;
        let covered = tally["points"].as_object().map_or(0, serde_json::Map::len);
        if !right || covered < plan::POINTS.len() {
            console.say(format_args!("{covered} of {} points", plan::POINTS.len()));
            return Ok(false);
        }
    }
    for point in ["settling", "signed"] {
        let options = Options::charges(40, Kept::Redb, Some(1), 2);
        if !shows_drop(workspace, console, &options, point)? {
            return Ok(false);
        }
    }
    session::gate(console, &program)
}

/// How long the audit waits until the chain has told of every open payment: a transaction's validity, and then some.
const PATIENCE: Duration = Duration::from_secs(120);

/// Builds the processes, runs the rounds and audits. False where the books are wrong.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    options: &Options,
) -> anyhow::Result<bool> {
    let program = build(workspace, console, None)?;
    let (tally, right) = match options.sessions {
        Some(lives) => sell_by_session(console, options, lives, &program)?,
        None => run(console, options, &program, PATIENCE)?,
    };
    console.object(&tally);
    Ok(right)
}

fn sell_by_session(
    console: Console,
    options: &Options,
    lives: u64,
    program: &Path,
) -> anyhow::Result<(serde_json::Value, bool)> {
    let seed = options.seed.unwrap_or_else(from_the_clock);
    let (store, without) = (options.store, options.without.clone());
    let options = session::Options { lives, store, seed, without };
    crate::runtime()?.block_on(session::run(console, &options, program))
}

/// Runs with one durable write left out. True where the tally shows it.
pub(crate) fn shows_drop(
    workspace: &Workspace,
    console: Console,
    options: &Options,
    point: &str,
) -> anyhow::Result<bool> {
    ensure!(DROPS.contains(&point), "no such write: {point} (one of {DROPS:?})");
    let program = build(workspace, console, Some(point))?;
    let (_, right) = run(console, options, &program, Duration::from_secs(5))?;
    let word = if right { "does NOT show" } else { "shows, as it must" };
    console.say(format_args!("without the write of {point}: {word}"));
    Ok(!right)
}

fn run(
    console: Console,
    options: &Options,
    program: &Path,
    patience: Duration,
) -> anyhow::Result<(serde_json::Value, bool)> {
    let seed = options.seed.unwrap_or_else(from_the_clock);
    let store = format!("{:?}", options.store).to_lowercase();
    let paid = format!("{:?}", options.rail).to_lowercase();
    console
        .say(format_args!("crash: {} rounds of {paid} over {store}, seed {seed}", options.rounds));
    let began = Instant::now();
    crate::runtime()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let rail = Rail::start(options.rail).await?;
        let service = Service::start(options.store).await?;
        let stores = service.stores(folder.path());
        let before = rail.received().await?;
        let mut market = Market::open(console, program, &rail, stores, options, seed).await?;
        let mut outcome = market.rounds(options.rounds).await;
        if outcome.is_ok() {
            outcome = market.audit(patience).await;
        }
        let books = market.close().await;
        outcome.with_context(|| format!("seed {seed}"))?;
        let sums = books.sum(&rail, before).await?;
        let seconds = began.elapsed().as_secs_f64();
        let run =
            json!({ "seed": seed, "rail": paid, "store": store, "rounds": options.rounds, "seconds": seconds });
        let tally = books.tally(&sums, &run);
        let right = sums.are_right(&books);
        console.say(&tally);
        if !right {
            console.say(format_args!(
                "crash: WRONG (--seed {seed}): {sums:?}, {:?}",
                books.double_delivered
            ));
        }
        rail.stop().await;
        Ok((tally, right))
    })
}

/// The server behind the stores of both processes, where there is one.
enum Service {
    None,
    Redis(services::Redis),
    Postgres(services::Postgres),
}

impl Service {
    async fn start(kept: Kept) -> anyhow::Result<Self> {
        Ok(match kept {
            Kept::Redb => Self::None,
            Kept::Redis => Self::Redis(services::Redis::start().await?),
            Kept::Postgres => Self::Postgres(services::Postgres::start().await?),
        })
    }

    /// Where a process keeps its books: in this file, where there is no server.
    fn at(&self, file: &Path) -> String {
        match self {
            Self::None => file.display().to_string(),
            Self::Redis(server) => server.url().to_owned(),
            Self::Postgres(server) => server.url().to_owned(),
        }
    }

    /// Where seller and buyer keep their books. On one server they share it: their keys differ.
    fn stores(&self, folder: &Path) -> (String, String) {
        (self.at(&folder.join("seller.redb")), self.at(&folder.join("buyer.redb")))
    }
}

/// Builds the program that both processes are. One that leaves a write out is put aside under a name of its own.
fn build(workspace: &Workspace, console: Console, drop: Option<&str>) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["rustc", "--quiet", "--locked", "--package", "xtask", "--bin", "crash", "--"]);
    if let Some(point) = drop {
        cargo.args(["--cfg", &format!("drop_mark=\"{point}\"")]);
    }
    ensure!(console.run(&mut cargo)?, "the processes to be killed do not build");
    // Copied: a build of another kind takes its place while this one runs.
    let built =
        workspace.target().join("debug").join(format!("crash{}", std::env::consts::EXE_SUFFIX));
    let kept = workspace.target().join("crash").join(drop.unwrap_or("whole"));
    let folder = kept.parent().context("a folder")?;
    std::fs::create_dir_all(folder)?;
    let fresh = folder.join(format!("{}.{}", drop.unwrap_or("whole"), std::process::id()));
    std::fs::copy(&built, &fresh).with_context(|| built.display().to_string())?;
    std::fs::rename(&fresh, &kept)?;
    Ok(kept)
}

fn from_the_clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}
