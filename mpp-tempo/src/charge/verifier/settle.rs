//! Takes a payment to the chain, once, and finds out what became of it.
//!
//! Sending the same bytes again moves no second payment: the chain remembers an expiring nonce until the transaction can
//! no longer be mined.

use std::time::Duration;

use mpp_core::{
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    super::{
        Evidence,
        look::{self, Seen, Unclear},
    },
    reason::{self, refusal},
};
use crate::chain::rpc::{Pinned, Receipt};

/// Sends the payment. Whatever goes wrong, only the chain says what became of it: the payer holds the same bytes.
pub(super) async fn settle(node: &Pinned, deadline: Duration, evidence: &Evidence) -> Fate {
    let rpc = match look::node_of(node, evidence.promise()).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    let cause = match tokio::time::timeout(deadline, rpc.send(evidence.raw())).await {
        Ok(Ok(receipt)) => {
            return match look::about(evidence.promise(), receipt) {
                Ok(receipt) => judge(evidence, &receipt),
                Err(cause) => Fate::unknown(cause),
            };
        }
        Ok(Err(error)) => Unclear::Rpc(error),
        Err(_) => Unclear::Deadline,
    };
    match look::look(rpc, deadline, evidence.promise()).await {
        Seen::Mined(receipt) => judge(evidence, &receipt),
        Seen::Never => never(),
        Seen::Pending | Seen::Unclear(_) => Fate::unknown(cause),
    }
}

/// Asks the chain, and sends nothing.
pub(super) async fn reconcile(node: &Pinned, deadline: Duration, evidence: &Evidence) -> Fate {
    let rpc = match look::node_of(node, evidence.promise()).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    match look::look(rpc, deadline, evidence.promise()).await {
        Seen::Mined(receipt) => judge(evidence, &receipt),
        Seen::Never => never(),
        Seen::Pending => Fate::Absent,
        Seen::Unclear(cause) => Fate::unknown(cause),
    }
}

fn never() -> Fate {
    let detail = "The transaction was never mined, and no longer can be. Nothing was taken.";
    let kind = ProblemType::PAYMENT_EXPIRED;
    Fate::Failed(Rejection::new(kind, Reason::EXPIRED, detail))
}

fn judge(evidence: &Evidence, receipt: &Receipt) -> Fate {
    if !receipt.success {
        let detail = "The transaction was mined and failed; only its fee was taken.";
        return Fate::Failed(refusal(reason::REVERTED, detail));
    }
    match evidence.promise().is_shown_by(&receipt.logs) {
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
