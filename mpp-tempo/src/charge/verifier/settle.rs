//! Takes a payment to the chain, once, and finds out what became of it.
//!
//! Blocks of Tempo are final, so a receipt is the end of the matter. Sending the same bytes again moves no second
//! payment: the chain remembers an expiring nonce until the transaction can no longer be mined.

use std::time::Duration;

use mpp_core::{
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    super::Evidence,
    reason::{self, refusal},
};
use crate::chain::rpc::{Pinned, Receipt, Rpc, RpcError, json::Malformed};

/// Seconds of the chain's own time after which a transaction that ended is believed to be in no block: several blocks,
/// for nodes behind one address that are not equally far.
const MARGIN: u64 = 5;

/// Sends the payment. Whatever goes wrong, only the chain says what became of it: the payer holds the same bytes.
pub(super) async fn settle(node: &Pinned, deadline: Duration, evidence: &Evidence) -> Fate {
    let rpc = match node.node().await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    let cause = match tokio::time::timeout(deadline, rpc.send(evidence.raw())).await {
        Ok(Ok(receipt)) => return judge(evidence, &receipt),
        Ok(Err(error)) => Unsettled::Rpc(error),
        Err(_) => Unsettled::Deadline,
    };
    match look(rpc, deadline, evidence).await {
        Seen::Fate(fate) => fate,
        Seen::Pending | Seen::Ending | Seen::Nothing(_) => Fate::unknown(cause),
    }
}

/// Asks the chain, and sends nothing.
pub(super) async fn reconcile(node: &Pinned, deadline: Duration, evidence: &Evidence) -> Fate {
    let rpc = match node.node().await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    match look(rpc, deadline, evidence).await {
        Seen::Fate(fate) => fate,
        Seen::Pending => Fate::Absent,
        Seen::Ending => Fate::unknown(Unsettled::Ending),
        Seen::Nothing(cause) => Fate::unknown(cause),
    }
}

/// Why a fate is unknown, for the log.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    #[error("the node did not mine the transaction, or did not say so")]
    Rpc(#[source] RpcError),
    #[error("the node did not answer within the deadline")]
    Deadline,
    #[error("the transaction has ended, too recently to be sure that no block holds it")]
    Ending,
}

/// What the chain shows of a transaction.
enum Seen {
    /// It was mined, or never will be.
    Fate(Fate),
    /// It is in no block, and may still get into one.
    Pending,
    /// It is in no block that was seen, and its time has just ended.
    Ending,
    /// The node cannot tell.
    Nothing(Unsettled),
}

/// The time is read before the receipt: a receipt missing after its time was over stays missing.
async fn look(rpc: &dyn Rpc, deadline: Duration, evidence: &Evidence) -> Seen {
    let asked = async { (rpc.latest_block().await, rpc.receipt(evidence.hash()).await) };
    let Ok((block, receipt)) = tokio::time::timeout(deadline, asked).await else {
        return Seen::Nothing(Unsettled::Deadline);
    };
    let block = match (receipt, block) {
        (Ok(Some(receipt)), _) => return Seen::Fate(judge(evidence, &receipt)),
        (Err(error), _) | (Ok(None), Err(error)) => return Seen::Nothing(Unsettled::Rpc(error)),
        (Ok(None), Ok(block)) => block,
    };
    let end = evidence.valid_before();
    if block.timestamp < end {
        Seen::Pending
    } else if block.timestamp < end.saturating_add(MARGIN) {
        Seen::Ending
    } else {
        let detail = "The transaction was never mined, and no longer can be. Nothing was taken.";
        let kind = ProblemType::PAYMENT_EXPIRED;
        Seen::Fate(Fate::Failed(Rejection::new(kind, Reason::EXPIRED, detail)))
    }
}

fn judge(evidence: &Evidence, receipt: &Receipt) -> Fate {
    if receipt.hash != evidence.hash() {
        // A node that answers about something else has said nothing about this.
        return Fate::unknown(Malformed::Member("transactionHash"));
    }
    if !receipt.success {
        let detail = "The transaction was mined and failed; only its fee was taken.";
        return Fate::Failed(refusal(reason::REVERTED, detail));
    }
    match evidence.is_shown_by(&receipt.logs) {
        Ok(()) => {
            let reference = format!("{:#x}", evidence.hash());
            Fate::Settled(Settlement::new(reference).by(evidence.payer()))
        }
        Err(cause) => {
            let detail = "The transaction was mined, and its logs show no such transfer.";
            Fate::Failed(refusal(reason::NOT_TRANSFERRED, detail).because(cause))
        }
    }
}
