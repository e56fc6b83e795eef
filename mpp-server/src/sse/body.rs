//! The body of a metered stream: it flows as it is read, and lets go of the channel where nobody reads.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, sleep_until};

use super::event;
use crate::stream::{Flow, Said};

/// A body of server-sent events, each made when it is read. Dropped before its end, it charges nothing more, and what was
/// reserved goes back to the payer.
#[derive(Debug)]
pub struct SseBody {
    shelf: Arc<Shelf>,
    idle: Duration,
    watched: bool,
}

/// Where the stream lies, so that it can be let go of while nobody reads.
#[derive(Debug)]
struct Shelf(Mutex<Running>);

#[derive(Debug)]
struct Running {
    flow: Option<Flow>,
    /// Since when the reader has what it was handed, and has not come back.
    handed: Option<Instant>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SseBody {
    pub(super) fn of(flow: Flow, idle: Duration) -> Self {
        let running = Running { flow: Some(flow), handed: None };
        Self { shelf: Arc::new(Shelf(Mutex::new(running))), idle, watched: false }
    }
}

impl Body for SseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.watched {
            self.watched = true;
            tokio::spawn(watch(Arc::downgrade(&self.shelf), self.idle));
        }
        let mut running = self.shelf.lock();
        running.handed = None;
        let Some(flow) = &mut running.flow else { return Poll::Ready(None) };
        let Poll::Ready(said) = flow.poll_next(cx) else { return Poll::Pending };
        let Some(said) = said else {
            running.flow = None;
            return Poll::Ready(None);
        };
        running.handed = Some(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(write(&said))))))
    }

    fn is_end_stream(&self) -> bool {
        self.shelf.lock().flow.is_none()
    }
}

fn write(said: &Said) -> String {
    let json = |value: Result<String, _>| value.unwrap_or_else(|_: serde_json::Error| "{}".into());
    match said {
        Said::Text(text) => event::write("message", text),
        Said::Need(need) => event::write(need.event, &json(serde_json::to_string(&need.data))),
        Said::Receipt(receipt) => {
            event::write("payment-receipt", &json(serde_json::to_string(receipt)))
        }
    }
}

/// Drops the stream of a reader that was handed something and does not come back for more.
async fn watch(shelf: Weak<Shelf>, idle: Duration) {
    let mut end = Instant::now() + idle;
    loop {
        sleep_until(end).await;
        let Some(shelf) = shelf.upgrade() else { return };
        let mut running = shelf.lock();
        if running.flow.is_none() {
            return;
        }
        end = running.handed.unwrap_or_else(Instant::now) + idle;
        if end <= Instant::now() {
            tracing::info!("nobody reads a stream any more; it was ended");
            running.flow = None;
            return;
        }
    }
}
