//! What a channel of the reserve is made of; its id is a hash of it.

use alloy::primitives::{Address, B256, Keccak256};
use serde::{Deserialize, Serialize};

use super::{ChannelId, DescriptorText};
use crate::chain::words;

/// A channel of version 2, all of it: the chain keeps no more than a hash, so whoever loses this loses what lies in the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "DescriptorText", try_from = "DescriptorText")]
pub struct Descriptor {
    /// Who deposited.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// Who may settle and close for the payee; zero is nobody else.
    pub operator: Address,
    /// In which token.
    pub token: Address,
    /// What tells two channels of the same parties apart.
    pub salt: B256,
    /// Whose vouchers are good; zero is the payer: [`Descriptor::signer`].
    pub authorized_signer: Address,
    /// The identity of the transaction that opened it: `Transaction::expiring_nonce_hash`.
    pub expiring_nonce_hash: B256,
}

impl Descriptor {
    /// The id that the chain gives it.
    pub fn id(&self, escrow: Address, chain_id: u64) -> ChannelId {
        let mut hashed = Keccak256::new();
        for word in self.words() {
            hashed.update(word);
        }
        hashed.update(escrow.into_word());
        hashed.update(words::of(chain_id.into()));
        ChannelId(hashed.finalize())
    }

    /// Whose vouchers are good.
    pub fn signer(&self) -> Address {
        if self.authorized_signer.is_zero() { self.payer } else { self.authorized_signer }
    }

    /// Its members in the chain's own order.
    pub(crate) fn words(&self) -> [B256; 7] {
        [
            self.payer.into_word(),
            self.payee.into_word(),
            self.operator.into_word(),
            self.token.into_word(),
            self.salt,
            self.authorized_signer.into_word(),
            self.expiring_nonce_hash,
        ]
    }
}

impl TryFrom<&DescriptorText> for Descriptor {
    type Error = NotDescriptor;

    /// Reads hex in any case: which case it is says nothing, since the id is recomputed.
    fn try_from(text: &DescriptorText) -> Result<Self, NotDescriptor> {
        let address =
            |name, text: &str| words::parse_hex(text).map(Address::new).ok_or(NotDescriptor(name));
        let hash =
            |name, text: &str| words::parse_hex(text).map(B256::new).ok_or(NotDescriptor(name));
        Ok(Self {
            payer: address("payer", &text.payer)?,
            payee: address("payee", &text.payee)?,
            operator: address("operator", &text.operator)?,
            token: address("token", &text.token)?,
            salt: hash("salt", &text.salt)?,
            authorized_signer: address("authorizedSigner", &text.authorized_signer)?,
            expiring_nonce_hash: hash("expiringNonceHash", &text.expiring_nonce_hash)?,
        })
    }
}

impl TryFrom<DescriptorText> for Descriptor {
    type Error = NotDescriptor;

    fn try_from(text: DescriptorText) -> Result<Self, NotDescriptor> {
        Self::try_from(&text)
    }
}

impl From<&Descriptor> for DescriptorText {
    /// Writes hex in lower case.
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            payer: format!("{:#x}", descriptor.payer),
            payee: format!("{:#x}", descriptor.payee),
            operator: format!("{:#x}", descriptor.operator),
            token: format!("{:#x}", descriptor.token),
            salt: format!("{:#x}", descriptor.salt),
            authorized_signer: format!("{:#x}", descriptor.authorized_signer),
            expiring_nonce_hash: format!("{:#x}", descriptor.expiring_nonce_hash),
        }
    }
}

impl From<Descriptor> for DescriptorText {
    fn from(descriptor: Descriptor) -> Self {
        Self::from(&descriptor)
    }
}

/// A member of a descriptor that is no hex of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the descriptor's `{0}` is malformed")]
pub struct NotDescriptor(pub &'static str);

#[cfg(test)]
mod tests;
