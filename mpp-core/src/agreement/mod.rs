//! What is agreed with a subscriber, and what was charged for: pure, under whatever rail.

mod period;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::period::{Cadence, Period};
use crate::{amount::Amount, name::MethodId, receipt::Receipt, time::Timestamp};

/// A subscription that began, as its rail says it. What is kept is not in its `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// The receipt's `subscriptionId`: opaque, one spelling, no secret.
    pub id: String,
    /// The first instant of its first period, which is paid.
    pub anchor: Timestamp,
    /// What its method must know to charge for later periods, and to end it. Secret at rest.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub kept: Value,
}

/// A subscription on the books: what is charged how often, and the last period that was paid.
///
/// One charge a period; what was missed is not charged later. It changes by [`record`](Self::record),
/// [`cancel`](Self::cancel) and [`end`](Self::end) alone, and each of them may be said again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// How it is paid.
    pub method: MethodId,
    /// Where it settles, as its verifier says.
    pub place: String,
    /// As its rail began it.
    pub began: Began,
    /// What a period costs, in base units.
    pub amount: Amount,
    /// In what, as the method has it.
    pub currency: String,
    /// How long a period is.
    pub cadence: Cadence,
    /// When it ends by itself: no period that begins then or later is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The number of the last period that was paid.
    pub paid: u64,
    /// The receipt of that period.
    pub receipt: Receipt,
    /// No period that begins then or later is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Timestamp>,
}

/// How a subscription stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stands {
    /// The period is paid.
    Paid(Period),
    /// The period is to be charged before anything is served in it.
    Due(Period),
    /// Cancelled, ended or beyond its end: nothing is charged any more.
    Over,
}

/// What came of recording a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// The period is paid by it.
    New,
    /// It was on the books, by this charge.
    Known,
    /// The period was paid already, by another charge: this one is to be given back.
    Twice,
    /// Its period is over, or was never to be charged: it grants nothing, and is to be given back.
    Stale,
}

impl Agreement {
    /// How it stands.
    pub fn stands(&self, now: &Timestamp) -> Stands {
        let Some(period) = self.cadence.period_at(&self.began.anchor, now) else {
            // A clock before the anchor: what was paid is served.
            let first = self.cadence.period(&self.began.anchor, self.paid);
            return first.map_or(Stands::Over, Stands::Paid);
        };
        if period.index <= self.paid {
            return Stands::Paid(period);
        }
        if self.charges(&period) { Stands::Due(period) } else { Stands::Over }
    }

    /// Whether a period may be charged for at all.
    fn charges(&self, period: &Period) -> bool {
        let mut ends = self.cancelled.iter().chain(&self.expires);
        ends.all(|end| period.start.is_before(end))
    }

    /// Whether a period lies behind a cancellation or an end: nothing is charged for it.
    pub fn is_called_off(&self, index: u64) -> bool {
        let Some(end) = &self.cancelled else { return false };
        let period = self.cadence.period(&self.began.anchor, index);
        period.is_none_or(|period| !period.start.is_before(end))
    }

    /// Books the charge of a period.
    pub fn record(&mut self, index: u64, receipt: Receipt, now: &Timestamp) -> Recorded {
        if index == self.paid {
            let same = self.receipt.reference == receipt.reference;
            return if same { Recorded::Known } else { Recorded::Twice };
        }
        let period = self.cadence.period(&self.began.anchor, index);
        let payable = |p: &Period| index > self.paid && now.is_before(&p.end) && self.charges(p);
        if !period.is_some_and(|period| payable(&period)) {
            return Recorded::Stale;
        }
        (self.paid, self.receipt) = (index, receipt);
        Recorded::New
    }

    /// The end of what was paid.
    pub fn paid_until(&self) -> Option<Timestamp> {
        self.cadence.period(&self.began.anchor, self.paid).map(|period| period.end)
    }

    /// Ends it with the period that was paid last, and returns that end. Said again it changes nothing.
    pub fn cancel(&mut self) -> Option<Timestamp> {
        if self.cancelled.is_none() {
            self.cancelled = self.paid_until();
        }
        self.cancelled.clone()
    }

    /// The rail charges for no period from then on.
    pub fn end(&mut self, at: Timestamp) {
        if self.cancelled.as_ref().is_none_or(|end| at.is_before(end)) {
            self.cancelled = Some(at);
        }
    }
}

impl std::fmt::Debug for Began {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Began")
            .field("id", &self.id)
            .field("anchor", &self.anchor)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agreement")
            .field("method", &self.method)
            .field("id", &self.began.id)
            .field("paid", &self.paid)
            .field("cancelled", &self.cancelled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
