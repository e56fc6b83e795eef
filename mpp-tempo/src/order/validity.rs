//! How long a signed transaction is alive: by the payer's clock and the chain's, whichever is behind.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::keccak256;
use mpp_core::{Timestamp, payer::PayError};

/// Valid on every fork: some nodes take 30 seconds, measured by their own clock.
pub(crate) const LONGEST_VALID: Duration = Duration::from_secs(25);
/// What a server needs to check and send it.
pub(crate) const LEAST_VALID: Duration = Duration::from_secs(5);
/// What a server needs that pays the fee: sponsors sign nothing that ends within 15 seconds, and the way there takes some.
pub(crate) const LEAST_SPONSORED: Duration = Duration::from_secs(18);

/// Seconds by which a clock and the latest block differ without anything being wrong.
const AGREEING: u64 = 5;
/// Seconds by which they differ when one of them cannot be believed at all.
const ABSURD: u64 = 300;

/// Seconds over which the starts of equal payments are spread.
const SPREAD: u64 = 1 << 20;

/// The time of a payment, as two clocks have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The earlier of the two: a clock that is ahead would sign money alive for longer than meant.
    earlier: i64,
    /// What the chain will judge by.
    judged: i64,
}

impl Moment {
    /// Takes the payer's time and that of the chain's latest block.
    pub(crate) fn of(now: &Timestamp, block: u64) -> Result<Self, PayError> {
        let agreeing = Self::agreeing(now);
        let now = now.unix_seconds();
        let block = i64::try_from(block).unwrap_or(i64::MAX);
        let apart = now.abs_diff(block);
        if apart > ABSURD {
            let detail = "the clock and the chain's time are minutes apart: one of them is wrong";
            return Err(PayError::untouched(detail));
        }
        if apart <= AGREEING {
            return Ok(agreeing);
        }
        Ok(Self { earlier: now.min(block), judged: block })
    }

    /// The moment it is if the chain's time turns out to be the payer's.
    pub(crate) fn agreeing(now: &Timestamp) -> Self {
        let now = now.unix_seconds();
        Self { earlier: now, judged: now }
    }

    /// When the transaction ends to be valid: in 25 seconds, which every fork takes, or with what it answers (D-33).
    pub(crate) fn valid_before(
        self,
        answered: Option<&Timestamp>,
        least: Duration,
    ) -> Result<NonZeroU64, PayError> {
        let longest = later(self.earlier, LONGEST_VALID);
        let end = answered.map_or(longest, |end| end.unix_seconds().min(longest));
        if !self.leaves_time(end, least) {
            return Err(PayError::untouched("the challenge ends too soon to be paid"));
        }
        let end = u64::try_from(end).ok().and_then(NonZeroU64::new);
        end.ok_or_else(|| PayError::untouched("the clock is before 1970"))
    }

    /// From when it is valid: some past second of what it is for, so that two orders which are alike in everything else
    /// are two transactions.
    pub(crate) fn valid_after(self, purpose: &[u8]) -> Option<NonZeroU64> {
        let [a, b, c, d, ..] = keccak256(purpose).0;
        let back = 1 + u64::from(u32::from_be_bytes([a, b, c, d])) % SPREAD;
        let now = u64::try_from(self.earlier).ok()?;
        now.checked_sub(back).and_then(NonZeroU64::new)
    }

    /// Whether this long after this moment is no later than an end.
    pub(crate) fn leaves_time(self, end: i64, after: Duration) -> bool {
        end >= later(self.judged, after)
    }
}

fn later(at: i64, by: Duration) -> i64 {
    at.saturating_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX))
}
