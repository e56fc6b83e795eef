//! What was spent within a rolling window, in a fixed number of slots.

use std::collections::VecDeque;

use mpp_core::Amount;
use serde::{Deserialize, Serialize};

/// Slots a window is counted in: spending leaves it a slot at a time, and never early.
const SLOTS: i64 = 60;

/// Slots that are remembered: more than a window has, so that what a clock that ran ahead made look old still counts
/// when it comes back.
const REMEMBERED: usize = 128;

/// A rolling sum. Nothing is ever dropped from it: past its bound, what is oldest is counted as one slot younger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    #[serde(rename = "slot")]
    slot_millis: i64,
    #[serde(rename = "spent")]
    slots: VecDeque<(i64, Amount)>,
}

/// A slot, and how long it is: the same number means another time in a window of another length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell(i64, i64);

impl Window {
    pub(super) fn of(length_millis: i64) -> Self {
        Self { slot_millis: slot_millis(length_millis), slots: VecDeque::new() }
    }

    /// Whether it can be counted in: what was read may be anything.
    pub(super) fn is_whole(&self) -> bool {
        let ordered = self.slots.iter().zip(self.slots.iter().skip(1)).all(|(a, b)| a.0 < b.0);
        self.slot_millis > 0 && self.slots.len() <= REMEMBERED && ordered
    }

    /// The same spending in a window of this length, none of it older than it is.
    pub(super) fn fit(&mut self, length_millis: i64) {
        let ours = slot_millis(length_millis);
        if ours == self.slot_millis {
            return;
        }
        let theirs = std::mem::replace(&mut self.slot_millis, ours);
        for (slot, amount) in std::mem::take(&mut self.slots) {
            let latest = slot.saturating_add(1).saturating_mul(theirs).saturating_sub(1);
            self.spend(latest, amount.get());
        }
    }

    /// What was spent within the window that ends now.
    pub(super) fn spent(&self, now_millis: i64) -> u128 {
        let now = now_millis.div_euclid(self.slot_millis);
        // A slot is out when even its last millisecond is older than the window. What is later than now counts too.
        let within = self.slots.iter().rev().take_while(|held| held.0.saturating_add(SLOTS) >= now);
        within.fold(0, |sum, held| sum.saturating_add(held.1.get()))
    }

    /// Counts an amount and tells where. The caller has checked that the sum fits.
    pub(super) fn spend(&mut self, now_millis: i64, amount: u128) -> Cell {
        let mut slot = now_millis.div_euclid(self.slot_millis);
        match self.slots.back_mut() {
            // A clock that went back must not make spending older than it is.
            Some(last) if last.0 >= slot => {
                slot = last.0;
                last.1 = more(last.1, amount);
            }
            _ => self.slots.push_back((slot, Amount::new(amount))),
        }
        if self.slots.len() > REMEMBERED
            && let Some((_, oldest)) = self.slots.pop_front()
            && let Some(next) = self.slots.front_mut()
        {
            next.1 = more(next.1, oldest.get());
        }
        Cell(self.slot_millis, slot)
    }

    /// Takes an amount out of where it was counted, if that is still remembered by itself.
    pub(super) fn give_back(&mut self, cell: Cell, amount: u128) {
        if cell.0 != self.slot_millis {
            return;
        }
        if let Some(held) = self.slots.iter_mut().find(|held| held.0 == cell.1) {
            held.1 = Amount::new(held.1.get().saturating_sub(amount));
        }
        // An empty slot of a clock that was ahead would draw all later spending to itself.
        self.slots.retain(|held| !held.1.is_zero());
    }
}

/// At least a millisecond: no division by nothing.
fn slot_millis(length_millis: i64) -> i64 {
    (length_millis / SLOTS).max(1)
}

fn more(held: Amount, amount: u128) -> Amount {
    Amount::new(held.get().saturating_add(amount))
}
