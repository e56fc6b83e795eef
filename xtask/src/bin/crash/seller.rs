//! The paid API: three kinds of route, a price for each order, and a rail that can be cut off.

use std::{
    collections::HashSet,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body::Frame;
use mpp_core::{
    Charge, Price,
    intent::PriceError,
    problem::Rejection,
    store::Key,
    time::{Clock, Timestamp},
};
use mpp_server::{Gate, clock::SystemClock, offer::Sell};
use mpp_stripe::{Api, Currency, SecretKey, TEST_NETWORK};
use mpp_tempo::{Chain, HttpRpc, charge::Verifier};
use mpp_testkit::devnet::RECIPIENT;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    Args, Rail, say, stores,
    tripwire::{Fuse, Naming, Tripwire},
    wired::Wired,
};

/// How long a body is, in pieces: long enough to die in the middle of.
const PIECES: usize = 4;
const PIECE: usize = 2048;

/// Serves until standard input ends, or the fuse is hit.
pub(crate) async fn run(
    args: Args,
    mut told: mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<()> {
    let fuse = Fuse::default();
    let store = stores::open(&args.store).await?;
    let store = Tripwire::new(store, fuse.clone(), Naming::Written(name));
    let gate = Gate::builder(store)
        .realm("crash")
        .secret("the same secret in every life of this server")
        .settle_within(Duration::from_secs(5))
        .serve_up_to(1000)
        .alone()
        .recover_by_hand()
        .clock(Ahead(args.ahead))
        .build()?;
    let app = match args.rail {
        Rail::Tempo => {
            app(&gate, &Arc::new(Wired::new(tempo(&args)?, &fuse)), &fuse, in_millionths)?
        }
        Rail::Stripe => app(&gate, &Arc::new(Wired::new(stripe(&args)?, &fuse)), &fuse, in_cents)?,
    };
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.context("the port")?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    gate.recover().await?;
    say(&json!({ "ready": true }));
    while let Some(line) = told.recv().await {
        match line.split_once(' ') {
            Some(("arm", point)) => fuse.arm(point),
            _ => {
                let found = gate.recover().await?;
                say(
                    &json!({ "open": found.open, "settled": found.settled, "failed": found.failed, "unreadable": found.unreadable }),
                );
            }
        }
    }
    Ok(())
}

fn tempo(args: &Args) -> anyhow::Result<Verifier> {
    let rpc = Arc::new(HttpRpc::new(&args.rpc)?);
    let chain = Chain::by_id(mpp_testkit::devnet::Options::default().chain_id);
    let verifier = Verifier::new(&chain, RECIPIENT.address, rpc)?;
    Ok(verifier.settle_deadline(Duration::from_secs(3)))
}

fn stripe(args: &Args) -> anyhow::Result<mpp_stripe::charge::Verifier> {
    let key = SecretKey::new(args.key.as_deref().context("whose account is it")?)?;
    let api = Api::new(&key)?.at(&args.rpc)?.patience(Duration::from_secs(3));
    Ok(mpp_stripe::charge::Verifier::new(api, TEST_NETWORK, Currency::USD)?)
}

fn app<S: Sell<Charge>>(
    gate: &Gate,
    verifier: &Arc<S>,
    fuse: &Fuse,
    price: Pricing,
) -> anyhow::Result<Router> {
    let failed = Arc::new(Mutex::new(HashSet::new()));
    let handler = |flaky: bool| {
        let (fuse, failed) = (fuse.clone(), failed.clone());
        post(async move |Path(order): Path<u64>, _: Bytes| {
            fuse.pass("in handler");
            let first = || failed.lock().unwrap_or_else(PoisonError::into_inner).insert(order);
            if flaky && first() {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            Response::new(Body::new(Pieces { order, left: PIECES, fuse: fuse.clone() }))
        })
    };
    let priced = || gate.charge_each(move |head| std::future::ready(price(head))).via(verifier);
    Ok(Router::new()
        .route("/item/{order}", handler(false).layer(priced().layer()?.bind_body(1024)))
        .route("/flaky/{order}", handler(true).layer(priced().layer()?.bind_body(1024)))
        .route(
            "/late/{order}",
            handler(false).layer(priced().charge_on_success().layer()?.bind_body(1024)),
        ))
}

/// What an order costs: the rail itself says by it which order a payment was for.
type Pricing = fn(&Parts) -> Result<Price, Rejection>;

/// A cent, and a millionth for each order before.
fn in_millionths(head: &Parts) -> Result<Price, Rejection> {
    read(&format!("0.{:06} usd", 10_000 + order(head)?))
}

/// A dollar, and a cent for each order before.
fn in_cents(head: &Parts) -> Result<Price, Rejection> {
    let cents = 100 + order(head)?;
    read(&format!("{}.{:02} usd", cents / 100, cents % 100))
}

fn order(head: &Parts) -> Result<u64, Rejection> {
    let order = head.uri.path().rsplit('/').next().and_then(|order| order.parse::<u64>().ok());
    order.ok_or_else(|| Rejection::internal("no such order"))
}

fn read(price: &str) -> Result<Price, Rejection> {
    price.parse().map_err(|e: PriceError| Rejection::internal(e))
}

/// The whole body of an order.
pub(crate) fn body(order: u64) -> Vec<u8> {
    (0..PIECES).flat_map(|piece| self::piece(order, piece)).collect()
}

fn piece(order: u64, piece: usize) -> Vec<u8> {
    let line = format!("order {order}, piece {piece}\n");
    line.bytes().cycle().take(PIECE).collect()
}

/// A body in pieces, with time to die between them.
struct Pieces {
    order: u64,
    left: usize,
    fuse: Fuse,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.left == PIECES / 2 {
            self.fuse.pass("in body");
        }
        let next = piece(self.order, PIECES - self.left);
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(next.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}

/// The named writes of a ledger.
fn name(key: &Key, entry: &Value) -> Option<&'static str> {
    if key.as_str().starts_with("proof/") {
        return Some("mark");
    }
    if !key.as_str().starts_with("paid/") {
        return None;
    }
    match entry["state"].as_str()? {
        "reserved" => Some("reserved"),
        "settling" => Some("settling"),
        // The receipt and the first turn are one write.
        "serving" if entry["served"] == 1 => Some("settled"),
        "serving" => Some("redeemed"),
        // Settled with nobody there to serve, as recovery does; or a turn given back.
        "settled" if entry["served"] == 0 => Some("settled"),
        "settled" => Some("returned"),
        "delivered" => Some("delivered"),
        _ => None,
    }
}

/// This machine's clock, ahead by some seconds.
#[derive(Debug)]
struct Ahead(u64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let now = SystemClock::new().now().unix_millis();
        Timestamp::from_unix_millis(now + i64::try_from(self.0 * 1000).unwrap_or_default())
    }
}
