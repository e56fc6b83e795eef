//! Going on with what a crash, or an answer that never came, left open.

use mpp_core::{fate::Fate, problem::Rejection, teller::Teller};

use super::{
    books::{At, Desk},
    order::{Ordered, order_of, vanished},
};

impl<T: Teller> Desk<T> {
    /// Asks the rail what became of the order that is pending, and sends only what the rail never saw. Whoever calls it has the
    /// turn, and has seen that nobody else has the order in hand.
    pub(super) async fn resume(&self, at: &At) -> Result<Ordered<T::Kept>, Rejection> {
        self.resumed(at, true).await
    }

    /// As [`Desk::resume`], for nobody who waits: an outcome that is still open stays so, without another task to ask.
    pub(super) async fn resume_quietly(&self, at: &At) -> Result<Ordered<T::Kept>, Rejection> {
        self.resumed(at, false).await
    }

    async fn resumed(&self, at: &At, aloud: bool) -> Result<Ordered<T::Kept>, Rejection> {
        // Ours from here on, for others who share the store.
        let (pending, entry) = self
            .change(at, |entry, now| {
                let pending = entry.pending.as_mut().ok_or_else(vanished)?;
                (pending.by, pending.until) = (self.engine.me, now.saturating_add(60_000));
                Ok(pending.clone())
            })
            .await?;
        let order: T::Order = order_of(&pending)?;
        let name = self.till.it.name(&order).into_owned();
        // A crash in here leaves it pending, as before.
        let mut fate = self.within_deadline(self.till.it.reconcile(&order, &entry.account)).await;
        if matches!(fate, Fate::Absent) {
            fate = self.within_deadline(self.till.it.settle(&order, &entry.account)).await;
        }
        match fate {
            Fate::Unknown(cause) if !aloud => Err(Rejection::unknown(cause)),
            fate => {
                let done = self.booked(at, &name, fate).await?;
                self.used_up(at, &order).await?;
                Ok(done)
            }
        }
    }
}
