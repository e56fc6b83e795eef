//! Checks a transaction that the payer sent: by the receipt that the chain has of it, and by nothing the payer says.

use std::time::Duration;

use alloy::primitives::B256;
use mpp_core::{
    binding::Claim,
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    Verifier, examine, invalid,
    reason::{self, refusal},
    unavailable,
};
use crate::{
    chain::{
        parse_hex,
        rpc::{Receipt, Rpc},
        tip20,
    },
    charge::{TempoCharge, asked::Asked, evidence::Sent},
};

/// Seconds by which the chain's time and ours may differ.
const SKEW: i64 = 5;

impl Verifier {
    /// A hash uses up nothing until it is found mined: one that a node does not know yet, or cannot be asked about, can be
    /// shown again.
    pub(super) async fn check_push(
        &self,
        claim: &Claim<TempoCharge>,
        asked: Asked,
        hash: &str,
    ) -> Result<Sent, Rejection> {
        let hash = read(hash)?;
        let node = self.node.node().await.map_err(unavailable)?;
        let receipt = node.receipt(hash).await.map_err(unavailable)?.ok_or_else(not_mined)?;
        if receipt.hash != hash {
            return Err(unavailable("the node answered about another transaction"));
        }
        if !receipt.success {
            let detail = "The transaction was mined and failed; only its fee was taken.";
            return Err(refusal(reason::REVERTED, detail));
        }
        let payer = receipt.from;
        examine::source_is(claim.source.as_ref(), asked.chain_id, payer)?;
        if asked.pays(payer) {
            return Err(refusal(reason::SELF_PAYMENT, "The payer is a recipient."));
        }
        // The memo among them names this challenge, and so this realm.
        tip20::match_logs(asked.token, Some(payer), &asked.legs, &receipt.logs).map_err(|cause| {
            let detail = "The transaction's logs do not show the transfers that are asked, with the memo that names this challenge.";
            refusal(reason::NOT_TRANSFERRED, detail).because(cause)
        })?;
        let ends = claim.challenge.expires.as_ref().map_or(i64::MAX, |end| end.unix_seconds());
        if claim.late {
            was_in_time(node, &receipt, ends).await?;
        }
        Ok(Sent { hash, asked, payer, ends: ends.min(i64::MAX / 2_000) })
    }
}

/// A payment that is shown after the challenge's end was made before it.
async fn was_in_time(node: &dyn Rpc, receipt: &Receipt, ends: i64) -> Result<(), Rejection> {
    let block = node.block(receipt.block_number).await.map_err(unavailable)?;
    let mined = block.ok_or_else(|| unavailable("the node lacks a block it told of"))?.timestamp;
    if i64::try_from(mined).unwrap_or(i64::MAX) <= ends.saturating_add(SKEW) {
        return Ok(());
    }
    let detail = "The transaction was mined after the challenge had ended.";
    Err(Rejection::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail))
}

/// Reads a hash in any case into the one spelling that it is marked by.
fn read(text: &str) -> Result<B256, Rejection> {
    let bytes = parse_hex(text).and_then(|bytes| B256::try_from(bytes.as_ref()).ok());
    bytes.ok_or_else(|| invalid(Reason::UNREADABLE, "The hash is not `0x` and 64 hex digits."))
}

/// Nobody is invited to pay again for a transaction that a node merely does not know yet.
fn not_mined() -> Rejection {
    let detail = "The transaction is not in a block yet, as far as this server's node knows. Repeat this request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, reason::NOT_MINED, detail)
        .retry_after(Duration::from_secs(2))
}
