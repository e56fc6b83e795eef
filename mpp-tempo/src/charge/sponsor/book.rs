//! The book of one sponsor: what it has promised to pay and does not know to be over. Pure, and one value in a store.
//!
//! ```text
//! prepared ──► broadcasting ──► pending ──► (gone: mined, or over)
//!    └───────────────┴──► (gone: nothing was signed)
//! ```
//! A sender has one reservation at most, so that what the next is simulated on is what the one before has left.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use mpp_core::{
    Amount,
    store::{Key, StoreError},
};
use serde::{Deserialize, Serialize};

use super::{
    policy::{Approved, Policy},
    stored,
};

/// Seconds after a transaction's end for which its fee still counts: the chain's clock may be behind ours.
const AFTERMATH: i64 = 10;

/// The form that is written.
const FORM: u64 = 1;

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Nothing was signed. Gone when its lease is over: whoever made it must find it here before signing.
    Prepared,
    /// Whoever has the turn may be signing or sending, and knows of nobody else who may.
    Broadcasting,
    /// It may be on its way, by somebody's hand. Only the chain and the clock end it.
    Pending,
}

/// A payment whose fee is promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    #[serde(with = "stored::hex")]
    pub(super) id: B256,
    #[serde(with = "stored::hex")]
    pub(super) sender: Address,
    pub(super) phase: Phase,
    /// Attodollars, at most.
    pub(super) max_fee: Amount,
    /// Unix milliseconds: the end of the lease while prepared, later the end of all that can happen.
    pub(super) until: i64,
    /// Whose run this is: no two ever get the same number.
    pub(super) turn: u64,
}

impl Reservation {
    fn is_over(&self, now: i64) -> bool {
        self.until <= now
    }
}

/// All that is promised and not known to be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    v: u64,
    /// The turn that is given out next.
    next: u64,
    pub(super) live: Vec<Reservation>,
}

impl Default for Book {
    fn default() -> Self {
        Self { v: FORM, next: 1, live: Vec::new() }
    }
}

/// Why there is no reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The budget is in use.
    Full,
    /// The sender has one.
    Busy,
}

impl Book {
    /// Promises the fee, or takes an earlier run's promise over, and gives out a turn.
    pub(super) fn reserve(
        &mut self,
        approved: &Approved,
        policy: &Policy,
        now: i64,
    ) -> Result<u64, NoPlace> {
        self.live.retain(|held| held.id == approved.id || !held.is_over(now));
        let turn = self.next;
        let leased = now.saturating_add(millis(policy.lease));
        if let Some(own) = self.live.iter_mut().find(|held| held.id == approved.id) {
            match own.phase {
                Phase::Prepared => own.until = leased,
                // The run before may still sign: from now on neither can take the promise back.
                Phase::Broadcasting | Phase::Pending => own.phase = Phase::Pending,
            }
            own.turn = turn;
            self.next = turn.saturating_add(1);
            return Ok(turn);
        }
        if self.live.iter().any(|held| held.sender == approved.sender) {
            return Err(NoPlace::Busy);
        }
        if !self.has_room(approved, policy, now) {
            return Err(NoPlace::Full);
        }
        self.next = turn.saturating_add(1);
        self.live.push(Reservation {
            id: approved.id,
            sender: approved.sender,
            phase: Phase::Prepared,
            max_fee: approved.max_fee,
            until: leased,
            turn,
        });
        Ok(turn)
    }

    /// Whether the budget has room for a payment beside all others.
    pub(super) fn has_room(&self, approved: &Approved, policy: &Policy, now: i64) -> bool {
        let others =
            || self.live.iter().filter(|held| held.id != approved.id && !held.is_over(now));
        let fees = others().map(|held| held.max_fee.get()).fold(0, u128::saturating_add);
        let promised = self.live.iter().any(|held| held.id == approved.id);
        let affordable = fees.saturating_add(approved.max_fee.get()) <= policy.budget;
        promised || (others().count() < policy.max_reservations && affordable)
    }

    /// Says that whoever has the turn is about to sign. `false`: it was dropped, or is another's.
    pub(super) fn begin(&mut self, approved: &Approved, turn: u64) -> bool {
        let Some(own) = self.of_turn(approved.id, turn) else { return false };
        if own.phase == Phase::Prepared {
            own.phase = Phase::Broadcasting;
        }
        own.until = approved.valid_before.saturating_add(AFTERMATH).saturating_mul(1000);
        true
    }

    /// Takes a promise back. `false`: somebody else may have signed it, and it stays.
    pub(super) fn withdraw(&mut self, id: B256, turn: u64) -> bool {
        match self.of_turn(id, turn) {
            Some(own) if own.phase != Phase::Pending => {
                self.end(id);
                true
            }
            _ => false,
        }
    }

    /// Says that it may be on its way.
    pub(super) fn leave_open(&mut self, id: B256) {
        if let Some(own) = self.live.iter_mut().find(|held| held.id == id)
            && own.phase == Phase::Broadcasting
        {
            own.phase = Phase::Pending;
        }
    }

    /// Says that nothing more can happen to it.
    pub(super) fn end(&mut self, id: B256) {
        self.live.retain(|held| held.id != id);
    }

    fn of_turn(&mut self, id: B256, turn: u64) -> Option<&mut Reservation> {
        self.live.iter_mut().find(|held| held.id == id && held.turn == turn)
    }

    /// Reads a stored book; one that does not read is never written over.
    pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<Self, StoreError> {
        stored::read(key, bytes, FORM)
    }

    pub(super) fn write(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        stored::write(key, self)
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 2)
}
