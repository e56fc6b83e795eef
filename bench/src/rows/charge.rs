//! A whole charge over HTTP, settled on a real chain: beside mppx, and beside the one call it cannot do without.

use std::{
    error::Error,
    future::IntoFuture,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use mpp_client::{Limits, ResponseExt, Wallet, paying};
use mpp_core::{store::Memory, time::Clock};
use mpp_server::{Gate, Paid, clock::SystemClock};
use mpp_tempo::{
    HttpRpc,
    chain::{rpc::Rpc, transaction::Signed},
    charge::Payload,
};
use mpp_testkit::devnet::{Devnet, PAYER};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    inprocess::{rest, runtime},
    interleaved::{Side, all, median},
    mppx::Pair,
    ours::{PATH, SECRET},
    row::{Goal, Row},
    tempo,
};

type Failure = Box<dyn Error>;

/// How often every side has its turn,
const ROUNDS: usize = 20;
/// how often it pays in one,
const TIMES: usize = 10;
/// and how many turns it has before the clock runs: for the others' compiler, and for everybody's connections.
const WARM: usize = 5;

/// Measures, one payment after the other. What is missing for it is named in place of the figures.
pub fn rows() -> Vec<Row> {
    measured().unwrap_or_else(|why| vec![Row::missing(format!("charge over HTTP ({why})"))])
}

fn measured() -> Result<Vec<Row>, Failure> {
    let runtime = runtime();
    let chain = runtime.block_on(Devnet::start())?;
    let url = chain.rpc_url();
    let mut pair = Pair::start(url, chain.chain_id(), PAYER.key.hex(), SECRET);
    let mut sides = [ours(&runtime, url)?, bare(&runtime, url)?, theirs(&mut pair)];
    for side in &mut sides {
        (0..WARM).for_each(|_| {
            side();
        });
    }
    let rounds = all(ROUNDS, sides);
    runtime.block_on(chain.stop());
    let of = |side: usize| median(rounds.iter().map(|round| round[side]));
    let ratio = |side: usize| Some(median(rounds.iter().map(|round| round[side] / round[0])));
    let beside = match pair {
        Ok(_) => Row {
            ratio: ratio(2),
            ..Row::cost("charge over HTTP, beside mppx", "ns", of(0), of(2))
        }
        .to_reach(Goal::Ratio(3.0)),
        Err(why) => Row::missing(format!("charge over HTTP, beside mppx ({why})")),
    };
    // Twice as long as the one send is the most.
    let part = Row {
        ratio: ratio(1),
        ..Row::alone("charge over HTTP, part of it that sends", of(0), of(1))
    };
    Ok(vec![beside, part.to_reach(Goal::Ratio(0.5))])
}

/// Our client pays our server; the middle payment of a turn.
fn ours<'a>(runtime: &'a Runtime, rpc_url: &str) -> Result<Side<'a>, Failure> {
    let url = runtime.block_on(served(rpc_url))?;
    let day = Duration::from_secs(86_400);
    let limits = Limits::usd("1")?.per_host("1000000", day)?.in_all("1000000", day)?;
    let wallet = Wallet::new(limits).payer(tempo::payer(Arc::new(HttpRpc::new(rpc_url)?)));
    let client = paying(reqwest::Client::builder(), wallet)?;
    Ok(timing(move || {
        runtime.block_on(async {
            let began = Instant::now();
            let answer = client.get(&url).send().await.expect("it is paid");
            assert!(answer.receipt().is_some(), "it is served for a payment");
            answer.bytes().await.expect("it is served whole");
            let taken = began.elapsed();
            // What the server writes down after the last byte is not in the way of whoever is next.
            rest().await;
            taken
        })
    }))
}

/// A paid route, over a store in memory, with a node of its own.
async fn served(rpc_url: &str) -> Result<String, Failure> {
    let shop = Arc::new(tempo::shop(Arc::new(HttpRpc::new(rpc_url)?)));
    let gate = Gate::builder(Memory::volatile()).realm(tempo::REALM).secret(SECRET).build()?;
    let paywall = gate.charge(tempo::PRICE)?.via(&shop).layer()?;
    let app = Router::new().route(PATH, get(|_: Paid| async { "ok" }).layer(paywall));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(format!("http://{address}{PATH}"))
}

/// The same transfer, signed before the clock runs, and sent as our server sends it.
fn bare<'a>(runtime: &'a Runtime, rpc_url: &str) -> Result<Side<'a>, Failure> {
    let node = Arc::new(HttpRpc::new(rpc_url)?);
    let (shop, payer) = (tempo::shop(node.clone()), tempo::payer(node.clone()));
    let mut number = 0;
    Ok(timing(move || {
        number += 1;
        runtime.block_on(async {
            let challenge = tempo::challenge(&shop, &SystemClock::new().now(), number).await;
            let payload = tempo::payment(&payer, &challenge).await.payload;
            let Payload::Transaction { signature } = payload else { panic!("it is not sent") };
            let raw = alloy::hex::decode(signature).expect("hex");
            let raw = Signed::decode(&raw).expect("a transaction").encode().into();
            let began = Instant::now();
            assert!(node.send(raw).await.expect("it is mined").success);
            began.elapsed()
        })
    }))
}

/// Their client pays their server, as long as they do.
fn theirs(pair: &mut Result<Pair, String>) -> Side<'_> {
    Box::new(move || match pair.as_mut().map(|pair| pair.pay(TIMES)) {
        Ok(Ok(taken)) => median(taken),
        Ok(Err(why)) => {
            *pair = Err(why);
            f64::NAN
        }
        Err(_) => f64::NAN,
    })
}

fn timing<'a>(mut once: impl FnMut() -> Duration + 'a) -> Side<'a> {
    Box::new(move || median((0..TIMES).map(|_| once().as_nanos() as f64)))
}
