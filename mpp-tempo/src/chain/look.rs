//! Looks for a transaction on the chain, and says that it is in no block only where that is certain.
//!
//! Blocks of Tempo are final, so a receipt is the end of the matter. Both halves look: the server before it sends again,
//! the payer before it signs again.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::B256;

use super::rpc::{PinError, Pinned, Receipt, Rpc, RpcError, json::Malformed};

/// Seconds of the chain's own time after which a transaction that ended is believed to be in no block: several blocks,
/// for nodes behind one address that are not equally far.
pub(crate) const MARGIN: u64 = 30;

/// Seconds of the chain's own time after its end for which a missing receipt shows that a transaction was never mined.
/// Later, the node may have pruned the receipt, or been restored from before it: what it lacks proves nothing. Nodes keep
/// some ten thousand blocks of receipts, an hour and more, where they prune at all.
pub(crate) const PROVABLE: u64 = 3600;

/// Before a missing receipt is believed: nodes behind one address, or a node and its index, are not equally far.
/// A tenth of the deadline where that is less.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// What the chain shows of a transaction.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is in a block.
    Mined(Receipt),
    /// It is in no block, and can no longer get into one.
    Never,
    /// It is in no block, and may still get into one.
    Pending,
    /// It cannot be told.
    Unclear(Unclear),
}

/// Why it cannot be told what became of a transaction, for a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unclear {
    #[error("the node did not mine the transaction, or did not say so")]
    Rpc(#[source] RpcError),
    #[error("the node answered about another transaction")]
    Other(#[source] Malformed),
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
    #[error("the node is not spoken to")]
    Pin(#[source] PinError),
    #[error("the node no longer has a transaction that it had")]
    Gone,
}

impl Unclear {
    /// An answer about something else.
    pub(crate) fn other() -> Self {
        Self::Other(Malformed::Member("transactionHash"))
    }
}

/// The node, if it is on the payment's chain: another chain's silence says nothing about this payment.
pub(crate) async fn node_of(node: &Pinned, chain_id: u64) -> Result<&dyn Rpc, Unclear> {
    if chain_id != node.chain_id() {
        return Err(Unclear::OtherChain(chain_id));
    }
    node.node().await.map_err(Unclear::Pin)
}

/// Looks for a transaction by its hash and the second in which it ends to be valid, within the deadline.
pub(crate) async fn look(rpc: &dyn Rpc, deadline: Duration, known_by: (B256, NonZeroU64)) -> Seen {
    let pause = PAUSE.min(deadline / 10);
    match tokio::time::timeout(deadline, seen(rpc, pause, known_by)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => Seen::Unclear(Unclear::Rpc(error)),
        Err(_) => Seen::Unclear(Unclear::Deadline),
    }
}

/// A receipt, if it is about this transaction: a node that answers about something else has said nothing.
pub(crate) fn about(hash: B256, receipt: Receipt) -> Result<Receipt, Unclear> {
    if receipt.hash == hash { Ok(receipt) } else { Err(Unclear::other()) }
}

/// The time is read before the receipt: a receipt missing after its time was over stays missing. It is called missing
/// for good only once it was missing twice, and only while the node must still have it.
async fn seen(
    rpc: &dyn Rpc,
    pause: Duration,
    (hash, end): (B256, NonZeroU64),
) -> Result<Seen, RpcError> {
    let block = rpc.latest_block().await;
    if let Some(receipt) = rpc.receipt(hash).await? {
        return Ok(about(hash, receipt).map_or_else(Seen::Unclear, Seen::Mined));
    }
    let (now, end) = (block?.timestamp, end.get());
    if now < end {
        return Ok(Seen::Pending);
    }
    if now < end.saturating_add(MARGIN) {
        return Ok(Seen::Unclear(Unclear::Ending));
    }
    if now > end.saturating_add(PROVABLE) {
        return Ok(Seen::Unclear(Unclear::LongOver));
    }
    tokio::time::sleep(pause).await;
    Ok(match rpc.receipt(hash).await? {
        Some(receipt) => about(hash, receipt).map_or_else(Seen::Unclear, Seen::Mined),
        None => Seen::Never,
    })
}
