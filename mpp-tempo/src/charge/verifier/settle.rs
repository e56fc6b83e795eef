//! Takes a payment to the chain, once, and finds out what became of it.
//!
//! Sending the same bytes again moves no second payment: the chain remembers an expiring nonce until the transaction can
//! no longer be mined.

use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use mpp_core::{
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    super::{
        Evidence,
        evidence::{self, Kind, Order, Sent},
        promise::Promise,
    },
    Verifier,
    reason::{self, refusal},
    sponsored,
};
use crate::chain::{
    look::{self, Seen, Unclear},
    rpc::{Receipt, Rpc, RpcError},
    signature::SignatureKind,
    tip20,
    transaction::Signed,
};

/// Takes the payment, whatever it takes. Whatever goes wrong, only the chain says what became of it: the payer holds the
/// same bytes.
pub(super) async fn settle(verifier: &Verifier, evidence: &Evidence) -> Fate {
    match evidence.kind() {
        Kind::Signed(order) if order.awaits_sponsor() => sponsored::settle(verifier, order).await,
        Kind::Signed(order) => own(verifier, order).await,
        Kind::Sent(sent) => look_for(verifier, sent).await,
        Kind::Proven(proven) => Fate::Settled(
            Settlement::new(proven.challenge.clone())
                .by(evidence::source(proven.account.chain_id, proven.account.address)),
        ),
    }
}

/// Asks the chain, and sends nothing.
pub(super) async fn reconcile(verifier: &Verifier, evidence: &Evidence) -> Fate {
    let Kind::Signed(order) = evidence.kind() else { return settle(verifier, evidence).await };
    if order.awaits_sponsor() {
        return sponsored::reconcile(verifier, order).await;
    }
    let promise = match order.promise() {
        Ok(promise) => promise,
        Err(cause) => return Fate::unknown(cause),
    };
    let rpc = match look::node_of(&verifier.node, promise.chain_id).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    seen(rpc, verifier.settle_deadline, &promise, None).await
}

/// Sends a transaction whose sender pays its fee.
async fn own(verifier: &Verifier, order: &Order) -> Fate {
    match order.promise() {
        Ok(promise) => send(verifier, &promise, order.raw(), wait(verifier, order)).await,
        Err(cause) => Fate::unknown(cause),
    }
}

/// Nobody waits only for what was tried whole: one call, signed by the account's own key, whose memo names its challenge.
/// What else there may be can be made to pass every trial and to fail in its block.
fn wait(verifier: &Verifier, order: &Order) -> Wait {
    let Signed { transaction, signature } = &order.signed;
    let tried = transaction.calls.len() == 1
        && transaction.key_authorization.is_none()
        && signature.kind() != SignatureKind::Keychain
        && !order.asked.fixed_memo;
    if verifier.optimistic && tried { Wait::ForNobody } else { Wait::ForBlock }
}

/// What is waited for once a transaction is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The block that holds it.
    ForBlock,
    /// Nothing but that the node took it.
    ForNobody,
}

/// Sends bytes that nobody has yet to sign, and reads what they became.
pub(super) async fn send(verifier: &Verifier, promise: &Promise, raw: Bytes, wait: Wait) -> Fate {
    let deadline = verifier.settle_deadline;
    let rpc = match look::node_of(&verifier.node, promise.chain_id).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    // A crash from here on leaves a transaction that may be mined: the ledger has it, and asks the chain for it.
    let cause = match sent(verifier, rpc, promise, raw, wait).await {
        Ok(Some(receipt)) => return judge(promise, &receipt),
        Ok(None) => return settled(promise),
        Err(cause) => cause,
    };
    seen(rpc, deadline, promise, Some(cause)).await
}

/// The receipt, or nothing where nobody waits for one.
async fn sent(
    verifier: &Verifier,
    rpc: &dyn Rpc,
    promise: &Promise,
    raw: Bytes,
    wait: Wait,
) -> Result<Option<Receipt>, Unclear> {
    let within = verifier.settle_deadline;
    if wait == Wait::ForNobody {
        let taken = timed(within, rpc.broadcast(raw)).await?;
        return if taken == promise.hash { Ok(None) } else { Err(Unclear::other()) };
    }
    let receipt = timed(within, rpc.send(raw)).await?;
    look::about(promise.hash, receipt).map(Some)
}

async fn timed<T>(
    within: Duration,
    answer: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, Unclear> {
    match tokio::time::timeout(within, answer).await {
        Ok(answer) => answer.map_err(Unclear::Rpc),
        Err(_) => Err(Unclear::Deadline),
    }
}

/// What the chain shows; where it shows nothing, why nothing was heard before, if that is known.
pub(super) async fn seen(
    rpc: &dyn Rpc,
    deadline: Duration,
    promise: &Promise,
    cause: Option<Unclear>,
) -> Fate {
    match (look::look(rpc, deadline, promise.known_by()).await, cause) {
        (Seen::Mined(receipt), _) => judge(promise, &receipt),
        (Seen::Never, _) => never(),
        (Seen::Pending | Seen::Unclear(_), Some(cause)) => Fate::unknown(cause),
        (Seen::Pending, None) => Fate::Absent,
        (Seen::Unclear(cause), None) => Fate::unknown(cause),
    }
}

/// Reads once more what a payer sent: a node that has lost it since is not believed either way.
async fn look_for(verifier: &Verifier, sent: &Sent) -> Fate {
    let rpc = match look::node_of(&verifier.node, sent.asked.chain_id).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    let receipt = match timed(verifier.settle_deadline, rpc.receipt(sent.hash)).await {
        Ok(Some(receipt)) => look::about(sent.hash, receipt),
        Ok(None) => Err(Unclear::Gone),
        Err(cause) => Err(cause),
    };
    let receipt = match receipt {
        Ok(receipt) => receipt,
        Err(cause) => return Fate::unknown(cause),
    };
    let shown =
        tip20::match_logs(sent.asked.token, Some(sent.payer), &sent.asked.legs, &receipt.logs);
    judged(&receipt, shown, sent.asked.chain_id, sent.payer)
}

fn judge(promise: &Promise, receipt: &Receipt) -> Fate {
    judged(receipt, promise.is_shown_by(&receipt.logs), promise.chain_id, promise.payer)
}

fn judged(
    receipt: &Receipt,
    shown: Result<(), tip20::Unmatched>,
    chain_id: u64,
    payer: Address,
) -> Fate {
    if !receipt.success {
        let detail = "The transaction was mined and failed; only its fee was taken.";
        return Fate::Failed(refusal(reason::REVERTED, detail));
    }
    match shown {
        Ok(()) => {
            let reference = format!("{:#x}", receipt.hash);
            Fate::Settled(Settlement::new(reference).by(evidence::source(chain_id, payer)))
        }
        Err(cause) => {
            let detail = "The transaction was mined, and its logs show no such transfer.";
            Fate::Failed(refusal(reason::NOT_TRANSFERRED, detail).because(cause))
        }
    }
}

/// As good as settled, for whoever said that this is good enough.
fn settled(promise: &Promise) -> Fate {
    let reference = format!("{:#x}", promise.hash);
    Fate::Settled(Settlement::new(reference).by(evidence::source(promise.chain_id, promise.payer)))
}

pub(crate) fn never() -> Fate {
    let detail = "The transaction was never mined, and no longer can be. Nothing was taken.";
    let kind = ProblemType::PAYMENT_EXPIRED;
    Fate::Failed(Rejection::new(kind, Reason::EXPIRED, detail))
}
