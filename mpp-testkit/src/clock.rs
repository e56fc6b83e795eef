//! A clock whose hands a test moves: nothing that expires has to be waited for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mpp_core::{Timestamp, time::Clock};

/// A clock that stands still until it is moved, in either direction. Clones are one clock.
///
/// Give it to a gate with `GateBuilder::clock`. What sleeps in a task (renewals, deadlines) goes by the runtime's clock,
/// which tokio's `start_paused` holds still in the same way.
#[derive(Clone, Debug)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    /// Starts at a fixed moment of 2027, so that what a test prints is the same on each run.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Moves it back: a clock that was corrected, or a machine that was restored.
    pub fn back(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }
}

impl Default for Hands {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_clock_that_goes_both_ways() {
        let (a, start) = (Hands::new(), Hands::new().now());
        let b = a.clone();
        a.advance(Duration::from_secs(10));
        b.back(Duration::from_secs(4));
        assert_eq!(a.now().since(&start), Duration::from_secs(6));
    }
}
