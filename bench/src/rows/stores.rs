//! Whole paid requests over each store: in process, a rail that does nothing, every transition durable before the next.

use std::{
    error::Error,
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::Router;
use http::StatusCode;
use mpp_core::store::{Memory, Store};
use mpp_server::store::{Postgres, Redb, Redis};
use mpp_testkit::services;
use tokio::{runtime::Runtime, sync::Semaphore};

use super::{paid::our_request, parse};
use crate::{
    inprocess::send,
    interleaved::{Effort, median},
    ours::app_over,
    row::{Goal, Row},
};

/// How many requests are under way at a time.
const IN_FLIGHT: [usize; 3] = [1, 64, 256];

static SHOWN: AtomicU64 = AtomicU64::new(0);

/// Measures.
pub fn rows(effort: Effort) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    let core = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let memory = measure(effort, &core, 64, |_| Ok(Memory::volatile()))?;
    rows.push(
        Row::rate("paid, memory, 64 in flight, one core", "requests/s", memory, None)
            .to_reach(Goal::Rate(10_000.0)),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let commits = commits_per_second(folder.path())?;
    rows.push(Row::rate("one write and fsync of the disk", "commits/s", commits, None));
    for in_flight in IN_FLIGHT {
        let rate = measure(effort, &runtime, in_flight, |turn| {
            let path = folder.path().join(format!("{in_flight}-{turn}.redb"));
            Ok(runtime.block_on(Redb::open(path))?)
        })?;
        let name = format!("paid, redb, {in_flight} in flight");
        // Four commits after one another, of which as many payments as are under way share each.
        let row = Row::rate(name, "requests/s", rate, Some(commits));
        rows.push(if in_flight == 1 { row } else { row.to_reach(Goal::Rate(3_000.0)) });
    }
    let server = runtime.block_on(services::Redis::start())?;
    let redis = || Ok(runtime.block_on(Redis::connect(server.url()))?);
    served(effort, &runtime, "Redis", redis, &mut rows)?;
    let server = runtime.block_on(services::Postgres::start())?;
    let postgres = || Ok(runtime.block_on(Postgres::connect(server.url()))?);
    served(effort, &runtime, "Postgres", postgres, &mut rows)?;
    Ok(rows)
}

/// A store on a server: how often it answers one question after the other, and how many payments that makes.
fn served<S: Store>(
    effort: Effort,
    runtime: &Runtime,
    name: &str,
    connect: impl Fn() -> Result<S, Box<dyn Error>>,
    rows: &mut Vec<Row>,
) -> Result<(), Box<dyn Error>> {
    let store = connect()?;
    let key = mpp_core::store::Key::of(&["bench", "nothing"])?;
    let trips = runtime.block_on(async {
        let (began, trips) = (Instant::now(), effort.requests);
        for _ in 0..trips {
            store.get(&key).await?;
        }
        Ok::<_, mpp_core::store::StoreError>(trips as f64 / began.elapsed().as_secs_f64())
    })?;
    rows.push(Row::rate(format!("one read of {name}, alone"), "trips/s", trips, None));
    for in_flight in IN_FLIGHT {
        let rate = measure(effort, runtime, in_flight, |_| connect())?;
        rows.push(Row::rate(
            format!("paid, {name}, {in_flight} in flight"),
            "requests/s",
            rate,
            Some(trips),
        ));
    }
    Ok(())
}

/// Requests per second, the middle of some turns, each over a store of its own. Challenges are made before the clock runs.
fn measure<S: Store>(
    effort: Effort,
    runtime: &Runtime,
    in_flight: usize,
    store: impl Fn(usize) -> Result<S, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let template = parse::challenge();
    let (mut rates, turns) = (Vec::new(), (effort.rounds / 8).max(3));
    for turn in 0..turns {
        let app = app_over(store(turn)?);
        let count = (effort.requests * if in_flight == 1 { 1 } else { 10 }).min(4_000);
        let requests = Vec::from_iter((0..count).map(|_| {
            // No proof is shown twice, whatever store it was shown to.
            our_request(&template, 1 + SHOWN.fetch_add(1, Ordering::Relaxed))
        }));
        rates.push(runtime.block_on(all(&app, requests, in_flight)));
    }
    Ok(median(rates))
}

async fn all(app: &Router, requests: Vec<http::Request<axum::body::Body>>, most: usize) -> f64 {
    let (gate, count) = (Arc::new(Semaphore::new(most)), requests.len());
    let began = Instant::now();
    let mut sent = tokio::task::JoinSet::new();
    for request in requests {
        let room = gate.clone().acquire_owned().await.expect("the semaphore is open");
        let app = app.clone();
        sent.spawn(async move {
            assert_eq!(send(&app, request).await, StatusCode::OK);
            drop(room);
        });
    }
    while let Some(done) = sent.join_next().await {
        done.expect("a request ends");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// What a disk does that is asked to be sure, one page at a time.
pub fn commits_per_second(folder: &Path) -> std::io::Result<f64> {
    let mut file = File::create(folder.join("commits"))?;
    let (began, mut commits) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_millis(500) {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        commits += 1;
    }
    Ok(f64::from(commits) / began.elapsed().as_secs_f64())
}
