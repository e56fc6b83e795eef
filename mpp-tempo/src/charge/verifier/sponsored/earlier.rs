//! A sender's earlier payments, which its next one waits for: those that nobody asks after any more are asked after here.

use std::{convert::Infallible, time::Duration};

use crate::{
    chain::rpc::Pinned,
    charge::sponsor::{Approved, Sponsor},
};

/// Between two questions, at first and at most.
const STEPS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// Tells the books of what the chain has mined meanwhile, for as long as a payment waits. A run that did not wait for its
/// block, or that died, leaves its payment in them until the transaction is over.
///
/// What cannot be told stays as it is. May be dropped at any time: the books are changed in one write, or not.
pub(super) async fn make_way(node: &Pinned, sponsor: &Sponsor, waiting: Approved) -> Infallible {
    let (mut step, longest) = STEPS;
    loop {
        // Whoever need not wait is gone by then.
        tokio::time::sleep(step).await;
        step = longest.min(step.saturating_mul(2));
        let Ok(node) = node.node().await else { continue };
        for left in sponsor.left_open(&waiting).await.unwrap_or_default() {
            let receipt = node.receipt(left.hash).await.ok().flatten();
            if receipt.is_some_and(|found| found.hash == left.hash) {
                // If this is lost, it is asked again.
                let _ = sponsor.was_mined(&left).await;
            }
        }
    }
}
