//! What the chain's keychain says: which keys an account has, and what they may still spend.

use alloy::{
    primitives::{Address, Bytes, U256, address},
    sol_types::{SolCall, SolValue},
};

use super::KeyKind;
use crate::chain::rpc::{Rpc, RpcError, Trial, json::Malformed};

/// The contract that keeps every account's access keys, on every chain.
pub const ACCOUNT_KEYCHAIN: Address = address!("AAAAAAAA00000000000000000000000000000000");

/// A key that an account has, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyInfo {
    /// What it signs with.
    pub kind: KeyKind,
    /// Unix seconds from which it is good for nothing; the largest number is never.
    pub expiry: u64,
    /// Whether what it spends is limited.
    pub enforces_limits: bool,
    /// Whether the account has taken it back. A key that was taken back never comes again.
    pub revoked: bool,
}

impl KeyInfo {
    /// Whether the key signs for its account at this time, in Unix seconds.
    pub fn is_active(&self, now: u64) -> bool {
        !self.revoked && now < self.expiry
    }
}

/// What a key may still spend of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remaining {
    /// Base units.
    pub amount: U256,
    /// Unix seconds at which the limit starts anew; zero where it never does.
    pub period_end: u64,
}

/// Asks the chain for a key of an account: `None` where the account never had it.
///
/// A key that is there may be revoked or over: [`KeyInfo::is_active`].
///
/// # Errors
/// [`RpcError`]: nobody knows. Whoever asked because of a signature must not believe it.
pub async fn key_of(
    node: &dyn Rpc,
    keychain: Address,
    account: Address,
    key: Address,
) -> Result<Option<KeyInfo>, RpcError> {
    let answer = node.call(Trial::read(keychain, get_key(account, key))).await?;
    Ok(read_key(key, &answer)?)
}

/// Asks the chain what a key may still spend of a token, fees included. It is nothing for a key that the account does not
/// have, and means nothing for one that [enforces no limits](KeyInfo::enforces_limits).
///
/// # Errors
/// [`RpcError`]: nobody knows.
pub async fn remaining_limit(
    node: &dyn Rpc,
    keychain: Address,
    account: Address,
    key: Address,
    token: Address,
) -> Result<Remaining, RpcError> {
    let asked = get_remaining_limit(account, key, token);
    let answer = node.call(Trial::read(keychain, asked)).await?;
    Ok(read_remaining_limit(&answer)?)
}

/// The calldata that asks for a key.
pub fn get_key(account: Address, key: Address) -> Bytes {
    abi::getKeyCall { account, keyId: key }.abi_encode().into()
}

/// Reads the answer to [`get_key`] of a key: `None` is a key the account never had.
///
/// An account's own key is among its keys, and never ends. A key that was taken back has no address any more.
///
/// # Errors
/// [`Malformed`] for anything but that one key.
pub fn read_key(key: Address, answer: &[u8]) -> Result<Option<KeyInfo>, Malformed> {
    let malformed = Malformed::Member("key");
    let read = abi::KeyInfo::abi_decode_validate(answer).map_err(|_| malformed)?;
    if read.abi_encode() != answer {
        return Err(malformed);
    }
    if read.keyId.is_zero() && !read.isRevoked {
        return Ok(None);
    }
    if read.keyId != key && !(read.keyId.is_zero() && read.isRevoked) {
        return Err(malformed);
    }
    Ok(Some(KeyInfo {
        kind: KeyKind::by_number(read.signatureType).ok_or(malformed)?,
        expiry: read.expiry,
        enforces_limits: read.enforceLimits,
        revoked: read.isRevoked,
    }))
}

/// The calldata that asks for what a key may still spend.
pub fn get_remaining_limit(account: Address, key: Address, token: Address) -> Bytes {
    abi::getRemainingLimitWithPeriodCall { account, keyId: key, token }.abi_encode().into()
}

/// Reads the answer to [`get_remaining_limit`].
///
/// # Errors
/// [`Malformed`] for anything but two numbers.
pub fn read_remaining_limit(answer: &[u8]) -> Result<Remaining, Malformed> {
    let malformed = Malformed::Member("remaining limit");
    if answer.len() != 64 {
        return Err(malformed);
    }
    let read = abi::getRemainingLimitWithPeriodCall::abi_decode_returns_validate(answer)
        .map_err(|_| malformed)?;
    Ok(Remaining { amount: read.remaining, period_end: read.periodEnd })
}

mod abi {
    alloy::sol! {
        struct KeyInfo {
            uint8 signatureType;
            address keyId;
            uint64 expiry;
            bool enforceLimits;
            bool isRevoked;
        }

        function getKey(address account, address keyId) external view returns (KeyInfo memory);
        function getRemainingLimitWithPeriod(address account, address keyId, address token)
            external view returns (uint256 remaining, uint64 periodEnd);
    }
}
