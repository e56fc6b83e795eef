//! Sends a payment and finds out what became of it: only the hash of one that was mined is shown to anybody.

use std::time::Duration;

use alloy::primitives::Bytes;
use mpp_core::payer::{Funds, PayError};
use tokio::time::{Instant, sleep, timeout};

use super::{
    super::{Payload, promise::Promise},
    LOOK,
};
use crate::chain::{
    look::{self, MARGIN, Seen},
    rpc::{Receipt, Rpc},
};

/// How long the node may take to say that it was mined. Some drop what they do not like without a word.
const SEND: Duration = Duration::from_secs(5);

/// Between two looks.
const STEP: Duration = Duration::from_secs(1);

/// How far behind its own time a chain may fall before it is no longer waited for.
const BEHIND: u64 = 15;

/// Sends the transaction, valid for so many seconds from now, and waits until the chain shows what became of it.
///
/// A crash in here leaves a payment that nobody was told of: it is found by its memo.
pub(super) async fn push(
    node: &dyn Rpc,
    raw: Bytes,
    promise: &Promise,
    valid: Duration,
) -> Result<Payload, PayError> {
    match timeout(SEND, node.send(raw)).await {
        Ok(Ok(receipt)) if receipt.hash == promise.hash => return ended(promise, &receipt),
        // These bytes were never sent before.
        Ok(Err(refused)) if refused.took_nothing() => {
            return Err(PayError::untouched("the node took no payment").because(refused));
        }
        // Taken or not: the chain says it.
        _ => {}
    }
    let until = Instant::now() + valid + Duration::from_secs(MARGIN + BEHIND);
    let mut unclear = None;
    while Instant::now() < until {
        match look::look(node, LOOK, promise.known_by()).await {
            Seen::Mined(receipt) => return ended(promise, &receipt),
            Seen::Never => return Err(PayError::untouched("no block took the payment in time")),
            Seen::Pending => {}
            Seen::Unclear(cause) => unclear = Some(cause),
        }
        sleep(STEP).await;
    }
    let unknown = PayError::unknown("the chain does not say what became of the payment");
    Err(match unclear {
        Some(cause) => unknown.because(cause),
        None => unknown,
    })
}

/// What a mined transaction came to.
fn ended(promise: &Promise, receipt: &Receipt) -> Result<Payload, PayError> {
    if !receipt.success {
        let detail = "the payment was mined and failed: its fee was taken, and nothing else";
        return Err(PayError { funds: Funds::Committed, ..PayError::unknown(detail) });
    }
    promise.is_shown_by(&receipt.logs).map_err(|cause| {
        PayError::unknown("the payment was mined, and does not show what it did").because(cause)
    })?;
    Ok(Payload::Hash { hash: format!("{:#x}", promise.hash) })
}
