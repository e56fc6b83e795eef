//! When what was earned is taken to the rail, and when an account that nobody uses is closed.

use std::time::Duration;

use mpp_core::{Amount, account::Account};

use super::entry::{Collected, Entry};

/// When a gate collects, and closes what is idle. Nothing is collected by itself unless it says so.
///
/// Only what was served is collected, and only what a proof covers to the unit: the newest voucher that was spent to its end.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Schedule {
    units: Option<u64>,
    amount: Option<Amount>,
    every: Option<Duration>,
    pub(super) idle: Option<Duration>,
}

impl Schedule {
    /// Never, unless more is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects an account once so many units were served since the last time.
    pub fn after_units(self, units: u64) -> Self {
        Self { units: Some(units.max(1)), ..self }
    }

    /// Collects an account once so much was served since the last time, in base units of its currency.
    pub fn after_amount(self, amount: Amount) -> Self {
        Self { amount: Some(amount), ..self }
    }

    /// Collects an account so long after the last time, at the next sweep.
    pub fn every(self, interval: Duration) -> Self {
        Self { every: Some(interval), ..self }
    }

    /// Closes an account of which nothing was drawn for so long, at the next sweep: what was served is taken, the rest goes
    /// back.
    pub fn close_idle_after(self, idle: Duration) -> Self {
        Self { idle: Some(idle), ..self }
    }

    /// Whether an account is to be collected for what was drawn on it.
    pub(super) fn is_due_by_use<K>(&self, entry: &Entry<K>) -> bool {
        let Collected { units, spent, .. } = entry.collected;
        let Account { units: now, spent: in_all, .. } = &entry.account;
        self.units.is_some_and(|after| now.saturating_sub(units) >= after)
            || self.amount.is_some_and(|after| in_all.saturating_sub(spent) >= after)
    }

    /// Whether an account is to be collected for the time that went by.
    pub(super) fn is_due_by_time<K>(&self, entry: &Entry<K>, now: i64) -> bool {
        self.every.is_some_and(|every| now.saturating_sub(entry.collected.at) >= millis(every))
    }

    pub(super) fn is_idle<K>(&self, entry: &Entry<K>, now: i64) -> bool {
        self.idle.is_some_and(|idle| now.saturating_sub(entry.touched) >= millis(idle))
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
