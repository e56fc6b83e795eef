//! Where a key stands with an account: whether it may speak for it, and what a first payment has to carry.

use alloy::primitives::{Address, Bytes};

use super::{KeyInfo, key_of};
use crate::chain::{
    rpc::{Rpc, RpcError},
    signature::Recovered,
    signer::Signer,
};

/// Whether what was recovered from a signature speaks for an account, at this time in Unix seconds.
///
/// The account's own key does. An access key does while the chain says so, in an envelope or without one: what was
/// signed must therefore name the account itself, as a proof does. The chain is asked about access keys alone.
///
/// # Errors
/// [`RpcError`]: nobody knows, so nobody has signed.
pub async fn speaks_for(
    node: &dyn Rpc,
    keychain: Address,
    account: Address,
    recovered: Recovered,
    now: u64,
) -> Result<bool, RpcError> {
    let Recovered { account: named, access_key, kind } = recovered;
    let key = match access_key {
        None if named == account => return Ok(true),
        None => named,
        Some(key) if named == account => key,
        Some(_) => return Ok(false),
    };
    let found = key_of(node, keychain, account, key).await?;
    // The chain lists an account's own key among its keys, as secp256k1 whatever it is.
    Ok(found.is_some_and(|info| info.is_active(now) && (key == account || info.kind.signs(kind))))
}

/// What a signer's next payment has to carry along: its authorisation, while the chain does not know its key.
///
/// Nodes drop without a word a payment that brings an authorisation of a key they know, and one of a key that they do not
/// know or that was taken back: so this asks first, at this time in Unix seconds.
///
/// # Errors
/// [`NotProvisioned`]: a payment signed now would not be mined.
pub async fn provision(
    node: &dyn Rpc,
    keychain: Address,
    signer: &dyn Signer,
    now: u64,
) -> Result<Option<Bytes>, NotProvisioned> {
    let (account, key) = (signer.account(), signer.key());
    if key == account {
        return Ok(None);
    }
    match key_of(node, keychain, account, key).await? {
        Some(info) if info.is_active(now) => Ok(None),
        Some(info) => Err(NotProvisioned::Over(info)),
        None => signer.authorization().map(Some).ok_or(NotProvisioned::Unauthorized),
    }
}

/// Why an access key cannot pay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotProvisioned {
    /// The account has not authorised it, and the signer has nothing that does.
    #[error("the account has not authorised this key")]
    Unauthorized,
    /// It has expired, or the account has taken it back. No authorisation revives it.
    #[error("this key has expired or was taken back")]
    Over(KeyInfo),
    /// The chain did not say.
    #[error("the chain does not say whether this key is authorised")]
    Unknown(#[from] RpcError),
}
