//! Sends a transaction of the payer's own, and waits until the chain shows what became of it.

use std::{num::NonZeroU64, time::Duration};

use mpp_core::payer::{Funds, PayError};
use tokio::time::{Instant, sleep, timeout};

use super::validity::LONGEST_VALID;
use crate::chain::{
    look::{self, MARGIN, Seen},
    rpc::{Receipt, Rpc},
    transaction::Signed,
};

/// How long the node may take to say that it was mined. Some drop what they do not like without a word.
const SEND: Duration = Duration::from_secs(5);
/// The longest that one look may take.
const LOOK: Duration = Duration::from_secs(10);
/// Between two looks.
const STEP: Duration = Duration::from_secs(1);
/// How far behind its own time a chain may fall before it is no longer waited for.
const BEHIND: u64 = 15;

/// Sends it, and answers the receipt of its success.
///
/// # Errors
/// It was not taken, was mined in vain, or nobody knows: [`PayError::funds`] says which.
pub(crate) async fn send(node: &dyn Rpc, signed: &Signed) -> Result<Receipt, PayError> {
    let hash = signed.hash();
    let end = signed.transaction.valid_before.unwrap_or(NonZeroU64::MIN);
    // A crash from here on leaves a transaction that may be mined until its time is over: the chain shows what it did.
    match timeout(SEND, node.send(signed.encode().into())).await {
        Ok(Ok(receipt)) if receipt.hash == hash => return ended(receipt),
        Ok(Err(refused)) if refused.took_nothing() => {
            return Err(PayError::untouched("the node took no transaction").because(refused));
        }
        _ => {}
    }
    let until = Instant::now() + LONGEST_VALID + Duration::from_secs(MARGIN + BEHIND);
    while Instant::now() < until {
        match look::look(node, LOOK, (hash, end)).await {
            Seen::Mined(receipt) => return ended(receipt),
            Seen::Never => {
                return Err(PayError::untouched("no block took the transaction in time"));
            }
            Seen::Pending | Seen::Unclear(_) => {}
        }
        sleep(STEP).await;
    }
    Err(PayError::unknown("the chain does not say what became of the transaction"))
}

fn ended(receipt: Receipt) -> Result<Receipt, PayError> {
    if receipt.success {
        return Ok(receipt);
    }
    let detail = "the transaction was mined and failed: its fee was taken, and nothing else";
    Err(PayError { funds: Funds::Committed, ..PayError::unknown(detail) })
}
