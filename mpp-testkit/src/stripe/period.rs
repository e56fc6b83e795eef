//! Billing periods: so many seconds, or so many months from an anchor, at the last day where a month is short.

use time::{Duration, Month, OffsetDateTime};

/// How often a price is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Every {
    unit: Unit,
    count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Every {
    /// Stripe bills every three years at the most.
    pub(super) fn read(interval: &str, count: i64) -> Option<Self> {
        let (unit, most) = match interval {
            "day" => (Unit::Day, 1095),
            "week" => (Unit::Week, 156),
            "month" => (Unit::Month, 36),
            "year" => (Unit::Year, 3),
            _ => return None,
        };
        let count = u16::try_from(count).ok().filter(|count| (1..=most).contains(count))?;
        Some(Self { unit, count })
    }

    pub(super) const fn interval(self) -> &'static str {
        match self.unit {
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        }
    }

    pub(super) const fn count(self) -> u16 {
        self.count
    }

    /// The end of the period that begins at `start`, both Unix seconds, in a series that began at `anchor`.
    pub(super) fn end(self, anchor: i64, start: i64) -> i64 {
        let mut ends = (1..).map(|index| self.after(anchor, index));
        ends.find(|end| *end > start).unwrap_or(i64::MAX)
    }

    /// The end of the period of this number.
    fn after(self, anchor: i64, index: i64) -> i64 {
        let units = i64::from(self.count).saturating_mul(index);
        match self.unit {
            Unit::Day => anchor.saturating_add(units.saturating_mul(86_400)),
            Unit::Week => anchor.saturating_add(units.saturating_mul(604_800)),
            Unit::Month => months(anchor, units).unwrap_or(i64::MAX),
            Unit::Year => months(anchor, units.saturating_mul(12)).unwrap_or(i64::MAX),
        }
    }
}

fn months(anchor: i64, months: i64) -> Option<i64> {
    let anchor = OffsetDateTime::from_unix_timestamp(anchor).ok()?;
    let index = i64::from(anchor.year()) * 12 + i64::from(u8::from(anchor.month())) - 1 + months;
    let year = i32::try_from(index.div_euclid(12)).ok()?;
    let month = Month::try_from(u8::try_from(index.rem_euclid(12) + 1).ok()?).ok()?;
    let day = anchor.day().min(month.length(year));
    // By way of the first: the day may not exist in the month that it leaves.
    let moved = anchor.replace_day(1).ok()?.replace_year(year).ok()?.replace_month(month).ok()?;
    Some(moved.checked_add(Duration::days(i64::from(day) - 1))?.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::Every;

    #[test]
    fn months_are_counted_from_the_anchor_and_end_at_their_last_day() {
        let anchor = 1_769_860_990; // 2026-01-31T12:03:10Z
        let monthly = Every::read("month", 1).unwrap();
        let ends = [1_772_280_190, 1_774_958_590, 1_777_550_590]; // 28 February, 31 March, 30 April
        let mut start = anchor;
        for end in ends {
            start = monthly.end(anchor, start);
            assert_eq!(start, end);
        }
    }

    #[test]
    fn days_and_weeks_are_seconds() {
        for (interval, count, seconds) in
            [("day", 1, 86_400), ("day", 3, 259_200), ("week", 2, 1_209_600)]
        {
            assert_eq!(Every::read(interval, count).unwrap().end(100, 100), 100 + seconds);
        }
        assert_eq!(Every::read("month", 37), None);
        assert_eq!(Every::read("decade", 1), None);
    }
}
