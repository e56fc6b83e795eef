//! What of a server's snapshot can be checked without asking the chain.

use alloy::primitives::Address;
use mpp_core::Amount;

use super::{ChannelId, Descriptor, Domain, NotDescriptor, Snapshot, VoucherKey};
use crate::chain::{parse_hex, words};

/// A channel that a snapshot is certainly of. That it exists, and what lies in it, only the chain can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Recognised {
    /// Its id, recomputed.
    pub id: ChannelId,
    /// What it is made of.
    pub descriptor: Descriptor,
}

impl Snapshot {
    /// Says which channel it is of: its id is computed anew from its descriptor, for the contract and the chain that the *caller*
    /// trusts.
    ///
    /// # Errors
    /// [`Untrue`].
    pub fn verified(&self, escrow: Address, chain_id: u64) -> Result<Recognised, Untrue> {
        if words::parse_hex(&self.escrow).map(Address::new) != Some(escrow) {
            return Err(Untrue::Escrow);
        }
        if self.chain_id != chain_id {
            return Err(Untrue::Chain);
        }
        let descriptor = Descriptor::try_from(&self.descriptor)?;
        let id = descriptor.id(escrow, chain_id);
        if self.channel_id.parse() != Ok(id) {
            return Err(Untrue::Channel);
        }
        Ok(Recognised { id, descriptor })
    }

    /// What the voucher in it is good for, once it is certain that the channel's own signer made it; `None` where it has none.
    ///
    /// A server cannot make one up, but may keep back a better one.
    ///
    /// # Errors
    /// [`Untrue::Voucher`]: it is of another channel, or the signer did not make it.
    pub fn proven(&self, channel: &Recognised, domain: &Domain) -> Result<Option<Amount>, Untrue> {
        let Some(voucher) = &self.highest_voucher else { return Ok(None) };
        if voucher.channel_id.parse() != Ok(channel.id) {
            return Err(Untrue::Voucher);
        }
        let signature = parse_hex(&voucher.signature).ok_or(Untrue::Voucher)?;
        let digest = domain.digest(channel.id, voucher.cumulative_amount);
        VoucherKey::new(channel.descriptor.signer())
            .check(digest, &signature)
            .map_err(|_| Untrue::Voucher)?;
        Ok(Some(voucher.cumulative_amount))
    }
}

/// Why a snapshot is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrue {
    /// It names another contract.
    #[error("the snapshot is of another contract")]
    Escrow,
    /// It names another chain.
    #[error("the snapshot is of another chain")]
    Chain,
    /// Its descriptor cannot be read.
    #[error(transparent)]
    Descriptor(#[from] NotDescriptor),
    /// Its descriptor is of another channel than it says.
    #[error("the snapshot's descriptor is of another channel")]
    Channel,
    /// Its voucher is not the signer's, or not of this channel.
    #[error("the snapshot's voucher is not of this channel's signer")]
    Voucher,
}

#[cfg(test)]
mod tests;
