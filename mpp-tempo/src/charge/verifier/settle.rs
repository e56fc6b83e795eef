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

/// Seconds of the chain's own time after its end for which a missing receipt shows that a transaction was never mined.
/// Later, the node may have pruned the receipt, or been restored from before it: what it lacks proves nothing.
const PROVABLE: u64 = 600;

/// Before a missing receipt is believed: nodes behind one address, or a node and its index, are not equally far.
/// A tenth of the deadline where that is less.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends the payment. Whatever goes wrong, only the chain says what became of it: the payer holds the same bytes.
pub(super) async fn settle(node: &Pinned, deadline: Duration, evidence: &Evidence) -> Fate {
    let rpc = match node_of(node, evidence).await {
        Ok(rpc) => rpc,
        Err(unknown) => return unknown,
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
    let rpc = match node_of(node, evidence).await {
        Ok(rpc) => rpc,
        Err(unknown) => return unknown,
    };
    match look(rpc, deadline, evidence).await {
        Seen::Fate(fate) => fate,
        Seen::Pending => Fate::Absent,
        Seen::Ending => Fate::unknown(Unsettled::Ending),
        Seen::Nothing(cause) => Fate::unknown(cause),
    }
}

/// The node, if it is on the evidence's chain: another chain's silence says nothing about this payment.
async fn node_of<'n>(node: &'n Pinned, evidence: &Evidence) -> Result<&'n dyn Rpc, Fate> {
    if evidence.chain_id() != node.chain_id() {
        return Err(Fate::unknown(Unsettled::OtherChain(evidence.chain_id())));
    }
    node.node().await.map_err(Fate::unknown)
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
    #[error(
        "the transaction ended too long ago for a missing receipt to mean that it was never mined"
    )]
    LongOver,
    #[error("the payment is on chain {0}, which is not the configured one")]
    OtherChain(u64),
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

/// Looks for the transaction, within the deadline.
async fn look(rpc: &dyn Rpc, deadline: Duration, evidence: &Evidence) -> Seen {
    let pause = PAUSE.min(deadline / 10);
    match tokio::time::timeout(deadline, seen(rpc, pause, evidence)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => Seen::Nothing(Unsettled::Rpc(error)),
        Err(_) => Seen::Nothing(Unsettled::Deadline),
    }
}

/// The time is read before the receipt: a receipt missing after its time was over stays missing. It is called missing
/// for good only once it was missing twice, and only while the node must still have it.
async fn seen(rpc: &dyn Rpc, pause: Duration, evidence: &Evidence) -> Result<Seen, RpcError> {
    let block = rpc.latest_block().await;
    if let Some(receipt) = rpc.receipt(evidence.hash()).await? {
        return Ok(Seen::Fate(judge(evidence, &receipt)));
    }
    let (now, end) = (block?.timestamp, evidence.valid_before());
    if now < end {
        return Ok(Seen::Pending);
    }
    if now < end.saturating_add(MARGIN) {
        return Ok(Seen::Ending);
    }
    if now > end.saturating_add(PROVABLE) {
        return Ok(Seen::Nothing(Unsettled::LongOver));
    }
    tokio::time::sleep(pause).await;
    if let Some(receipt) = rpc.receipt(evidence.hash()).await? {
        return Ok(Seen::Fate(judge(evidence, &receipt)));
    }
    let detail = "The transaction was never mined, and no longer can be. Nothing was taken.";
    let kind = ProblemType::PAYMENT_EXPIRED;
    Ok(Seen::Fate(Fate::Failed(Rejection::new(kind, Reason::EXPIRED, detail))))
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
