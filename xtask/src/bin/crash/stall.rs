//! A stall that sells by the unit from payers' channels, in streams, on the real chain.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::Uri,
    response::Response,
    routing::any,
};
use http_body::Frame;
use mpp_core::store::{Key, Store};
use mpp_server::{Dry, Gate, Meter, Schedule, Session};
use mpp_tempo::{Chain, HttpRpc, Key as Signer, session::Teller};
use mpp_testkit::devnet::{Options, THETA_USD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use self::wired::Wired;
use crate::{
    Args, say, stores,
    tripwire::{Fuse, Naming, Tripwire},
};

mod wired;

/// How long a stream waits for a voucher: longer than any round.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sells until standard input ends, or the fuse is hit.
pub(crate) async fn run(
    args: Args,
    mut told: mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<()> {
    let fuse = Fuse::default();
    if let Some(point) = &args.arm {
        fuse.arm(point);
    }
    let store = stores::open(&args.store).await?;
    let watched = Tripwire::new(store, fuse.clone(), Naming::Changed(name));
    let store = Arc::new(watched.without(args.without.clone()));
    let shared: Arc<dyn Store> = store.clone();
    let gate = Gate::builder(shared)
        .realm("crash")
        .secret("the same secret in every life of this server")
        .settle_within(Duration::from_secs(5))
        .sessions(Schedule::new().after_units(args.collects))
        .alone()
        .recover_by_hand()
        .build()?;
    let teller = Arc::new(Wired { it: teller(&args)?, fuse: fuse.clone() });
    let paywall = gate.session("0.0001 usd per unit")?.metered().via(&teller).layer()?;
    let (batch, burns) = (args.batch, fuse.clone());
    let sells = move |Extension(session): Extension<Session>, uri: Uri| {
        std::future::ready(stream(&session, &uri, batch, &burns))
    };
    let app = Router::new().route("/units", any(sells).layer(paywall));
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.context("the port")?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    let opened = json!({ "ready": true });
    if args.eager {
        say(&opened);
    }
    gate.sweep().await.map_err(|e| anyhow::anyhow!("the books: {e:?}"))?;
    if !args.eager {
        say(&opened);
    }
    while let Some(line) = told.recv().await {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("arm", point) => fuse.arm(point),
            ("disarm", _) => {
                fuse.disarm();
                say(&json!({ "disarmed": true }));
            }
            ("die", millis) => fuse.burn(Duration::from_millis(millis.parse()?)),
            ("sweep", _) => {
                let swept = gate.sweep().await;
                say(&json!({ "swept": swept.is_ok_and(|swept| swept.unknown == 0) }));
            }
            ("close", account) => {
                let closed = gate.close_account(account).await;
                let refused = closed.as_ref().err().map(|e| e.reason.as_str());
                say(&json!({ "closed": matches!(closed, Ok(Some(_))), "refused": refused }));
            }
            ("books", account) => say(&books(&*store, account).await?),
            _ => {}
        }
    }
    Ok(())
}

fn teller(args: &Args) -> anyhow::Result<Teller> {
    let key: Signer = args.till.as_deref().context("whose is the stall")?.parse()?;
    let (chain, rpc) = (Chain::by_id(Options::default().chain_id), HttpRpc::new(&args.rpc)?);
    let recipient = key.address().to_string();
    // Fees in another token: what comes and goes of the channels' own is the channels' doing alone.
    let teller = Teller::new(&chain, &recipient, Arc::new(key), Arc::new(rpc))?;
    Ok(teller.fee_token(THETA_USD)?.settle_deadline(Duration::from_secs(3)))
}

/// What is on the books of an account.
async fn books(store: &dyn Store, account: &str) -> anyhow::Result<Value> {
    let (prefix, mut after) = (Key::of(&["session"])?, None);
    loop {
        let page = store.scan(&prefix, after.as_ref(), 256).await?;
        let Some((last, _)) = page.last() else { return Ok(json!({ "found": false })) };
        after = Some(last.clone());
        for (key, entry) in page {
            if !key.as_str().ends_with(account) {
                continue;
            }
            let entry: Value = serde_json::from_slice(&entry.value)?;
            let Some(of) = entry.get("account") else { continue };
            return Ok(json!({
                "found": true, "state": of["state"], "credit": of["credit"], "spent": of["spent"],
                "held": of["held"], "units": of["units"], "kept": of["kept"],
                "pending": entry.get("pending").is_some(),
                "holds": entry["holds"].as_array().map_or(0, Vec::len),
            }));
        }
    }
}

/// So many units, as events.
fn stream(session: &Session, uri: &Uri, batch: u64, fuse: &Fuse) -> Response {
    let wanted = uri.query().and_then(|query| query.strip_prefix("want=")?.parse().ok());
    let meter = session.meter().in_batches_of(batch);
    let fuse = fuse.clone();
    let left = wanted.unwrap_or(1);
    let selling = Selling { meter: Some(meter), left, batch, fuse, waits: false };
    Response::new(Body::new(Events { next: Some(Box::pin(selling.next())) }))
}

/// A stream as it is sold.
struct Selling {
    meter: Option<Meter>,
    left: u64,
    batch: u64,
    fuse: Fuse,
    waits: bool,
}

impl Selling {
    /// The next event, and what goes on after it.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        // A transport writes out what it has once there is nothing more at once: what was charged before is on its way
        // before the next is charged, so that a kill costs a batch and no more.
        tokio::task::yield_now().await;
        let mut meter = self.meter.take()?;
        if meter.in_hand() > 0 && meter.in_hand() <= self.batch / 2 {
            self.fuse.pass("in batch");
        }
        if self.left == 0 {
            let receipt = meter.finish().await.ok().and_then(|it| serde_json::to_value(it).ok());
            return Some((event("payment-receipt", &receipt.unwrap_or_default()), self));
        }
        if self.waits && meter.replenished(PATIENCE).await.is_err() {
            return Some((event("ended", &json!("nobody paid")), self));
        }
        self.waits = false;
        let said = match meter.charge(1).await {
            Ok(()) => {
                self.left -= 1;
                event("unit", &json!(self.left))
            }
            Err(Dry::Need(need)) => {
                self.waits = true;
                event(need.event, &need.data)
            }
            Err(Dry::Ended(e)) => return Some((event("ended", &json!(e.reason.as_str())), self)),
            Err(_) => return None,
        };
        self.meter = Some(meter);
        Some((said, self))
    }
}

fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A body of events, made as they are asked for.
struct Events {
    next: Option<Boxed<Option<(Bytes, Selling)>>>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let said = ready!(next.as_mut().poll(cx));
        let said = said.map(|(said, selling)| {
            self.next = Some(Box::pin(selling.next()));
            Ok(Frame::data(said))
        });
        if said.is_none() {
            self.next = None;
        }
        Poll::Ready(said)
    }
}

/// The named writes of an account.
fn name(key: &Key, before: &Value, after: &Value) -> Option<&'static str> {
    if !key.as_str().starts_with("session/") {
        return None;
    }
    let act = |entry: &Value| entry["pending"]["act"].as_str().map(str::to_owned);
    let holds = |entry: &Value| -> Vec<u64> {
        let holds = entry["holds"].as_array().into_iter().flatten();
        holds.filter_map(|hold| hold["id"].as_u64()).collect()
    };
    let credit = |entry: &Value| -> u128 {
        let credit = entry["account"]["credit"].as_str();
        credit.and_then(|credit| credit.parse().ok()).unwrap_or_default()
    };
    match (act(before).as_deref(), act(after).as_deref()) {
        (None, Some("open")) => return Some("opening"),
        (None, Some("topup")) => return Some("topping"),
        (None, Some("collect")) => return Some("collecting"),
        (None, Some("close")) => return Some("closing"),
        (Some("open"), None) => return Some("opened"),
        (Some("topup"), None) => return Some("topped"),
        (Some("collect"), None) => return Some("collected"),
        (Some("close"), None) => return Some("closed"),
        _ => {}
    }
    let (was, is) = (holds(before), holds(after));
    if before["account"]["state"] == "open" && after["account"]["state"] == "closing" {
        Some("shut")
    } else if credit(after) > credit(before) {
        Some("raised")
    } else if is.iter().any(|hold| !was.contains(hold)) {
        Some("hold")
    } else if is.len() < was.len() {
        Some("booked")
    } else {
        None
    }
}
