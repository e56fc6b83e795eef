//! What is signed to pay from a channel: EIP-712, in the domain of the contract that keeps it.

use alloy::primitives::{Address, B256, Bytes, Keccak256, b256, keccak256};
use mpp_core::Amount;

use super::{ChannelId, Protocol};
use crate::chain::{
    reserve::CHANNEL_RESERVE,
    signer::{Signer, SignerError},
    words,
};

/// The contract that vouchers are good at. What does not depend on a voucher is hashed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    chain_id: u64,
    escrow: Address,
    separator: B256,
    voucher: B256,
}

impl Domain {
    /// The chain's own reserve.
    pub fn v2(chain_id: u64) -> Self {
        Self::new(RESERVE, VOUCHER_96, chain_id, CHANNEL_RESERVE)
    }

    /// A contract of version 1.
    pub fn v1(chain_id: u64, escrow: Address) -> Self {
        Self::new(CONTRACT, VOUCHER_128, chain_id, escrow)
    }

    /// The contract of a challenge, whichever its version is. `None` for a protocol that is not known.
    pub fn of(protocol: &Protocol, chain_id: u64, escrow: Address) -> Option<Self> {
        match protocol {
            Protocol::V1 => Some(Self::v1(chain_id, escrow)),
            Protocol::V2 => Some(Self::new(RESERVE, VOUCHER_96, chain_id, escrow)),
            Protocol::Other(_) => None,
        }
    }

    /// The chain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract.
    pub fn escrow(&self) -> Address {
        self.escrow
    }

    /// The hash of the domain: what the contract calls its separator.
    pub fn separator(&self) -> B256 {
        self.separator
    }

    /// What a voucher's signature is of: a channel, and all that may have been taken from it once the voucher is used.
    ///
    /// An amount above what the contract counts to has a digest too, and no contract that takes it.
    pub fn digest(&self, channel: ChannelId, cumulative: Amount) -> B256 {
        let mut voucher = Keccak256::new();
        voucher.update(self.voucher);
        voucher.update(channel.0);
        voucher.update(words::of(cumulative.get()));
        let mut whole = Keccak256::new();
        whole.update([0x19, 0x01]);
        whole.update(self.separator);
        whole.update(voucher.finalize());
        whole.finalize()
    }

    /// Signs a voucher as the channel's authorised signer: with the signer's own key and in that key's name, never wrapped in an
    /// account's, since a contract believes none but the key itself.
    ///
    /// # Errors
    /// [`SignerError`].
    pub async fn sign(
        &self,
        signer: &dyn Signer,
        channel: ChannelId,
        cumulative: Amount,
    ) -> Result<Bytes, SignerError> {
        let digest = self.digest(channel, cumulative);
        let made = signer.sign_as_key(digest).await?.to_bytes();
        let key = super::VoucherKey::new(signer.key());
        key.check(digest, &made).map_err(|_| SignerError::Foreign)?;
        Ok(made)
    }

    fn new(name: &str, voucher: B256, chain_id: u64, escrow: Address) -> Self {
        let mut hashed = Keccak256::new();
        hashed.update(DOMAIN);
        hashed.update(keccak256(name));
        hashed.update(keccak256("1"));
        hashed.update(words::of(chain_id.into()));
        hashed.update(escrow.into_word());
        Self { chain_id, escrow, separator: hashed.finalize(), voucher }
    }
}

const RESERVE: &str = "TIP20 Channel Reserve";
const CONTRACT: &str = "Tempo Stream Channel";

/// `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`
const DOMAIN: B256 = b256!("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
/// `Voucher(bytes32 channelId,uint96 cumulativeAmount)`
const VOUCHER_96: B256 = b256!("4730b4b2fe8de522475e80e010877c5b58ad10eb07fd0436615ee123f743bbe8");
/// `Voucher(bytes32 channelId,uint128 cumulativeAmount)`
const VOUCHER_128: B256 = b256!("e97c93f01d3ef8eaba1586553df13308f236815bf4ea49c7b696895d8f5ea68a");

#[cfg(test)]
mod tests;
