//! Going through the books after a crash: what was left open is asked after, what was paid waits to be redeemed.

use mpp_core::{
    problem::{Reason, Rejection},
    store::{Key, StoreError, Version, Versioned},
};
use tokio::task::{JoinError, JoinSet};

use super::{Entry, Ledger, State, settle::Payment};

/// Entries read at a time: each may hold an answer that is kept.
const PAGE: usize = 64;
/// Entries gone on with at a time: one rail that hangs must not hold up the others.
const AT_ONCE: usize = 16;

/// What a pass over the books found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Open payments that turn out to have moved money, now or before: they can be redeemed.
    pub settled: u64,
    /// Open payments that the rail refuses for good.
    pub failed: u64,
    /// Open payments of which nobody knows yet, or that somebody has in hand.
    pub open: u64,
    /// Open payments that settle where nothing at this gate does. Build the route that takes them, and they are gone on
    /// with.
    pub elsewhere: u64,
    /// Payments that moved money and whose response was not handed over: their credentials are good for it.
    pub redeemable: u64,
    /// Reservations whose handler did not end: nothing was sent for them, and their credentials may still come.
    pub reserved: u64,
    /// Reservations taken off the books: nothing was sent for them, and their challenges are over.
    pub dropped: u64,
    /// Entries that cannot be read; the log names them. Nothing else is affected.
    pub unreadable: u64,
    /// Subscriptions whose first payment had settled, and whose agreements are on the books now.
    pub activated: u64,
    /// Charges of subscriptions' later periods whose outcome is known now.
    pub renewals: u64,
    /// Cancelled subscriptions of which their rails are told now.
    pub cancelled: u64,
}

impl Ledger {
    /// Goes through the books once.
    pub(crate) async fn recover(&self) -> Result<Recovered, StoreError> {
        let prefix = Key::from_stored("paid");
        let (mut recovered, mut after) = (Recovered::default(), None);
        let mut tasks = JoinSet::new();
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, found) in page {
                let at = match self.look(&key, found) {
                    Look::Known(outcome) => {
                        recovered.count(outcome);
                        continue;
                    }
                    Look::GoOn(at) => at,
                };
                if tasks.len() >= AT_ONCE {
                    recovered.count(tasks.join_next().await.map_or(Outcome::Over, ended));
                }
                let me = self.clone();
                // In a task of its own: a method whose code panics over one payment must not stop the others.
                tasks.spawn(async move { me.go_on_alone(key, *at).await });
            }
        }
        while let Some(done) = tasks.join_next().await {
            recovered.count(ended(done));
        }
        Ok(recovered)
    }

    /// What is to be done about an entry.
    fn look(&self, key: &Key, found: Versioned) -> Look {
        let entry = match Entry::read(key, &found.value) {
            Ok(entry) => entry,
            Err(e) => {
                tracing::error!(key = key.as_str(), cause = %e, "a ledger entry cannot be read");
                return Look::Known(Outcome::Unreadable);
            }
        };
        let known = match entry.state {
            State::Delivered | State::Failed | State::WrittenOff => Outcome::Over,
            State::Settled | State::Serving => Outcome::Redeemable,
            State::Unknown if !self.lapsed(&entry) => Outcome::Open,
            // Its credential may still come; past the challenge's end nothing more can.
            State::Reserved if !entry.expires.expired_at(&self.clock.now()) => Outcome::Reserved,
            _ if !self.is_free(&entry) => Outcome::Open,
            _ => return Look::GoOn(Box::new((found.version, entry))),
        };
        Look::Known(known)
    }

    async fn go_on_alone(&self, key: Key, (version, entry): (Version, Entry)) -> Outcome {
        // Somebody has it in hand: theirs to go on with.
        let Some(_hold) = self.holds.take(&key) else { return Outcome::Open };
        let reserved = entry.state == State::Reserved;
        let rail = self.rail_of(&entry, &[]);
        let mut payment = Payment::found(self.clone(), key, version, entry);
        if reserved {
            let withdrawn = payment.withdraw().await;
            return if withdrawn.is_ok() { Outcome::Dropped } else { Outcome::Open };
        }
        let Some(rail) = rail else { return Outcome::Elsewhere };
        match self.settle_alone(&mut payment, &rail).await {
            Ok(()) => Outcome::Settled,
            Err(e) => refused(&payment, &e),
        }
    }
}

impl Recovered {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Settled => &mut self.settled,
            Outcome::Failed => &mut self.failed,
            Outcome::Open => &mut self.open,
            Outcome::Elsewhere => &mut self.elsewhere,
            Outcome::Redeemable => &mut self.redeemable,
            Outcome::Reserved => &mut self.reserved,
            Outcome::Dropped => &mut self.dropped,
            Outcome::Unreadable => &mut self.unreadable,
            Outcome::Over => return,
        } += 1;
    }
}

/// A task that panicked leaves its entry as open as it was.
fn ended(done: Result<Outcome, JoinError>) -> Outcome {
    done.unwrap_or_else(|e| {
        tracing::error!(cause = %e, "a payment could not be gone on with");
        Outcome::Open
    })
}

/// An entry, at first sight.
enum Look {
    Known(Outcome),
    GoOn(Box<(Version, Entry)>),
}

fn refused(payment: &Payment, why: &Rejection) -> Outcome {
    let failed = payment.entry.state == State::Failed && why.reason != Reason::IN_FLIGHT;
    if failed { Outcome::Failed } else { Outcome::Open }
}

/// What became of an entry.
enum Outcome {
    Settled,
    Failed,
    Open,
    Elsewhere,
    Redeemable,
    Reserved,
    Dropped,
    Unreadable,
    Over,
}
