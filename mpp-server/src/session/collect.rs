//! Taking what was earned to the rail, the accounts staying open.

use mpp_core::{account::State, problem::Rejection, teller::Teller};

use super::{
    books::{At, Desk},
    entry::{Act, Entry},
};

/// Accounts that are collected together.
const TOGETHER: usize = 16;

impl<T: Teller> Desk<T> {
    /// Whether the schedule says that an account is to be collected for what was drawn on it, and there is something to collect.
    pub(super) fn is_due(&self, entry: &Entry<T::Kept>) -> bool {
        entry.pending.is_none()
            && self.engine.schedule.is_due_by_use(entry)
            && self.till.it.collect(&entry.account).is_some()
    }

    /// As [`Desk::collect_soon`], where the schedule says so.
    pub(super) fn collect_if_due(&self, at: &At, entry: &Entry<T::Kept>) {
        if self.is_due(entry) {
            self.collect_soon(at);
        }
    }

    /// Collects an account in a task of its own. What is drawn meanwhile is collected next time.
    pub(super) fn collect_soon(&self, at: &At) {
        // Somebody has an order in hand: the next draw asks again.
        if at.local.ordering.try_lock().is_err() {
            return;
        }
        // A permit can be dropped where no runtime is any more: a sweep collects then.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (desk, at, busy) = (self.clone(), at.clone(), self.engine.busy());
        runtime.spawn(async move {
            let _busy = busy;
            if let Err(e) = desk.collect(&at).await {
                tracing::warn!(
                    account = at.id,
                    reason = e.reason.as_str(),
                    "an account could not be collected"
                );
            }
        });
    }

    /// Collects what was earned on one account; false where there is nothing to collect.
    pub(super) async fn collect(&self, at: &At) -> Result<bool, Rejection> {
        let _turn = self.turn(at).await?;
        let Some((order, entry)) = self.mark_collecting(at).await? else { return Ok(false) };
        // A crash from here on leaves the order pending: the rail is asked what became of it.
        self.carry_out(at, &order, &entry.account).await.map(|_| true)
    }

    /// Collects several accounts, together where the rail can. Returns how many were.
    pub(super) async fn collect_all(&self, accounts: Vec<At>) -> usize {
        let mut collected = 0;
        let mut accounts = accounts.into_iter();
        loop {
            let some: Vec<At> = accounts.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return collected;
            }
            collected += self.collect_together(some).await;
        }
    }

    async fn collect_together(&self, accounts: Vec<At>) -> usize {
        let (mut turns, mut marked, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for at in accounts {
            // Who is being settled for already is left to that.
            let Ok(turn) = at.local.ordering.clone().try_lock_owned() else { continue };
            match self.mark_collecting(&at).await {
                Ok(Some((order, entry))) => {
                    turns.push(turn);
                    orders.push((order, entry.account));
                    marked.push(at);
                }
                Ok(None) => {}
                Err(e) => {
                    tracing::warn!(account = at.id, reason = e.reason.as_str(), "not collected")
                }
            }
        }
        if orders.is_empty() {
            return 0;
        }
        // A crash from here on leaves each order pending: the rail is asked of each by itself.
        let settling = self.till.it.settle_together(&orders);
        let Ok(fates) = tokio::time::timeout(self.engine.deadline, settling).await else {
            return 0;
        };
        let mut collected = 0;
        for ((at, (order, _)), fate) in marked.iter().zip(&orders).zip(fates) {
            let name = self.till.it.name(order).into_owned();
            match self.booked(at, &name, fate).await {
                Ok(_) => collected += 1,
                Err(e) => {
                    tracing::warn!(account = at.id, reason = e.reason.as_str(), "not collected")
                }
            }
        }
        collected
    }

    /// Decides and writes down what is collected in one swap: what is given back before it is not collected, and what is given
    /// back after it is no less than what is collected.
    async fn mark_collecting(
        &self,
        at: &At,
    ) -> Result<Option<(T::Order, Entry<T::Kept>)>, Rejection> {
        let it = &self.till.it;
        let (order, entry) = self
            .change(at, |entry, _| {
                if entry.account.state != State::Open || entry.pending.is_some() {
                    return Ok(None);
                }
                let Some(order) = it.collect(&entry.account) else { return Ok(None) };
                let mut pending = self.pending(Act::Collect, &order, None, None)?;
                pending.to = entry.account.collectable().map(|proof| proof.amount);
                entry.pending = Some(pending);
                Ok(Some(order))
            })
            .await?;
        Ok(order.map(|order| (order, entry)))
    }
}
