//! Taking what was earned to the rail, the accounts staying open.

use mpp_core::{
    account::State,
    problem::{Reason, Rejection},
    teller::Teller,
};

use super::{
    books::{At, Desk},
    entry::{Act, Entry},
    order::Marked,
};

/// Accounts that are collected together.
const TOGETHER: usize = 16;

impl<T: Teller> Desk<T> {
    /// Collects an account in a task of its own, where the schedule says so. What is drawn meanwhile is collected next time.
    pub(super) fn collect_if_due(&self, at: &At, entry: &Entry<T::Kept>) {
        if entry.pending.is_some() || !self.engine.schedule.is_due_by_use(entry) {
            return;
        }
        // Somebody has an order in hand: the next draw asks again.
        if at.local.ordering.try_lock().is_err() || self.till.it.collect(&entry.account).is_none() {
            return;
        }
        let (desk, at, busy) = (self.clone(), at.clone(), self.engine.busy());
        tokio::spawn(async move {
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
        let entry = self.found(at).await?;
        if entry.account.state != State::Open || entry.pending.is_some() {
            return Ok(false);
        }
        let Some(order) = self.till.it.collect(&entry.account) else { return Ok(false) };
        let pending = self.pending(Act::Collect, &order, None, None)?;
        self.ordered(at, pending, order).await.map(|done| done.fresh)
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

    async fn mark_collecting(
        &self,
        at: &At,
    ) -> Result<Option<(T::Order, Entry<T::Kept>)>, Rejection> {
        let entry = self.found(at).await?;
        if entry.account.state != State::Open {
            return Ok(None);
        }
        let Some(order) = self.till.it.collect(&entry.account) else { return Ok(None) };
        let pending = self.pending(Act::Collect, &order, None, None)?;
        let name = self.till.it.name(&order).into_owned();
        match self.mark(at, &pending, &name).await {
            Ok(Marked::Go(entry)) => Ok(Some((order, *entry))),
            Ok(Marked::Done(_)) => Ok(None),
            Err(e) if e.reason == Reason::IN_FLIGHT => Ok(None),
            Err(e) => Err(e),
        }
    }
}
