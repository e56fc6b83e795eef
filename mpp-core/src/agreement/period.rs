//! Periods of a subscription: contiguous windows from one anchor (draft-payment-intent-subscription).

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::{
    intent::PeriodUnit,
    time::{Timestamp, date_from_days, days_from_date, days_in},
};

const DAY: i64 = 86_400;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cadence {
    /// The unit it is counted in.
    pub unit: PeriodUnit,
    /// How many units it has.
    pub count: NonZeroU64,
}

/// One period: its number, from 0, its first instant, and the first instant of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Period {
    /// How many periods lie between the anchor and this one.
    pub index: u64,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant of the next.
    pub end: Timestamp,
}

impl Cadence {
    /// The period of a number. `None`: it would begin or end beyond the year 9999.
    pub fn period(&self, anchor: &Timestamp, index: u64) -> Option<Period> {
        let (start, end) =
            (self.boundary(anchor, index)?, self.boundary(anchor, index.checked_add(1)?)?);
        Some(Period { index, start, end })
    }

    /// The period an instant lies in. `None` before the anchor, and beyond the year 9999.
    pub fn period_at(&self, anchor: &Timestamp, at: &Timestamp) -> Option<Period> {
        if at.is_before(anchor) {
            return None;
        }
        let elapsed = at.unix_seconds() - anchor.unix_seconds();
        // Too early by at most one: a month is no longer than 31 days, and boundaries are clamped to the end of a month.
        let guess = u64::try_from(elapsed).ok()? / self.longest()?;
        let guess = guess.saturating_sub(1);
        let mut period = self.period(anchor, guess)?;
        while !at.is_before(&period.end) {
            period = self.period(anchor, period.index.checked_add(1)?)?;
        }
        Some(period)
    }

    /// The most seconds that a period can have.
    fn longest(&self) -> Option<u64> {
        let unit = match self.unit {
            PeriodUnit::Day => 86_400,
            PeriodUnit::Week => 604_800,
            PeriodUnit::Month => 31 * 86_400,
        };
        self.count.get().checked_mul(unit)
    }

    /// The first instant of a period: always from the anchor, never from the boundary before.
    fn boundary(&self, anchor: &Timestamp, index: u64) -> Option<Timestamp> {
        let units = i64::try_from(self.count.get().checked_mul(index)?).ok()?;
        let seconds = match self.unit {
            PeriodUnit::Day => anchor.unix_seconds().checked_add(units.checked_mul(DAY)?)?,
            PeriodUnit::Week => anchor.unix_seconds().checked_add(units.checked_mul(7 * DAY)?)?,
            PeriodUnit::Month => months_later(anchor.unix_seconds(), units)?,
        };
        let millis =
            seconds.checked_mul(1000)?.checked_add(anchor.unix_millis().rem_euclid(1000))?;
        let boundary = Timestamp::from_unix_millis(millis);
        // Beyond what can be said it would be another instant.
        (boundary.unix_seconds() == seconds).then_some(boundary)
    }
}

/// The same day of month and time of day so many months later, or the month's last day.
fn months_later(seconds: i64, months: i64) -> Option<i64> {
    let (year, month, day) = date_from_days(seconds.div_euclid(DAY));
    let month0 = i64::from(year) * 12 + i64::from(month) - 1;
    let target = month0.checked_add(months)?;
    let year = u32::try_from(target.div_euclid(12)).ok().filter(|year| *year <= 9999)?;
    let month = u32::try_from(target.rem_euclid(12)).ok()? + 1;
    let day = day.min(days_in(year, month));
    Some(days_from_date(year, month, day) * DAY + seconds.rem_euclid(DAY))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cadence(unit: PeriodUnit, count: u64) -> Cadence {
        Cadence { unit, count: NonZeroU64::new(count).unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn months_are_counted_from_the_anchor_and_clamped_to_their_last_day() {
        let (monthly, anchor) = (cadence(PeriodUnit::Month, 1), at("2026-01-31T12:03:10Z"));
        let start = |n| monthly.period(&anchor, n).unwrap().start;
        for (n, expected) in [
            (0, "2026-01-31T12:03:10Z"),
            (1, "2026-02-28T12:03:10Z"),
            (2, "2026-03-31T12:03:10Z"),
            (3, "2026-04-30T12:03:10Z"),
            (25, "2028-02-29T12:03:10Z"),
        ] {
            assert_eq!(start(n).as_str(), expected);
        }
    }

    #[test]
    fn days_and_weeks_are_elapsed_time() {
        let anchor = at("2026-03-28T23:00:00.250Z");
        let end = |unit, count| cadence(unit, count).period(&anchor, 1).unwrap().end;
        assert_eq!(end(PeriodUnit::Day, 30).as_str(), "2026-05-27T23:00:00.250Z");
        assert_eq!(end(PeriodUnit::Week, 2).as_str(), "2026-04-25T23:00:00.250Z");
    }

    #[test]
    fn what_lies_before_the_anchor_or_beyond_the_calendar_is_in_no_period() {
        let (daily, anchor) = (cadence(PeriodUnit::Day, 1), at("2026-01-01T00:00:00Z"));
        assert_eq!(daily.period_at(&anchor, &at("2025-12-31T23:59:59Z")), None);
        assert_eq!(daily.period(&anchor, u64::MAX), None);
        assert_eq!(cadence(PeriodUnit::Month, u64::MAX).period(&anchor, 1), None);
        assert_eq!(cadence(PeriodUnit::Month, 1).period(&anchor, 12 * 9000), None);
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_one_period(
            anchor in 0_i64..4_000_000_000, later in 0_i64..4_000_000_000, count in 1_u64..40, unit in 0_usize..3,
        ) {
            let unit = [PeriodUnit::Day, PeriodUnit::Week, PeriodUnit::Month][unit];
            let cadence = cadence(unit, count);
            let (anchor, now) = (Timestamp::from_unix(anchor, 0), Timestamp::from_unix(anchor + later, 0));
            let period = cadence.period_at(&anchor, &now).unwrap();
            prop_assert!(!now.is_before(&period.start) && now.is_before(&period.end));
            prop_assert_eq!(cadence.period(&anchor, period.index), Some(period));
        }
    }
}
