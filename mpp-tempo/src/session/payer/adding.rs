//! A channel's deposit as it grows: the one top-up that is out, and what was wished without being asked.

use mpp_core::Amount;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, plus};

/// A top-up that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Adding {
    pub(super) amount: Amount,
    /// What lies in the channel with it.
    pub(super) to: Amount,
    /// Unix seconds of the chain's until which it can be mined.
    pub(super) until: u64,
    /// The server said that it took it.
    pub(super) told: bool,
}

/// A top-up that was wished because of what lay in the channel then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wished {
    challenge: String,
    amount: Amount,
    deposit: Amount,
}

/// Wishes that are remembered at once; the oldest go first.
const WISHES: usize = 64;

impl Channel {
    /// A top-up was signed. No two of a channel end in the same second, so that a later one is told from an earlier.
    pub(super) fn adds(&mut self, amount: Amount, until: u64) {
        let to = plus(self.deposit, amount);
        let earlier = self.adding.map_or(self.cleared, |adding| adding.until.max(self.cleared));
        let until = until.max(earlier.saturating_add(1));
        self.adding = Some(Adding { amount, to, until, told: false });
    }

    /// The server says that it took the top-up. Should it not be true, the count is too high, and nothing is added twice for it.
    pub(super) fn added(&mut self) {
        if let Some(adding) = &mut self.adding {
            adding.told = true;
            self.deposit = self.deposit.max(adding.to);
        }
    }

    /// What became of the top-up is known: it is no more out.
    pub(super) fn clear_adding(&mut self) {
        if let Some(adding) = self.adding.take() {
            self.cleared = self.cleared.max(adding.until);
        }
    }

    /// The top-up never left, unless the server took it.
    pub(super) fn adds_nothing(&mut self) {
        if self.is_adding() {
            self.clear_adding();
        }
    }

    /// So much more is wished, unasked, for what lies in it now.
    pub(super) fn wishes(&mut self, challenge: &str, amount: Amount) {
        let wished = Wished { challenge: challenge.to_owned(), amount, deposit: self.deposit };
        self.now.wished.retain(|other| other.challenge != wished.challenge);
        if self.now.wished.len() >= WISHES {
            self.now.wished.remove(0);
        }
        self.now.wished.push(wished);
    }

    /// Whether a wish was made for less than lies in it by now: it was met meanwhile. Told once.
    pub(super) fn was_met(&mut self, challenge: &str, amount: Amount) -> bool {
        let (now, deposit) = (&mut self.now, self.deposit);
        let same = |wished: &Wished| wished.challenge == challenge && wished.amount == amount;
        let at = now.wished.iter().position(same);
        at.is_some_and(|at| now.wished.remove(at).deposit < deposit)
    }

    /// Whether a top-up is out, or in doubt.
    pub(super) fn is_adding(&self) -> bool {
        self.adding.is_some_and(|adding| !adding.told)
    }
}
