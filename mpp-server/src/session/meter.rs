//! A meter: units set aside in bulk, spent without a word to the store, and the rest returned.

use std::{fmt, time::Duration};

use mpp_core::{
    Amount, Receipt,
    account::State,
    problem::{Reason, Rejection},
    teller::{Need, Teller},
};
use tokio::time::Instant;

use super::{
    Session,
    books::{At, Desk},
    entry::{Entry, Hold},
};

/// Units at a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) units: u64,
    pub(crate) price: Amount,
}

/// What is set aside, and how much of it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    id: u64,
    units: u64,
    used: u64,
    price: Amount,
}

/// Charges a stream unit by unit: sets units aside in batches, spends them without a word to the store, and returns the rest.
///
/// **What a crash costs.** Units that are set aside are the seller's from the moment they are: a server that dies with a batch
/// in hand has charged at most that batch for units that were not served, and served none that were not charged.
pub struct Meter {
    session: Session,
    batch: u64,
    held: Option<Held>,
    /// When that was set aside.
    since: Instant,
}

/// Why a meter has no unit to spend.
#[derive(Debug)]
#[non_exhaustive]
pub enum Dry {
    /// The balance is used up: what to tell the payer.
    Need(Need),
    /// The account is closed or closing, or its store does not answer: the stream is over.
    Ended(Rejection),
    /// The payer was given time, and did nothing.
    TooLong,
}

/// How many units are set aside at a time, unless said otherwise.
pub(super) const BATCH: u64 = 16;

impl Meter {
    pub(super) fn of(session: Session) -> Self {
        Self { session, batch: BATCH, held: None, since: Instant::now() }
    }

    /// Sets aside so many units at a time; 16 unless said otherwise. More of them make fewer writes, and a crash dearer.
    pub fn in_batches_of(mut self, units: u64) -> Self {
        self.batch = units.max(1);
        self
    }

    /// The units that are set aside and not spent, or that the request was charged for before its handler ran.
    pub fn in_hand(&self) -> u64 {
        self.held().saturating_add(self.session.prepaid())
    }

    /// What was set aside long ago is not in hand any more: the next refill sets it aside anew, before it counts as used.
    fn held(&self) -> u64 {
        match self.held {
            Some(held) if self.since.elapsed() < RENEWED => held.units - held.used,
            _ => 0,
        }
    }

    /// Spends units in hand; false, and nothing is spent, where there are not so many.
    pub fn take(&mut self, units: u64) -> bool {
        if self.in_hand() < units {
            return false;
        }
        let prepaid = self.session.take_prepaid(units);
        let units = units - prepaid;
        match &mut self.held {
            _ if units == 0 => true,
            Some(held) if held.units - held.used >= units => {
                held.used += units;
                true
            }
            // Another meter of the same request was faster.
            _ => {
                self.session.return_prepaid(prepaid);
                false
            }
        }
    }

    /// Sets aside a batch, so that at least so many units are in hand. What is in hand is spent or returned in the same write.
    ///
    /// Dropped before it is done, nothing is in hand, and what was set aside meanwhile is returned.
    ///
    /// # Errors
    /// [`Dry`]. Where the books do not answer, what was in hand is not any more, and counts as used.
    pub async fn refill(&mut self, at_least: u64) -> Result<(), Dry> {
        if self.in_hand() >= at_least {
            return Ok(());
        }
        let drawn = Drawn { units: self.batch.max(at_least), price: self.session.unit_price() };
        // Out of our hands: what the write returns to the payer must not be spent here, whoever stops waiting for it.
        let last = self.held.take();
        let since = Instant::now();
        match self.session.hold(drawn, last).await {
            Ok(Ok(held)) => {
                (self.held, self.since) = (Some(held), since);
                match self.in_hand() >= at_least {
                    true => Ok(()),
                    false => Err(Dry::Need(self.need(at_least).await?)),
                }
            }
            Ok(Err(need)) => {
                // Nothing was written: what was in hand is so still.
                self.held = last;
                Err(Dry::Need(need))
            }
            Err(e) => Err(Dry::Ended(e)),
        }
    }

    /// Spends units, setting more aside where that takes it.
    ///
    /// # Errors
    /// [`Dry`], and nothing of this is spent.
    pub async fn charge(&mut self, units: u64) -> Result<(), Dry> {
        if self.take(units) {
            return Ok(());
        }
        self.refill(units).await?;
        match self.take(units) {
            true => Ok(()),
            false => Err(Dry::Need(self.need(units).await?)),
        }
    }

    /// Waits until the payer has done something about an empty balance, for at most so long.
    ///
    /// # Errors
    /// [`Dry::TooLong`]; [`Dry::Ended`] where the account cannot be asked.
    pub async fn replenished(&self, patience: Duration) -> Result<(), Dry> {
        match self.session.changed(patience).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Dry::TooLong),
            Err(e) => Err(Dry::Ended(e)),
        }
    }

    /// Books what was used and returns the rest; the receipt says how the account stands then.
    ///
    /// # Errors
    /// The store does not answer. What was set aside then counts as used once nobody claims it.
    pub async fn finish(mut self) -> Result<Receipt, Rejection> {
        if let Some(held) = self.held.take() {
            self.session.book(held).await?;
        }
        self.session.receipt().await
    }

    async fn need(&self, units: u64) -> Result<Need, Dry> {
        self.session.need(units, self.held).await.map_err(Dry::Ended)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let session = self.session.clone();
        // Without a runtime it stays set aside, and counts as used in time.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let busy = session.busy();
            runtime.spawn(async move {
                let _busy = busy;
                if let Err(e) = session.book(held).await {
                    tracing::warn!(
                        reason = e.reason.as_str(),
                        "a meter's rest could not be returned"
                    );
                }
            });
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("in_hand", &self.in_hand()).finish_non_exhaustive()
    }
}

/// How long a hold is believed to be somebody's, in milliseconds. Past it what was set aside counts as used.
const LEASE: i64 = 10 * 60 * 1000;
/// Well before that a meter sets aside anew what it still has.
const RENEWED: Duration = Duration::from_secs(5 * 60);

impl<T: Teller> Desk<T> {
    /// Ends the last hold and begins the next, in one write. Where not one unit is covered nothing is written, and the last hold
    /// goes on.
    pub(super) async fn hold(
        &self,
        at: &At,
        drawn: Drawn,
        last: Option<Held>,
    ) -> Result<Result<Held, Need>, Rejection> {
        let id = self.draw_id()?;
        let (held, entry) = self
            .change(at, |entry, now| {
                let before = entry.clone();
                end(entry, last);
                if let Err(ended) = self.stands(entry) {
                    return Ok(Err(ended));
                }
                let held = entry.account.held;
                let units = match entry.account.hold(drawn.units, drawn.price) {
                    Ok(units) => units,
                    Err(e) => {
                        // A closing account is told what was used of it; one that is short has time for that.
                        if e.reason == Reason::SHORT_BALANCE {
                            *entry = before;
                        }
                        return Ok(Err(e));
                    }
                };
                let amount = entry.account.held.saturating_sub(held);
                let until = now.saturating_add(LEASE);
                entry.holds.push(Hold { id, by: self.engine.me, until, amount, units });
                entry.touched = now;
                Ok(Ok(Held { id, units, used: 0, price: drawn.price }))
            })
            .await?;
        self.collect_if_due(at, &entry);
        match held {
            Ok(held) => Ok(Ok(held)),
            Err(e) if e.reason == Reason::SHORT_BALANCE => {
                Ok(Err(self.needed(at, &entry, last, drawn)))
            }
            Err(e) => Err(e),
        }
    }

    /// What a payer is told: the total that would cover a batch, or as much of it as the deposit still does. Where that is not one
    /// unit, more has to be deposited anyway: the whole batch.
    pub(super) fn needed(
        &self,
        at: &At,
        entry: &Entry<T::Kept>,
        last: Option<Held>,
        wanted: Drawn,
    ) -> Need {
        let account = &entry.account;
        let used = account.spent.checked_add(account.held).unwrap_or(account.credit);
        // What is left of the last hold goes back in the write that begins the next.
        let left = last.and_then(|last| last.price.checked_mul(last.units - last.used));
        let used = used.saturating_sub(left.unwrap_or(Amount::ZERO));
        let room = self.till.it.ceiling(&account.kept).map(|most| most.saturating_sub(used));
        let fits = match (room, wanted.price.get()) {
            (Some(room), price) if price > 0 => {
                match u64::try_from(room.get() / price).unwrap_or(u64::MAX) {
                    0 => wanted.units.max(1),
                    room => room.min(wanted.units.max(1)),
                }
            }
            _ => wanted.units.max(1),
        };
        let cost = wanted.price.checked_mul(fits).unwrap_or(wanted.price);
        let required = used.checked_add(cost).unwrap_or(used);
        self.till.it.need(&at.id, account, required)
    }

    pub(super) async fn book(&self, at: &At, held: Held) -> Result<(), Rejection> {
        let (_, entry) = self
            .change(at, |entry, _| {
                end(entry, Some(held));
                Ok(())
            })
            .await?;
        at.local.changed.notify_waiters();
        self.collect_if_due(at, &entry);
        Ok(())
    }

    /// Waits until an account has a unit again, or can have none any more.
    pub(super) async fn changed(
        &self,
        at: &At,
        needs: Drawn,
        patience: Duration,
    ) -> Result<bool, Rejection> {
        let over = Instant::now() + patience;
        loop {
            let woken = at.local.changed.notified();
            tokio::pin!(woken);
            // Listening from before the look: no change between them is missed.
            woken.as_mut().enable();
            let entry = self.found(at).await?;
            let cost = needs.price.checked_mul(needs.units).unwrap_or(needs.price);
            if entry.account.state != State::Open
                || self.stands(&entry).is_err()
                || entry.account.available() >= cost
            {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= over {
                return Ok(false);
            }
            // Another process may take the voucher, and does not wake us.
            let look_again = (now + LOOK_AGAIN).min(over);
            let _ = tokio::time::timeout_at(look_again, woken).await;
        }
    }

    /// Waits until nothing can be drawn on an account any more. Of other processes it is not told: they close without us.
    pub(super) async fn ended(&self, at: &At) {
        loop {
            let woken = at.local.changed.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.found(at).await {
                Ok(entry) if entry.account.state == State::Open => {}
                // A store that does not answer ends nothing: a charge will tell.
                Err(e) if e.kind.status >= 500 => {}
                _ => return,
            }
            woken.await;
        }
    }

    fn draw_id(&self) -> Result<u64, Rejection> {
        let nonce = self.engine.nonces.draw().map_err(Rejection::internal)?;
        let [a, b, c, d, e, f, g, h, ..] = nonce;
        Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Ends a hold, if nobody has ended it before: what was used is spent, the rest can be drawn again.
fn end<K>(entry: &mut Entry<K>, held: Option<Held>) {
    let Some(held) = held else { return };
    let Some(index) = entry.holds.iter().position(|hold| hold.id == held.id) else { return };
    let hold = entry.holds.swap_remove(index);
    let used = held.price.checked_mul(held.used).unwrap_or(hold.amount);
    entry.account.book(hold.amount, used, held.used);
}
