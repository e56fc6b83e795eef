//! How long a server keeps an entry, counted by itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mpp_core::store::Keep;

/// For how many milliseconds from now a server keeps an entry; `None`: for ever.
///
/// Longer than asked for, by up to an hour and never more than double: a server's clock that jumps by less forgets
/// nothing. A writer's clock can only lengthen it.
pub(super) fn lifetime(keep: &Keep) -> Option<i64> {
    // Longer than this is for ever; servers refuse what leads past their calendars.
    const LONGEST: i128 = 100 * 366 * 24 * 3_600_000;
    const GRACE: Duration = Duration::from_secs(3600);
    let Keep::For { since, ttl } = keep else { return None };
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Written for a time to come.
    let ahead = (i128::from(since.unix_millis()) - millis(clock)).max(0);
    let grace = millis((*ttl).min(GRACE));
    let lifetime = millis(*ttl).saturating_add(ahead + grace + 1);
    i64::try_from(lifetime.min(LONGEST + 1))
        .ok()
        .filter(|lifetime| i128::from(*lifetime) <= LONGEST)
}

fn millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use mpp_core::Timestamp;

    use super::*;

    #[test]
    fn a_lifetime_is_never_shorter_than_asked_for_whatever_the_writers_clock_says() {
        let of = |since, ttl| {
            let since = Timestamp::from_unix_millis(since);
            lifetime(&Keep::For { since, ttl: Duration::from_secs(ttl) })
        };
        assert_eq!(of(0, 60), Some(120_001));
        assert_eq!(of(0, 7200), Some(10_800_001));
        assert_eq!(of(0, 0), Some(1));
        assert_eq!(of(0, u64::MAX), None);
        assert_eq!(of(i64::MAX, 60), None);
        // In the year 2100: some time ahead of any clock that runs this.
        assert!(of(4_102_444_800_000, 60).is_some_and(|millis| millis > 1_000_000_000));
        assert_eq!(lifetime(&Keep::Forever), None);
    }
}
