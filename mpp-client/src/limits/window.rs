//! What was spent within a rolling window, in a fixed number of slots.

use std::collections::VecDeque;

/// Slots a window is counted in: spending leaves it a slot at a time, and never early.
const SLOTS: i64 = 60;

/// A rolling sum. Holds at most 62 slots, whatever the number of payments.
#[derive(Clone, Debug)]
pub(super) struct Window {
    slot_millis: i64,
    slots: VecDeque<(i64, u128)>,
    sum: u128,
}

impl Window {
    pub(super) fn of(length_millis: i64) -> Self {
        let slot_millis = (length_millis / SLOTS).max(1);
        Self { slot_millis, slots: VecDeque::new(), sum: 0 }
    }

    /// What was spent within the window that ends now.
    pub(super) fn spent(&mut self, now_millis: i64) -> u128 {
        let now = now_millis.div_euclid(self.slot_millis);
        // A slot leaves when even its last millisecond is older than the window.
        while let Some(&(slot, amount)) = self.slots.front()
            && slot.saturating_add(SLOTS) < now
        {
            self.sum = self.sum.saturating_sub(amount);
            self.slots.pop_front();
        }
        self.sum
    }

    /// Counts an amount and tells the slot it went to. The caller has checked that the sum fits.
    pub(super) fn spend(&mut self, now_millis: i64, amount: u128) -> i64 {
        let mut slot = now_millis.div_euclid(self.slot_millis);
        self.sum = self.sum.saturating_add(amount);
        match self.slots.back_mut() {
            // A clock that went back must not make spending older than it is.
            Some(last) if last.0 >= slot => {
                slot = last.0;
                last.1 = last.1.saturating_add(amount);
            }
            _ => self.slots.push_back((slot, amount)),
        }
        slot
    }

    /// Takes an amount out of its slot, if that is still in the window.
    pub(super) fn give_back(&mut self, slot: i64, amount: u128) {
        if let Some(held) = self.slots.iter_mut().find(|held| held.0 == slot) {
            let amount = amount.min(held.1);
            held.1 -= amount;
            self.sum = self.sum.saturating_sub(amount);
        }
    }
}
