//! What the code of a stream holds: it charges, waits for its payer, and says things.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::Stream;
use mpp_core::problem::Rejection;
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use super::{BoxError, Item, Said};
use crate::session::{Dry, Meter, Session};

/// A metered stream from the side of whoever generates it: [charge](Tap::charge) first, then [send](Tap::send).
///
/// Units are spent from what was reserved in bulk, so most charges write nothing. Where the credit is used up the payer is told,
/// once, and waited for.
pub struct Tap {
    session: Session,
    shared: Arc<Shared>,
    out: mpsc::Sender<Said>,
    patience: Duration,
}

/// What a stream and its code share.
pub(super) struct Shared {
    /// None once the stream is over: its units are booked, and the rest went back.
    pub(super) meter: Arc<Mutex<Option<Meter>>>,
    /// The payer is waited for, so the code cannot be late.
    pub(super) waits: AtomicBool,
    /// Something happened since the flow last looked.
    pub(super) moved: AtomicBool,
}

/// Why a stream's code must stop. It needs to do nothing about it: the stream ends with its receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The credit is used up, and its payer did not raise it in time.
    #[error("the payer did not raise its credit in time")]
    Unpaid,
    /// The account is closed or closing, or its books do not answer.
    #[error("nothing can be charged to this account any more")]
    Ended(#[source] Rejection),
    /// Nobody reads the stream any more.
    #[error("the stream is over")]
    Over,
}

impl Tap {
    pub(super) fn new(
        session: Session,
        shared: Arc<Shared>,
        out: mpsc::Sender<Said>,
        patience: Duration,
    ) -> Self {
        Self { session, shared, out, patience }
    }

    /// The account this is charged to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Charges so many units, and waits for the payer where they are more than its credit.
    ///
    /// # Errors
    /// Nothing was charged, and nothing more can be: pass it on with `?`.
    pub async fn charge(&self, units: u64) -> Result<(), Stopped> {
        self.shared.moved.store(true, Ordering::Relaxed);
        loop {
            let taken = self.shared.meter.lock().await.as_mut().map(|meter| meter.take(units));
            match taken {
                Some(true) => return Ok(()),
                Some(false) => self.fund(units).await?,
                None => return Err(Stopped::Over),
            }
        }
    }

    /// Makes sure that so many units can be charged without waiting, and charges none: before something is generated whose
    /// length is not known yet (S11).
    ///
    /// # Errors
    /// As for [`Tap::charge`].
    pub async fn reserve(&self, units: u64) -> Result<(), Stopped> {
        let in_hand = self.shared.meter.lock().await.as_ref().map(Meter::in_hand);
        match in_hand {
            Some(in_hand) if in_hand >= units => Ok(()),
            Some(_) => self.fund(units).await,
            None => Err(Stopped::Over),
        }
    }

    /// Says something, and charges nothing for it. Waits while the reader is behind.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn send(&self, text: impl Into<String>) -> Result<(), Stopped> {
        self.say(Said::Text(text.into())).await
    }

    async fn say(&self, said: Said) -> Result<(), Stopped> {
        self.shared.moved.store(true, Ordering::Relaxed);
        self.out.send(said).await.map_err(|_| Stopped::Over)
    }

    /// Waits until so many units are in hand.
    async fn fund(&self, units: u64) -> Result<(), Stopped> {
        let _waits = Waits::of(&self.shared);
        let end = Instant::now() + self.patience;
        let mut told = false;
        loop {
            match self.refill(units).await? {
                Ok(()) => return Ok(()),
                // Told once for each time the credit is used up, not with each look at it (S13).
                Err(Dry::Need(_)) if told => {}
                Err(Dry::Need(need)) => {
                    self.say(Said::Need(need)).await?;
                    told = true;
                }
                Err(dry) => return Err(dry.into()),
            }
            let left = end.saturating_duration_since(Instant::now());
            let meter = self.shared.meter.lock().await;
            match meter.as_ref().ok_or(Stopped::Over)?.replenished(left).await {
                Ok(()) | Err(Dry::Need(_)) => {}
                Err(dry) => return Err(dry.into()),
            }
        }
    }

    /// Reserves in a task of its own: a stream that is dropped between the write and our hearing of it would leave units set
    /// aside that nobody returns. The task holds the meter until then.
    async fn refill(&self, units: u64) -> Result<Result<(), Dry>, Stopped> {
        let mut meter = self.shared.meter.clone().lock_owned().await;
        let refilling = tokio::spawn(async move {
            match meter.as_mut() {
                Some(it) => Some(it.refill(units).await),
                None => None,
            }
        });
        // A runtime that shuts down cancels the task; there is no stream any more then.
        refilling.await.ok().flatten().ok_or(Stopped::Over)
    }
}

impl From<Dry> for Stopped {
    fn from(dry: Dry) -> Self {
        match dry {
            Dry::Need(_) | Dry::TooLong => Self::Unpaid,
            Dry::Ended(rejection) => Self::Ended(rejection),
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("session", &self.session).finish_non_exhaustive()
    }
}

/// While it lives, the payer is waited for.
struct Waits<'a>(&'a AtomicBool);

impl<'a> Waits<'a> {
    fn of(shared: &'a Shared) -> Self {
        shared.waits.store(true, Ordering::Relaxed);
        Self(&shared.waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Pours a stream out: each item is paid for before it is handed on, and none is asked for before there is a unit to pay it with
/// (S11). Where the route counts requests, the whole stream is one.
pub(crate) async fn pour<S>(tap: Tap, items: S) -> Result<(), BoxError>
where
    S: Stream<Item: Into<Item>>,
{
    let mut items = pin!(items);
    let each = u64::from(tap.session.unit_type() != Some("request"));
    if each == 0 {
        tap.charge(1).await?;
    }
    loop {
        // A stream that knows it is over costs nothing to ask.
        if each > 0 && items.size_hint().1 != Some(0) {
            tap.reserve(each).await?;
        }
        let Some(item) = poll_fn(|cx| items.as_mut().poll_next(cx)).await else { return Ok(()) };
        let item: Item = item.into();
        tap.charge(item.cost(each)).await?;
        tap.send(item.into_text()?).await?;
    }
}
