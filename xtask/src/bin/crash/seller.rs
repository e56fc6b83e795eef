//! The paid API: three kinds of route, a price for each order, and a rail that can be cut off.

use std::{
    borrow::Cow,
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
    Price,
    binding::Claim,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::DetailsOf,
    problem::Rejection,
    store::Key,
    time::{Clock, Timestamp},
    verifier::{Asking, Minted, Spend, Verifier as Verifies},
};
use mpp_server::{Gate, clock::SystemClock};
use mpp_tempo::{
    Chain, HttpRpc,
    charge::{Evidence, TempoCharge, Verifier},
};
use mpp_testkit::devnet::RECIPIENT;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    Args, say, stores,
    tripwire::{Fuse, Naming, Tripwire},
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
    let rpc = Arc::new(HttpRpc::new(&args.rpc)?);
    let chain = Chain::by_id(mpp_testkit::devnet::Options::default().chain_id);
    let verifier = Verifier::new(&chain, RECIPIENT.address, rpc)?;
    let it = verifier.settle_deadline(Duration::from_secs(3));
    let verifier = Arc::new(Wired { it, fuse: fuse.clone() });
    let gate = Gate::builder(store)
        .realm("crash")
        .secret("the same secret in every life of this server")
        .settle_within(Duration::from_secs(5))
        .serve_up_to(1000)
        .alone()
        .recover_by_hand()
        .clock(Ahead(args.ahead))
        .build()?;
    let app = app(&gate, &verifier, &fuse)?;
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

fn app(gate: &Gate, verifier: &Arc<Wired>, fuse: &Fuse) -> anyhow::Result<Router> {
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
    let priced = || gate.charge_each(|head| std::future::ready(price(head))).via(verifier);
    Ok(Router::new()
        .route("/item/{order}", handler(false).layer(priced().layer()?.bind_body(1024)))
        .route("/flaky/{order}", handler(true).layer(priced().layer()?.bind_body(1024)))
        .route(
            "/late/{order}",
            handler(false).layer(priced().charge_on_success().layer()?.bind_body(1024)),
        ))
}

/// A cent, and a millionth for each order before: the chain itself says which order a transfer was for.
fn price(head: &Parts) -> Result<Price, Rejection> {
    let order = head.uri.path().rsplit('/').next().and_then(|order| order.parse::<u64>().ok());
    let units = 10_000 + order.ok_or_else(|| Rejection::internal("no such order"))?;
    format!("0.{units:06} usd").parse().map_err(|e: PriceError| Rejection::internal(e))
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

/// The verifier of the real method, with a place to die on either side of a broadcast.
struct Wired {
    it: Verifier,
    fuse: Fuse,
}

impl Verifies for Wired {
    type Method = TempoCharge;
    type Evidence = Evidence;

    fn settles_at(&self) -> Cow<'_, str> {
        self.it.settles_at()
    }

    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        self.it.terms(price)
    }

    async fn details(
        &self,
        terms: &ChargeTerms,
        asking: Asking<'_>,
    ) -> Result<Minted<DetailsOf<TempoCharge>>, Rejection> {
        self.it.details(terms, asking).await
    }

    async fn check(&self, claim: &Claim<TempoCharge>) -> Result<Evidence, Rejection> {
        self.it.check(claim).await
    }

    fn spends<'e>(&self, evidence: &'e Evidence) -> Option<Spend<'e>> {
        self.it.spends(evidence)
    }

    fn has_moved(&self, evidence: &Evidence) -> bool {
        self.it.has_moved(evidence)
    }

    async fn settle(&self, evidence: &Evidence) -> Fate {
        self.fuse.pass("before send");
        let fate = self.it.settle(evidence).await;
        self.fuse.pass("after send");
        fate
    }

    async fn reconcile(&self, evidence: &Evidence) -> Fate {
        self.it.reconcile(evidence).await
    }
}
