//! A stream as it flows: its code is run as far as its reader has read, and watched for stalling.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use mpp_core::{Receipt, teller::Need};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, Sleep, sleep},
};

use super::{
    BoxError, Patience,
    tap::{Shared, Stopped, Tap},
};
use crate::session::Session;

/// What a stream says to its reader.
#[derive(Debug)]
pub(crate) enum Said {
    /// Something that was paid for, or is free.
    Text(String),
    /// The credit is used up.
    Need(Need),
    /// It is over; how the account stands.
    Receipt(Receipt),
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A running stream. It runs only while it is polled, so a reader that is behind holds its code back; dropped, it charges nothing
/// more, and what it had reserved goes back.
pub(crate) struct Flow {
    state: State,
    out: mpsc::Receiver<Said>,
    shared: Arc<Shared>,
    upstream: Duration,
    timer: Pin<Box<Sleep>>,
    moved: Instant,
    /// Ready once the account is being closed.
    ended: Boxed<()>,
}

enum State {
    Running(Boxed<Result<(), BoxError>>),
    Finishing(Boxed<Option<Receipt>>),
    Over,
}

impl Flow {
    pub(crate) fn new<F, Fut>(session: &Session, patience: Patience, code: F) -> Self
    where
        F: FnOnce(Tap) -> Fut,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            meter: Arc::new(Mutex::new(Some(session.meter()))),
            waits: AtomicBool::new(false),
            moved: AtomicBool::new(false),
        });
        // One place: what was charged and not read yet is one item, and the one that waits for its place.
        let (into, out) = mpsc::channel(1);
        let tap = Tap::new(session.clone(), shared.clone(), into, patience.voucher);
        let payer = session.clone();
        Self {
            ended: Box::pin(async move { payer.ended().await }),
            state: State::Running(Box::pin(code(tap))),
            out,
            shared,
            upstream: patience.upstream,
            timer: Box::pin(sleep(patience.upstream)),
            moved: Instant::now(),
        }
    }

    /// Ends the stream: its code is not run any more; what it said already is still handed over, and then the receipt.
    pub(crate) fn stop(&mut self) {
        if !matches!(self.state, State::Running(_)) {
            return;
        }
        self.out.close();
        let shared = self.shared.clone();
        // The code goes first: it may hold the meter.
        drop(mem::replace(&mut self.state, State::Over));
        self.state = State::Finishing(Box::pin(async move {
            let meter = shared.meter.lock().await.take()?;
            match meter.finish().await {
                Ok(receipt) => Some(receipt),
                Err(e) => {
                    tracing::warn!(
                        reason = e.reason.as_str(),
                        "a stream ended without its receipt"
                    );
                    None
                }
            }
        }));
    }

    /// The next thing it says; none once it is over.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        loop {
            if let Poll::Ready(Some(said)) = self.out.poll_recv(cx) {
                self.moved = Instant::now();
                return Poll::Ready(Some(said));
            }
            match &mut self.state {
                State::Running(code) => match code.as_mut().poll(cx) {
                    Poll::Ready(ended) => {
                        ended.inspect_err(tell).ok();
                        self.stop();
                    }
                    Poll::Pending => {
                        if let Poll::Ready(Some(said)) = self.out.poll_recv(cx) {
                            self.moved = Instant::now();
                            return Poll::Ready(Some(said));
                        }
                        // A close waits for us only a moment, so that the payer pays for what was served and no more.
                        if self.ended.as_mut().poll(cx).is_ready() {
                            self.stop();
                            continue;
                        }
                        if self.poll_stalled(cx).is_pending() {
                            return Poll::Pending;
                        }
                        tracing::warn!("a stream's code was late, and its stream was ended");
                        self.stop();
                    }
                },
                State::Finishing(receipt) => {
                    let Poll::Ready(receipt) = receipt.as_mut().poll(cx) else {
                        return Poll::Pending;
                    };
                    self.state = State::Over;
                    return Poll::Ready(receipt.map(Said::Receipt));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    /// Ready once the code has done nothing for too long, while nobody else was waited for.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let moved = self.shared.moved.swap(false, Ordering::Relaxed);
        if self.shared.waits.load(Ordering::Relaxed) || moved {
            self.moved = Instant::now();
        }
        // The timer is moved on only when it rings: most items come and go between two of its rings.
        while self.timer.as_mut().poll(cx).is_ready() {
            let end = self.moved + self.upstream;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

fn tell(e: &BoxError) {
    match e.downcast_ref::<Stopped>() {
        Some(stopped) => tracing::info!("{stopped}"),
        None => tracing::warn!(cause = %e, "a stream's code failed"),
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // Code that handed its tap on to somebody else holds no units with it.
        if let Ok(mut meter) = self.shared.meter.try_lock() {
            drop(meter.take());
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flow(..)")
    }
}
