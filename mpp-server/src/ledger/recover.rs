//! Going through the books after a crash: what was left open is asked after, what was paid waits to be redeemed.

use mpp_core::{
    problem::{Reason, Rejection},
    store::{Key, StoreError, Versioned},
};

use super::{Entry, Ledger, State, settle::Payment};

/// Entries read at a time.
const PAGE: usize = 256;

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
    /// Reservations taken off the books: nothing was sent for them, and their challenges are over.
    pub dropped: u64,
    /// Entries that cannot be read; the log names them. Nothing else is affected.
    pub unreadable: u64,
}

impl Ledger {
    /// Goes through the books once.
    pub(crate) async fn recover(&self) -> Result<Recovered, StoreError> {
        let prefix = Key::from_stored("paid");
        let (mut recovered, mut after) = (Recovered::default(), None);
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(recovered) };
            after = Some(last.clone());
            for (key, found) in page {
                let counter = match self.recover_one(&key, found).await {
                    Some(Outcome::Settled) => &mut recovered.settled,
                    Some(Outcome::Failed) => &mut recovered.failed,
                    Some(Outcome::Open) => &mut recovered.open,
                    Some(Outcome::Elsewhere) => &mut recovered.elsewhere,
                    Some(Outcome::Redeemable) => &mut recovered.redeemable,
                    Some(Outcome::Dropped) => &mut recovered.dropped,
                    Some(Outcome::Unreadable) => &mut recovered.unreadable,
                    None => continue,
                };
                *counter += 1;
            }
        }
    }

    async fn recover_one(&self, key: &Key, found: Versioned) -> Option<Outcome> {
        let entry = match Entry::read(key, &found.value) {
            Ok(entry) => entry,
            Err(e) => {
                tracing::error!(key = key.as_str(), cause = %e, "a ledger entry cannot be read");
                return Some(Outcome::Unreadable);
            }
        };
        let open = matches!(entry.state, State::Reserved | State::Settling | State::Unknown);
        match entry.state {
            State::Delivered | State::Failed => return None,
            State::Settled | State::Serving => return Some(Outcome::Redeemable),
            State::Unknown if !self.lapsed(&entry) => return Some(Outcome::Open),
            _ if open && !self.is_free(&entry) => return Some(Outcome::Open),
            _ => {}
        }
        // Somebody has it in hand: theirs to go on with.
        let Some(hold) = self.holds.take(key) else { return Some(Outcome::Open) };
        if entry.state == State::Reserved {
            // Its credential may still come; past the challenge's end nothing more can.
            if !entry.expires.expired_at(&self.clock.now()) {
                return Some(Outcome::Open);
            }
            let mut payment = Payment::found(self.clone(), key.clone(), found.version, entry);
            return Some(match payment.withdraw().await {
                Ok(()) => Outcome::Dropped,
                Err(_) => Outcome::Open,
            });
        }
        let Some(rail) = self.rail_of(&entry, &[]) else { return Some(Outcome::Elsewhere) };
        let mut payment = Payment::found(self.clone(), key.clone(), found.version, entry);
        let me = self.clone();
        // In a task of its own: a panic in one method's code ends one payment's turn, and not the pass over all others.
        let settling = tokio::spawn(Box::pin(async move {
            let done = me.settle_alone(&mut payment, &rail).await;
            drop(hold);
            match done {
                Ok(()) => Outcome::Settled,
                Err(e) => refused(&payment, &e),
            }
        }));
        Some(settling.await.unwrap_or(Outcome::Open))
    }
}

fn refused(payment: &Payment, why: &Rejection) -> Outcome {
    let failed = payment.entry.state == State::Failed && why.reason != Reason::IN_FLIGHT;
    if failed { Outcome::Failed } else { Outcome::Open }
}

enum Outcome {
    Settled,
    Failed,
    Open,
    Elsewhere,
    Redeemable,
    Dropped,
    Unreadable,
}
