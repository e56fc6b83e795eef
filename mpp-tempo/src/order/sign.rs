//! Asks the signer, and believes nothing it answers before the account was recovered from it.

use std::time::Duration;

use alloy::primitives::B256;
use mpp_core::payer::PayError;

use crate::chain::{signature::Signature, signer::Signer};

/// A signature of the signer's account, within a deadline. Whatever goes wrong, nothing has left: what a signer far away
/// signs too late has nobody to send it.
pub(crate) async fn sign(
    signer: &dyn Signer,
    hash: B256,
    deadline: Duration,
) -> Result<Signature, PayError> {
    let made = tokio::time::timeout(deadline, signer.sign(hash))
        .await
        .map_err(|_| PayError::untouched("the signer took too long"))?
        .map_err(|cause| PayError::untouched("the signer did not sign").because(cause))?;
    let foreign = "the signer answered with another account's signature";
    match made.recover(hash) {
        Ok(account) if account == signer.account() => Ok(made),
        Ok(_) => Err(PayError::untouched(foreign)),
        Err(cause) => Err(PayError::untouched(foreign).because(cause)),
    }
}
