//! Finds a payment by the memo that ties it to its challenge, where its hash is not known: after a crash, or because a
//! sponsor's signature is part of it.

use std::{collections::HashSet, time::Duration};

use alloy::primitives::{Address, B256};

use super::asked::Asked;
use crate::chain::{
    look::{MARGIN, PAUSE, PROVABLE, Unclear},
    rpc::{Block, Rpc},
    tip20::{self, MemoRule, Moved},
};

/// The longest that a challenge may have to live still when something is paid for it whose hash may be lost: what may have
/// happened earlier is not looked for.
pub(super) const LIFE: u64 = 1800;

/// Blocks that are searched at once: nodes refuse more than some ten thousand.
const PAGE: u64 = 4096;

/// Blocks by which the beginning and the end of a search may be off, on the safe side.
const COARSE: u64 = 256;

/// What is looked for: the transfers that a challenge asks for, by one account, mined in the half hour before an end.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    pub(super) asked: &'a Asked,
    pub(super) account: Address,
    /// Unix seconds of the chain from which nothing of it can be mined.
    pub(super) end: u64,
}

/// What the chain shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traced {
    /// It was paid, by this transaction.
    Paid(B256),
    /// It was not, and no longer can be.
    Never,
    /// It was not, and still may be.
    Pending,
}

impl Trace<'_> {
    /// Looks, within a deadline. What cannot be told for certain is [`Unclear`].
    pub(super) async fn look(&self, node: &dyn Rpc, deadline: Duration) -> Result<Traced, Unclear> {
        match tokio::time::timeout(deadline, self.seen(node, PAUSE.min(deadline / 10))).await {
            Ok(seen) => seen,
            Err(_) => Err(Unclear::Deadline),
        }
    }

    /// The time is read before the logs, and what is missing is called missing only once it was so twice.
    async fn seen(&self, node: &dyn Rpc, pause: Duration) -> Result<Traced, Unclear> {
        let latest = node.latest_block().await.map_err(Unclear::Rpc)?;
        let start = self.end.saturating_sub(LIFE);
        let first = bracket(node, latest, start).await?.0;
        let last = bracket(node, latest, self.end).await?.1;
        if let Some(hash) = self.between(node, first, last).await? {
            return Ok(Traced::Paid(hash));
        }
        if latest.timestamp < self.end {
            return Ok(Traced::Pending);
        }
        if latest.timestamp < self.end.saturating_add(MARGIN) {
            return Err(Unclear::Ending);
        }
        // Older blocks may be pruned: then a search finds nothing, and says nothing of it.
        if latest.timestamp > start.saturating_add(PROVABLE) {
            return Err(Unclear::LongOver);
        }
        tokio::time::sleep(pause).await;
        Ok(match self.between(node, first, last).await? {
            Some(hash) => Traced::Paid(hash),
            None => Traced::Never,
        })
    }

    async fn between(
        &self,
        node: &dyn Rpc,
        first: u64,
        last: u64,
    ) -> Result<Option<B256>, Unclear> {
        let Some(primary) = self.asked.legs.first() else { return Ok(None) };
        let memo = match primary.memo {
            MemoRule::Exactly(memo) => Some(memo),
            // In the middle of it stands whoever the payer calls itself, today.
            _ => None,
        };
        let fits = |moved: &Moved| match (primary.memo, moved.transfer.memo) {
            (MemoRule::Attributed(challenge), Some(memo)) => challenge.matches(&memo),
            (MemoRule::Exactly(wanted), found) => found == Some(wanted),
            _ => false,
        };
        let mut seen = HashSet::new();
        let mut from = first;
        while from <= last {
            let to = last.min(from.saturating_add(PAGE - 1));
            let search =
                tip20::memo_search(self.asked.token, (self.account, primary.to, memo), (from, to));
            for told in node.logs(search).await.map_err(Unclear::Rpc)? {
                if !Moved::read(&told.log).is_some_and(|moved| fits(&moved))
                    || !seen.insert(told.transaction)
                {
                    continue;
                }
                if self.is_paid_by(node, told.transaction).await? {
                    return Ok(Some(told.transaction));
                }
            }
            from = to.saturating_add(1);
        }
        Ok(None)
    }

    /// One log is a hint; the whole receipt is the proof, of every share.
    async fn is_paid_by(&self, node: &dyn Rpc, hash: B256) -> Result<bool, Unclear> {
        let receipt = node.receipt(hash).await.map_err(Unclear::Rpc)?;
        let receipt = receipt.filter(|receipt| receipt.hash == hash && receipt.success);
        let receipt = receipt.ok_or(Unclear::Gone)?;
        let Asked { token, legs, .. } = self.asked;
        Ok(tip20::match_logs(*token, Some(self.account), legs, &receipt.logs).is_ok())
    }
}

/// Two heights, not far apart, around the moment in which a time of the chain came: no block below the first one is as
/// late, and none above the second is earlier.
async fn bracket(node: &dyn Rpc, latest: Block, time: u64) -> Result<(u64, u64), Unclear> {
    if latest.timestamp < time {
        return Ok((latest.number, latest.number));
    }
    let (mut low, mut high, mut step) = (latest.number, latest.number, COARSE);
    loop {
        low = low.saturating_sub(step);
        if low == 0 || time_of(node, low).await? < time {
            break;
        }
        (high, step) = (low, step.saturating_mul(2));
    }
    while high - low > COARSE {
        let middle = low + (high - low) / 2;
        if time_of(node, middle).await? < time {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((low, high))
}

async fn time_of(node: &dyn Rpc, number: u64) -> Result<u64, Unclear> {
    let block = node.block(number).await.map_err(Unclear::Rpc)?;
    let block = block.filter(|block| block.number == number).ok_or_else(Unclear::other)?;
    Ok(block.timestamp)
}
