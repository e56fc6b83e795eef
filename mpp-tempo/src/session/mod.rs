//! `tempo/session`: pay as you go from a channel, by vouchers (draft-tempo-session).

#[cfg(any(feature = "client", feature = "server"))]
mod channel_id;
#[cfg(any(feature = "client", feature = "server"))]
mod descriptor;
mod descriptor_text;
mod need;
#[cfg(feature = "client")]
mod payer;
mod payload;
mod receipt;
#[cfg(test)]
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod sample;
mod snapshot;
#[cfg(any(feature = "client", feature = "server"))]
mod snapshot_check;
#[cfg(feature = "server")]
pub mod teller;
mod text;
#[cfg(any(feature = "client", feature = "server"))]
mod voucher;
#[cfg(any(feature = "client", feature = "server"))]
mod voucher_key;

use mpp_core::{Amount, Method, intent::Session, method::Nested, name::MethodName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(any(feature = "client", feature = "server"))]
pub use self::channel_id::{ChannelId, NotChannelId};
#[cfg(any(feature = "client", feature = "server"))]
pub use self::descriptor::{Descriptor, NotDescriptor};
#[cfg(feature = "client")]
pub use self::payer::{ChannelStore, OpenChannel, Payer};
#[cfg(any(feature = "client", feature = "server"))]
pub use self::snapshot_check::{Recognised, Untrue};
#[cfg(feature = "server")]
pub use self::teller::Teller;
#[cfg(any(feature = "client", feature = "server"))]
pub use self::voucher::Domain;
#[cfg(any(feature = "client", feature = "server"))]
pub use self::voucher_key::{BadVoucher, VoucherKey};
pub use self::{
    descriptor_text::DescriptorText,
    need::NeedVoucher,
    payload::{LONGEST_SIGNATURE, LONGEST_TRANSACTION, Payload},
    receipt::SessionReceipt,
    snapshot::{HighestVoucher, LONGEST_SNAPSHOT, Snapshot, SnapshotError},
};

/// The most that a channel of version 2 can count to, in base units: its numbers have 96 bits.
pub const MOST: Amount = Amount::new((1 << 96) - 1);

/// The method `tempo` under the intent `session`.
#[derive(Debug)]
pub struct TempoSession;

impl Method for TempoSession {
    const NAME: MethodName = MethodName::from_static("tempo");
    type Intent = Session;
    type Details = Nested<Details>;
    type Payload = Payload;
}

/// The `methodDetails` of a request. Texts are as they came; each half reads what it acts on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The contract that keeps the channel. A payer that was not told of it trusts no other than the chain's own.
    pub escrow_contract: String,
    /// A channel that the payer has open already, as far as the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// The least by which a voucher must exceed the one before it, in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_voucher_delta: Option<Amount>,
    /// The chain the channel is on; see [`Details::chain_id`] for what its absence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// Whether the server pays the fees of what the payer signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_payer: Option<bool>,
    /// Who may settle and close for the payee; absent, nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Which kind of channel; see [`Details::protocol`] for what its absence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_protocol: Option<Protocol>,
    /// What the server says of that channel. One that cannot be read is none: nothing in it is believed unchecked.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "snapshot::if_readable"
    )]
    pub session_snapshot: Option<Box<Snapshot>>,
    /// Members we do not know: kept.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Details {
    /// The chain the channel is on: mainnet, where the request does not say (draft-tempo-session, `chainId`).
    pub fn chain_id(&self) -> u64 {
        self.chain_id.unwrap_or(4217)
    }

    /// Which kind of channel: version 1, where the request does not say (D-40).
    pub fn protocol(&self) -> &Protocol {
        self.session_protocol.as_ref().unwrap_or(&Protocol::V1)
    }

    /// Whether the server pays the fees.
    pub fn is_sponsored(&self) -> bool {
        self.fee_payer == Some(true)
    }
}

/// A kind of channel. One is never answered by another's credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// A contract's, deployed on some chains.
    V1,
    /// The chain's own reserve (TIP-1034).
    V2,
    /// Some other: kept, and answered by nobody.
    #[serde(untagged)]
    Other(String),
}

#[cfg(test)]
mod tests;
