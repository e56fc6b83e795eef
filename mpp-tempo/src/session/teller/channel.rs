//! What is kept of a channel beside its account: what it is made of, and what the chain last said of it.

use std::cmp::Ordering;

use mpp_core::{Amount, Timestamp, teller::Standing};
use serde::{Deserialize, Serialize};

use super::super::{ChannelId, Descriptor};
use crate::chain::reserve::{CHANNEL_RESERVE, CLOSE_GRACE_SECONDS, ChannelState};

/// A channel of the reserve, as the chain was seen to have it. Amounts are base units of its token.
///
/// The chain has no more than a hash of the descriptor: who loses this loses the means to collect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Channel {
    /// What it is made of.
    pub descriptor: Descriptor,
    /// The chain it is on.
    pub chain_id: u64,
    /// What was deposited in all.
    pub deposit: Amount,
    /// What the payee has taken.
    #[serde(default)]
    pub settled: Amount,
    /// Unix seconds at which its payer asked to close it; zero where it did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub close_requested_at: u64,
    /// Whether it is gone from the chain.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ended: bool,
    /// The height up to which the chain was heard; zero before it was ever seen there.
    #[serde(default)]
    pub block: u64,
}

impl Channel {
    /// One that its chain has yet to be seen to have, with a deposit.
    pub(super) fn unseen(descriptor: Descriptor, chain_id: u64, deposit: u128) -> Self {
        Self {
            descriptor,
            chain_id,
            deposit: Amount::new(deposit),
            settled: Amount::ZERO,
            close_requested_at: 0,
            ended: false,
            block: 0,
        }
    }

    /// The same, as the chain had it at a height at least.
    pub(super) fn seen(&self, state: &ChannelState, block: u64) -> Self {
        Self {
            deposit: Amount::new(state.deposit),
            settled: Amount::new(state.settled),
            close_requested_at: state.close_requested_at.into(),
            block,
            ..self.clone()
        }
    }

    /// The same, gone at a height, after so much was taken in all.
    pub(super) fn gone(&self, settled: Amount, block: u64) -> Self {
        Self { settled: self.settled.max(settled), ended: true, block, ..self.clone() }
    }

    /// Its name on the chain.
    pub fn id(&self) -> ChannelId {
        self.descriptor.id(CHANNEL_RESERVE, self.chain_id)
    }

    /// How the chain has it: gone, about to be, or open.
    pub(super) fn standing(&self) -> Standing {
        let asked = i64::try_from(self.close_requested_at).unwrap_or(i64::MAX);
        let grace = i64::try_from(CLOSE_GRACE_SECONDS).unwrap_or(i64::MAX);
        match asked {
            _ if self.ended => Standing::Ended,
            0 => Standing::Open,
            asked => Standing::Ending { by: Timestamp::from_unix(asked.saturating_add(grace), 0) },
        }
    }

    /// Adds what was seen, which may be older than what is known. Only the newest word on a request to close counts: deposits
    /// take requests back. Of two words from one height the request does, since serving on would be the dearer mistake.
    pub(super) fn merge(&mut self, seen: Self) {
        if (seen.descriptor, seen.chain_id) != (self.descriptor, self.chain_id) {
            return;
        }
        self.deposit = self.deposit.max(seen.deposit);
        self.settled = self.settled.max(seen.settled);
        self.ended |= seen.ended;
        match seen.block.cmp(&self.block) {
            Ordering::Less => {}
            Ordering::Equal => {
                self.close_requested_at = self.close_requested_at.max(seen.close_requested_at);
            }
            Ordering::Greater => {
                self.close_requested_at = seen.close_requested_at;
                self.block = seen.block;
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde passes it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde passes it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
