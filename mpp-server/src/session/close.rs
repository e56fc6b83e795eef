//! Closing an account: nothing is drawn from then on, running meters end, and what was spent is captured.

use std::time::Duration;

use mpp_core::{
    Amount,
    account::{Account, Raise, State},
    problem::{ProblemType, Reason, Rejection},
    teller::{Standing, Teller},
};
use serde_json::Value;

use super::{
    books::{At, Desk},
    entry::{Act, Entry},
    order::{Ordered, alone},
};

/// How long meters of this process are given to say what they used.
const DRAIN: Duration = Duration::from_secs(3);
/// The same, where the payer is about to take everything back.
const HASTE: Duration = Duration::from_millis(200);

impl<T: Teller> Desk<T> {
    /// Closes by its payer's word: a last total of at least what was spent.
    pub(super) async fn close_by_payer(
        &self,
        at: &At,
        order: T::Order,
        last: &Raise,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let (desk, at, last) = (self.clone(), at.clone(), last.clone());
        alone(&self.engine, async move {
            let _turn = desk.turn(&at).await?;
            let name = desk.till.it.name(&order).into_owned();
            let mut done = match desk.shut(&at, Some((&name, &last)), DRAIN).await? {
                Some(closed) => desk.again(*closed, &order),
                None => {
                    let order = serde_json::value::to_raw_value(&order);
                    let order = order.map_err(Rejection::internal)?;
                    let marked =
                        desk.mark_closing(&at, Some(&last), |_| Some(order.clone())).await?;
                    desk.finish(&at, marked).await?
                }
            };
            // What the payer closed by is what its receipt says, though it had signed for more before.
            if let Some(total) = last.total() {
                done.entry.account.credit = total;
            }
            Ok(done)
        })
        .await
    }

    /// Closes by what its payer proved before: an account that is idle, or that its payer is about to take back. `None` where
    /// its rail knows no such thing.
    pub(super) async fn close_ourselves(
        &self,
        at: &At,
    ) -> Result<Option<Ordered<T::Kept>>, Rejection> {
        let (desk, at) = (self.clone(), at.clone());
        alone(&self.engine, async move {
            let _turn = desk.turn(&at).await?;
            let entry = desk.found(&at).await?;
            if entry.account.state != State::Closing && desk.till.it.close(&entry.account).is_none()
            {
                return Ok(None);
            }
            let leaving =
                matches!(desk.till.it.standing(&entry.account.kept), Standing::Ending { .. });
            desk.shut(&at, None, if leaving { HASTE } else { DRAIN }).await?;
            let it = desk.till.it.clone();
            let order = |entry: &Entry<T::Kept>| {
                let order = it.close(&entry.account)?;
                serde_json::value::to_raw_value(&order).ok()
            };
            let marked = desk.mark_closing(&at, None, order).await?;
            desk.finish(&at, marked).await.map(Some)
        })
        .await
    }

    /// From here on nothing is drawn. A crash in here leaves an account that is closing, and a sweep closes it. An account that
    /// was closed by this very order is returned as it is.
    async fn shut(
        &self,
        at: &At,
        by_payer: Option<(&str, &Raise)>,
        drain: Duration,
    ) -> Result<Option<Box<Entry<T::Kept>>>, Rejection> {
        let it = &self.till.it;
        loop {
            let (before, _) = self
                .change(at, |entry, _| {
                    if let Some(pending) = &entry.pending {
                        return Ok(Shut::Waits(Box::new(pending.clone())));
                    }
                    if let Some((name, last)) = by_payer {
                        if entry.account.has_done(name) {
                            return Ok(Shut::Before(Box::new(entry.clone())));
                        }
                        // Seen before anything is ended: whoever shows an old voucher ends no stream.
                        let paid_out = it.paid_out(&entry.account.kept);
                        enough(last, due(&entry.account, last, paid_out), paid_out)?;
                    }
                    match entry.account.state {
                        State::Open | State::Closing => entry.account.state = State::Closing,
                        State::Opening => return Err(crate::ledger::in_flight()),
                        _ => return Err(mpp_core::account::closed()),
                    }
                    Ok(Shut::Now)
                })
                .await?;
            match before {
                Shut::Now => break,
                Shut::Before(entry) => return Ok(Some(entry)),
                Shut::Waits(before) => self.resume_free(at, &before).await?,
            }
        }
        at.local.changed.notify_waiters();
        self.drain(at, drain).await.map(|()| None)
    }

    /// Gives the meters of this process a moment to say what they used.
    async fn drain(&self, at: &At, most: Duration) -> Result<(), Rejection> {
        let drained = async {
            loop {
                let entry = self.found(at).await?;
                if !entry.holds.iter().any(|hold| hold.by == self.engine.me) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(most, drained).await.unwrap_or(Ok(()))
    }

    /// Writes the closing order down, on an account that does not change any more.
    async fn mark_closing(
        &self,
        at: &At,
        last: Option<&Raise>,
        order: impl Fn(&Entry<T::Kept>) -> Option<Box<serde_json::value::RawValue>> + Send + Sync,
    ) -> Result<Entry<T::Kept>, Rejection> {
        let it = &self.till.it;
        let (marked, entry) = self
            .change(at, |entry, now| {
                // Another gate was first, or has refused it.
                if entry.pending.is_some() || entry.account.state != State::Closing {
                    return Err(crate::ledger::in_flight());
                }
                let total = last.and_then(Raise::total);
                let paid_out = it.paid_out(&entry.account.kept);
                if let Some(Err(refused)) =
                    last.map(|last| enough(last, entry.account.spent, paid_out))
                {
                    entry.account.state = State::Open;
                    return Ok(Err(refused));
                }
                // What is still set aside is being served, or was: it is spent.
                entry.absorb(|_| true);
                if let (Some(last), Some(total)) = (last, total)
                    && total > entry.account.credit
                {
                    let ceiling = it.ceiling(&entry.account.kept);
                    // More than the deposit proves nothing more: what was accepted covers what was spent.
                    let _ = entry.account.raise(&last.by_any_step(), ceiling);
                }
                let order = order(entry).ok_or_else(|| {
                    Rejection::internal("an account that cannot be closed was to be closed")
                })?;
                entry.pending = Some(super::entry::Pending {
                    act: Act::Close,
                    order,
                    by: self.engine.me,
                    until: now.saturating_add(super::schedule::millis(self.engine.deadline)),
                    challenge: None,
                    to: None,
                    proof: None,
                });
                Ok(Ok(()))
            })
            .await?;
        if let Err(refused) = marked {
            at.local.changed.notify_waiters();
            return Err(refused);
        }
        Ok(entry)
    }

    async fn finish(&self, at: &At, entry: Entry<T::Kept>) -> Result<Ordered<T::Kept>, Rejection> {
        let pending = entry.pending.as_ref().ok_or_else(super::order::vanished)?;
        let order: T::Order = super::order::order_of(pending)?;
        // A crash from here on leaves a closing account with its order: the rail is asked.
        self.carry_out(at, &order, &entry.account).await
    }
}

/// How an account stands that is to be closed.
enum Shut<K> {
    /// It is shut from now on.
    Now,
    /// It was closed before.
    Before(Box<Entry<K>>),
    /// An order of before has to end first.
    Waits(Box<super::entry::Pending>),
}

/// What a last word has to be for. One that the rail has shown everybody ends no stream that is running: it may be a stranger's.
fn due<K>(account: &Account<K>, last: &Raise, paid_out: Amount) -> Amount {
    match last.total() {
        Some(total) if total <= paid_out => {
            account.spent.checked_add(account.held).unwrap_or(account.credit)
        }
        _ => account.spent,
    }
}

/// Refuses a last word that is for less than what its payer was served. How much that was is told to whoever shows more than
/// the rail has shown everybody.
fn enough(last: &Raise, spent: Amount, paid_out: Amount) -> Result<(), Rejection> {
    let Some(total) = last.total().filter(|total| *total < spent) else { return Ok(()) };
    let detail = "The closing voucher is for less than what was served.";
    let mut r = Rejection::new(ProblemType::VERIFICATION_FAILED, Reason::LOWER, detail);
    if total > paid_out {
        r.extra.insert("spent".into(), Value::String(spent.to_string()));
    }
    Err(r)
}
