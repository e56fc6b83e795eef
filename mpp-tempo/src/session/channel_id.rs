//! The name of a channel: a hash of what it is made of.

use std::{fmt, str::FromStr};

use alloy::primitives::{Address, B256, Keccak256};
use serde::{Deserialize, Serialize};

use crate::chain::words;

/// A channel's id. Read in any case, written in lower case: two spellings are one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ChannelId(pub B256);

impl ChannelId {
    /// The id that a contract of version 1 gives a channel of these parties.
    pub fn v1(
        payer: Address,
        payee: Address,
        token: Address,
        salt: B256,
        authorized_signer: Address,
        escrow: Address,
        chain_id: u64,
    ) -> Self {
        let mut hashed = Keccak256::new();
        for party in [payer, payee, token] {
            hashed.update(party.into_word());
        }
        hashed.update(salt);
        hashed.update(authorized_signer.into_word());
        hashed.update(escrow.into_word());
        hashed.update(words::of(chain_id.into()));
        Self(hashed.finalize())
    }
}

impl FromStr for ChannelId {
    type Err = NotChannelId;

    fn from_str(text: &str) -> Result<Self, NotChannelId> {
        words::parse_hex(text).map(|bytes| Self(B256::new(bytes))).ok_or(NotChannelId)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl From<ChannelId> for String {
    fn from(id: ChannelId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ChannelId {
    type Error = NotChannelId;

    fn try_from(text: String) -> Result<Self, NotChannelId> {
        text.parse()
    }
}

/// A text that names no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a channel id is `0x` and 64 hex digits")]
pub struct NotChannelId;

#[cfg(test)]
mod tests;
