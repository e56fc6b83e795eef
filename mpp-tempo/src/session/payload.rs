//! What a payer sends for a session: it opens a channel, adds to it, draws on it by a voucher, or closes it.

use std::fmt;

use mpp_core::Amount;
use serde::{Deserialize, Serialize};

use super::{DescriptorText, text};

/// The longest text of a signature, in characters: a passkey's has 4,100.
pub const LONGEST_SIGNATURE: usize = 8 * 1024;

/// The longest text of a transaction, in characters: 64 KiB in hex.
pub const LONGEST_TRANSACTION: usize = 2 + 2 * 64 * 1024;

/// The payload of a credential. Channel ids are lower case; amounts are base units of the channel's token.
///
/// Signed transactions and vouchers are money: `Debug` shows the action and the channel, and nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
#[non_exhaustive]
pub enum Payload {
    /// Opens a channel, and pays by its first voucher.
    Open {
        /// The channel: `0x` and 64 hex digits.
        channel_id: String,
        /// The signed transaction that opens it, for the server to send.
        transaction: String,
        /// Of the first voucher.
        signature: String,
        /// What the first voucher is good for.
        cumulative_amount: Amount,
        /// What the channel is made of; version 1 has none.
        descriptor: Option<DescriptorText>,
        /// Who signs the vouchers, as the payer claims it: never believed.
        authorized_signer: Option<String>,
    },
    /// Adds to a channel's deposit.
    TopUp {
        /// The channel: `0x` and 64 hex digits.
        channel_id: String,
        /// The signed transaction that adds to it, for the server to send.
        transaction: String,
        /// What the channel is made of; version 1 has none.
        descriptor: Option<DescriptorText>,
        /// How much is added.
        additional_deposit: Amount,
    },
    /// Raises what the server may take from a channel.
    Voucher {
        /// The channel: `0x` and 64 hex digits.
        channel_id: String,
        /// What the channel is made of; version 1 has none.
        descriptor: Option<DescriptorText>,
        /// What the server may have taken in all.
        cumulative_amount: Amount,
        /// Of that voucher.
        signature: String,
    },
    /// Asks the server to take what was spent, and to give back the rest.
    Close {
        /// The channel: `0x` and 64 hex digits.
        channel_id: String,
        /// What the channel is made of; version 1 has none.
        descriptor: Option<DescriptorText>,
        /// What the server may take in all.
        cumulative_amount: Amount,
        /// Of that voucher.
        signature: String,
    },
}

impl Payload {
    /// What it does, as the wire has it: `open`, `topUp`, `voucher` or `close`.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Open { .. } => OPEN,
            Self::TopUp { .. } => TOP_UP,
            Self::Voucher { .. } => VOUCHER,
            Self::Close { .. } => CLOSE,
        }
    }

    /// The channel it is about.
    pub fn channel_id(&self) -> &str {
        match self {
            Self::Open { channel_id, .. }
            | Self::TopUp { channel_id, .. }
            | Self::Voucher { channel_id, .. }
            | Self::Close { channel_id, .. } => channel_id,
        }
    }

    /// What the channel is made of, as the payer says; version 1 has none.
    pub fn descriptor(&self) -> Option<&DescriptorText> {
        match self {
            Self::Open { descriptor, .. }
            | Self::TopUp { descriptor, .. }
            | Self::Voucher { descriptor, .. }
            | Self::Close { descriptor, .. } => descriptor.as_ref(),
        }
    }

    /// What its voucher is good for in all, and that voucher's signature; a top-up has none.
    pub fn voucher(&self) -> Option<(Amount, &str)> {
        match self {
            Self::Open { cumulative_amount, signature, .. }
            | Self::Voucher { cumulative_amount, signature, .. }
            | Self::Close { cumulative_amount, signature, .. } => {
                Some((*cumulative_amount, signature))
            }
            Self::TopUp { .. } => None,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("action", &self.action())
            .field("channel_id", &self.channel_id())
            .finish_non_exhaustive()
    }
}

/// Every member of every action. Those that an action does not have are not looked at.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    action: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cumulative_amount: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    additional_deposit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    descriptor: Option<DescriptorText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorized_signer: Option<String>,
}

impl TryFrom<Wire> for Payload {
    type Error = Bad;

    fn try_from(wire: Wire) -> Result<Self, Bad> {
        let Wire { action, kind, channel_id, transaction, signature, descriptor, .. } = wire;
        let channel_id = channel_id.and_then(text::channel).ok_or(Bad("channelId"));
        let signature =
            signature.filter(|text| text::is_hex(text, LONGEST_SIGNATURE)).ok_or(Bad("signature"));
        let transaction = transaction
            .filter(|text| text::is_hex(text, LONGEST_TRANSACTION))
            .filter(|_| kind.as_deref() == Some(TRANSACTION))
            .ok_or(Bad("transaction"));
        // Only channels of version 2 have a descriptor, and only they count in 96 bits.
        let amount = |digits: Option<String>| text::amount(&digits?, descriptor.is_some());
        let cumulative_amount = amount(wire.cumulative_amount).ok_or(Bad("cumulativeAmount"));
        let additional_deposit = amount(wire.additional_deposit).ok_or(Bad("additionalDeposit"));
        let (channel_id, authorized_signer) = (channel_id?, wire.authorized_signer);
        match action.as_str() {
            OPEN if authorized_signer.as_ref().is_none_or(|text| text::is_hex(text, 42)) => {
                Ok(Self::Open {
                    channel_id,
                    transaction: transaction?,
                    signature: signature?,
                    cumulative_amount: cumulative_amount?,
                    descriptor,
                    authorized_signer,
                })
            }
            OPEN => Err(Bad("authorizedSigner")),
            TOP_UP => Ok(Self::TopUp {
                channel_id,
                transaction: transaction?,
                descriptor,
                additional_deposit: additional_deposit?,
            }),
            VOUCHER => Ok(Self::Voucher {
                channel_id,
                descriptor,
                cumulative_amount: cumulative_amount?,
                signature: signature?,
            }),
            CLOSE => Ok(Self::Close {
                channel_id,
                descriptor,
                cumulative_amount: cumulative_amount?,
                signature: signature?,
            }),
            _ => Err(Bad("action")),
        }
    }
}

impl From<Payload> for Wire {
    fn from(payload: Payload) -> Self {
        let action = payload.action().to_owned();
        let kind = matches!(action.as_str(), OPEN | TOP_UP).then(|| TRANSACTION.to_owned());
        let shared = Self { action, kind, ..Self::default() };
        match payload {
            Payload::Open {
                channel_id,
                transaction,
                signature,
                cumulative_amount,
                descriptor,
                authorized_signer,
            } => Self {
                channel_id: Some(channel_id),
                transaction: Some(transaction),
                signature: Some(signature),
                cumulative_amount: Some(cumulative_amount.to_string()),
                descriptor,
                authorized_signer,
                ..shared
            },
            Payload::TopUp { channel_id, transaction, descriptor, additional_deposit } => Self {
                channel_id: Some(channel_id),
                transaction: Some(transaction),
                additional_deposit: Some(additional_deposit.to_string()),
                descriptor,
                ..shared
            },
            Payload::Voucher { channel_id, descriptor, cumulative_amount, signature }
            | Payload::Close { channel_id, descriptor, cumulative_amount, signature } => Self {
                channel_id: Some(channel_id),
                signature: Some(signature),
                cumulative_amount: Some(cumulative_amount.to_string()),
                descriptor,
                ..shared
            },
        }
    }
}

/// A member that is missing, malformed or too large: its name, and never its value.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is missing or malformed")]
struct Bad(&'static str);

const OPEN: &str = "open";
const TOP_UP: &str = "topUp";
const VOUCHER: &str = "voucher";
const CLOSE: &str = "close";
const TRANSACTION: &str = "transaction";

#[cfg(test)]
mod tests;
