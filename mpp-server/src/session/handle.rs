//! A session as a handler has it: an account that was proven, and a price.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mpp_core::{Amount, Receipt, problem::Rejection, teller::Need, transport::Refusal};
use tokio::sync::oneshot;

use super::{
    Busy, Engine, ErasedTill, Meter,
    meter::{BATCH, Drawn, Held},
};
use crate::gate::judge::Again;

/// A payer's account, as the handler behind a metered route has it: to charge what it serves.
///
/// Nothing is served unpaid by it: a unit is had from [`Session::charge`] or from a [`Meter`], and both deduct first.
///
/// It is good for as long as it is kept, past its request too, so that a job that goes on can be paid as it goes: up to what the
/// payer has signed, and no longer than the account is open. Keep it no longer than what it pays for.
#[derive(Clone)]
pub struct Session(Arc<Inner>, u64);

struct Inner {
    engine: Arc<Engine>,
    till: Arc<dyn ErasedTill>,
    id: String,
    challenge: String,
    price: Amount,
    unit_type: Option<Arc<str>>,
    again: Again,
    /// Units that were charged before the handler ran, and that no meter has spent yet.
    prepaid: AtomicU64,
    /// Units that the handler charged by itself.
    charged: AtomicU64,
    /// What was drawn makes the account due to be collected, once it is served.
    due: AtomicBool,
}

impl Session {
    pub(crate) fn new(
        (engine, till): (Arc<Engine>, Arc<dyn ErasedTill>),
        id: String,
        (challenge, prepaid, due): (String, u64, bool),
        (price, unit_type): (Amount, Option<Arc<str>>),
        again: Again,
    ) -> Self {
        let (prepaid, charged) = (AtomicU64::new(prepaid), AtomicU64::new(0));
        let due = AtomicBool::new(due);
        let inner =
            Inner { engine, till, id, challenge, price, unit_type, again, prepaid, charged, due };
        Self(Arc::new(inner), BATCH)
    }

    /// The account's name on its rail: a channel id.
    pub fn account(&self) -> &str {
        &self.0.id
    }

    /// The challenge that was answered.
    pub fn challenge(&self) -> &str {
        &self.0.challenge
    }

    /// What one unit costs here, in base units.
    pub fn unit_price(&self) -> Amount {
        self.0.price
    }

    /// What is counted here: `request`, `token`.
    pub fn unit_type(&self) -> Option<&str> {
        self.0.unit_type.as_deref()
    }

    /// Deducts units, all or none, before they are served. What is charged so goes back to the payer where the request then fails
    /// and nothing of a success was handed over.
    ///
    /// # Errors
    /// The refusal to answer with: the balance is short (402, with fresh challenges), or the account is closing.
    pub async fn charge(&self, units: u64) -> Result<(), Refusal> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        match till.clone().spend(engine.clone(), id.clone(), drawn).await {
            Ok(due) => {
                self.0.charged.fetch_add(units, Ordering::Relaxed);
                self.0.due.fetch_or(due, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => Err(self.0.again.refuse(self.0.challenge.clone(), e).await),
        }
    }

    /// Sets aside so many units at a time for the streams and meters that are begun with this; 16 unless said otherwise. More of
    /// them make fewer writes, and a crash dearer: [`Meter`].
    pub fn in_batches_of(self, units: u64) -> Self {
        Self(self.0, units)
    }

    /// A meter for a stream.
    pub fn meter(&self) -> Meter {
        Meter::of(self.clone()).in_batches_of(self.1)
    }

    /// Waits until nothing can be charged any more because the account is being closed. What is still set aside by meters then
    /// should be booked soon: a close waits for them a moment, and then counts it as served.
    pub async fn ended(&self) {
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().ended(engine.clone(), id.clone()).await;
    }

    /// The receipt of the account as it stands now.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn receipt(&self) -> Result<Receipt, Rejection> {
        let Inner { engine, till, id, challenge, .. } = &*self.0;
        till.clone().receipt(engine.clone(), id.clone(), challenge.clone()).await
    }

    /// Gives back what was charged for a request that failed.
    pub(crate) async fn give_back(
        &self,
        units: u64,
        name: Option<String>,
    ) -> Result<(), Rejection> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().give_back(engine.clone(), id.clone(), drawn, name).await
    }

    /// What the handler charged by itself so far.
    pub(crate) fn take_charged(&self) -> u64 {
        self.0.charged.swap(0, Ordering::Relaxed)
    }

    /// Spends units that were charged before the handler ran: how many of these there were.
    pub(super) fn take_prepaid(&self, units: u64) -> u64 {
        if self.0.prepaid.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let left = |prepaid: u64| Some(prepaid.saturating_sub(units));
        let before = self.0.prepaid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        before.unwrap_or_default().min(units)
    }

    /// Gives back to the request what a meter took of it and did not spend.
    pub(super) fn return_prepaid(&self, units: u64) {
        self.0.prepaid.fetch_add(units, Ordering::Relaxed);
    }

    /// What of the units that were charged before the handler ran no meter has spent; none can from now on.
    pub(crate) fn end_prepaid(&self) -> u64 {
        self.0.prepaid.swap(0, Ordering::Relaxed)
    }

    /// Collects the account, where what was drawn says that it is time.
    pub(crate) fn collect_if_due(&self) {
        if self.0.due.swap(false, Ordering::Relaxed) {
            let Inner { engine, till, id, .. } = &*self.0;
            till.clone().collect_soon(engine.clone(), id.clone());
        }
    }

    pub(super) fn prepaid(&self) -> u64 {
        self.0.prepaid.load(Ordering::Relaxed)
    }

    pub(crate) fn busy(&self) -> Busy {
        self.0.engine.busy()
    }

    /// Sets units aside, in a task of its own: what nobody waits for any more is returned.
    pub(super) async fn hold(
        &self,
        drawn: Drawn,
        last: Option<Held>,
    ) -> Result<Result<Held, Need>, Rejection> {
        let (me, (hand, handed)) = (self.clone(), oneshot::channel());
        let busy = self.busy();
        tokio::spawn(async move {
            let _busy = busy;
            let Inner { engine, till, id, .. } = &*me.0;
            let held = till.clone().hold(engine.clone(), id.clone(), drawn, last).await;
            // A crash in here leaves a hold that counts as used in time.
            let left = match hand.send(held) {
                Err(Ok(Ok(held))) => Some(held),
                // Nothing was written: the last one goes on, and nobody has it.
                Err(Ok(Err(_))) => last,
                _ => None,
            };
            if let Some(held) = left
                && let Err(e) = me.book(held).await
            {
                tracing::warn!(reason = e.reason.as_str(), "a meter's rest could not be returned");
            }
        });
        handed.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    pub(super) async fn book(&self, held: Held) -> Result<(), Rejection> {
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().book(engine.clone(), id.clone(), held).await
    }

    pub(super) async fn changed(&self, patience: Duration) -> Result<bool, Rejection> {
        let drawn = Drawn { units: 1, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().changed(engine.clone(), id.clone(), drawn, patience).await
    }

    pub(super) async fn need(&self, units: u64, last: Option<Held>) -> Result<Need, Rejection> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().need(engine.clone(), id.clone(), drawn, last).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account", &self.0.id).finish_non_exhaustive()
    }
}
