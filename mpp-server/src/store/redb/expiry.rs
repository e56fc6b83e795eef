//! When an entry may be forgotten: when its writers' clock and the file's own agree.

use std::time::Instant;

use mpp_core::store::Keep;

use super::row::Until;

/// What is known of the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// The last time a writer named, in milliseconds since 1970. Not the latest: a clock that was set back has made
    /// things valid again that are marked as used here.
    pub(super) named: i64,
    /// For how many milliseconds the file has been open, in all its life.
    pub(super) open: u64,
}

impl Now {
    /// Whether what is kept until then may be forgotten.
    pub(super) fn is_past(&self, until: Until) -> bool {
        self.named > until.named && self.open >= until.open
    }

    /// Until when to keep what is written now.
    pub(super) fn until(&self, keep: &Keep) -> Option<Until> {
        let Keep::For { since, ttl } = keep else { return None };
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let named = since.unix_millis().saturating_add(ttl);
        Some(Until { named, open: self.open.saturating_add(ttl.unsigned_abs()) })
    }

    /// When to look again at what the file's clock says is past, and the writers' does not: when it can be, at the
    /// earliest, and after an hour for a clock that is right again.
    pub(super) fn again(&self, until: Until) -> Until {
        const MOST: i64 = 3_600_000;
        let wait = until.named.saturating_sub(self.named).clamp(1, MOST).unsigned_abs();
        Until { named: until.named, open: self.open.saturating_add(wait) }
    }
}

/// Keeps the file's own clock, which only runs while it is open and never jumps.
#[derive(Debug)]
pub(super) struct Clocks {
    before: u64,
    opened: Instant,
    named: i64,
}

impl Clocks {
    /// `before`: for how long the file was open in earlier lives.
    pub(super) fn new(before: u64) -> Self {
        // Until a writer names a time, nothing is past.
        Self { before, opened: Instant::now(), named: i64::MIN }
    }

    /// Takes a writer's word for the time.
    pub(super) fn hear(&mut self, keep: &Keep) {
        if let Keep::For { since, .. } = keep {
            self.named = since.unix_millis();
        }
    }

    pub(super) fn now(&self) -> Now {
        let open = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { named: self.named, open: self.before.saturating_add(open) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mpp_core::Timestamp;

    use super::*;

    #[test]
    fn an_entry_is_past_when_both_clocks_say_so() {
        let keep = Keep::For {
            since: Timestamp::from_unix_millis(1_000),
            ttl: Duration::from_millis(500),
        };
        let until = Now { named: 1_000, open: 70 }.until(&keep).unwrap();
        let past = |named, open| Now { named, open }.is_past(until);
        assert!(past(1_501, 570));
        // The writers' clock jumped ahead; the file has not been open for long enough.
        assert!(!past(9_000_000, 569));
        // It was set back: by it, what the entry guards against is possible again.
        assert!(!past(400, 9_000_000));
        assert!(!past(1_500, 9_000_000));
        assert!(Now { named: 0, open: 0 }.until(&Keep::Forever).is_none());
    }
}
