//! What a server says of a channel that its payer comes back to, in a challenge or in `Payment-Session-Snapshot`.

use std::fmt;

use mpp_core::{Amount, encoded, jcs};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{DescriptorText, text};

/// The longest `Payment-Session-Snapshot` that is read, in characters.
pub const LONGEST_SNAPSHOT: usize = 16 * 1024;

/// A channel as its server sees it. Nothing in it is to be believed: `Snapshot::verified` says which channel it is of, and only a
/// voucher of one's own proves an amount. Amounts are base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// What the best voucher so far is good for.
    pub accepted_cumulative: Amount,
    /// The chain it is on.
    pub chain_id: u64,
    /// The channel.
    pub channel_id: String,
    /// Unix seconds at which the payer asked to close it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_text",
        deserialize_with = "as_count"
    )]
    pub close_requested_at: Option<u64>,
    /// What lies in it in all.
    pub deposit: Amount,
    /// What it is made of.
    pub descriptor: DescriptorText,
    /// The contract that keeps it.
    pub escrow: String,
    /// The best voucher so far: what only its signer can have made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_voucher: Option<HighestVoucher>,
    /// What the next voucher must be good for.
    #[serde(default)]
    pub required_cumulative: Amount,
    /// What the payee has taken on chain.
    #[serde(default)]
    pub settled: Amount,
    /// What was used.
    #[serde(default)]
    pub spent: Amount,
    /// How many units were sold.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "as_count")]
    pub units: Option<u64>,
}

impl Snapshot {
    /// Reads `Payment-Session-Snapshot`: base64 of either alphabet, padded or not (D-50). Members that are not known are ignored.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_header(value: &str) -> Result<Self, SnapshotError> {
        if value.len() > LONGEST_SNAPSHOT {
            return Err(SnapshotError::TooLong);
        }
        let json = encoded::decode(value).map_err(|_| SnapshotError::Base64)?;
        jcs::refuse_duplicates(&json).map_err(|_| SnapshotError::Json)?;
        serde_json::from_slice(&json).map_err(|_| SnapshotError::Json)
    }

    /// Writes `Payment-Session-Snapshot`: JSON in standard base64 with its padding, as deployed peers read it (D-50).
    pub fn to_header(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut text = encoded::encode(&json).replace('-', "+").replace('_', "/");
        let padded = text.len().next_multiple_of(4);
        text.extend(std::iter::repeat_n('=', padded - text.len()));
        text
    }
}

/// A voucher that a server shows its own signer. No signature in `Debug`: it is good for money.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HighestVoucher {
    /// The channel.
    pub channel_id: String,
    /// What it is good for in all, in base units.
    pub cumulative_amount: Amount,
    /// Its signature: `0x` and hex digits.
    pub signature: String,
}

impl fmt::Debug for HighestVoucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HighestVoucher")
            .field("channel_id", &self.channel_id)
            .field("cumulative_amount", &self.cumulative_amount)
            .finish_non_exhaustive()
    }
}

/// Why a header is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// More than [`LONGEST_SNAPSHOT`] characters.
    #[error("the snapshot is longer than {LONGEST_SNAPSHOT} characters")]
    TooLong,
    /// No base64.
    #[error("the snapshot is not base64")]
    Base64,
    /// No JSON, or not of a snapshot.
    #[error("the snapshot's JSON is not that of a snapshot")]
    Json,
}

/// Reads a snapshot where there is one that can be read.
pub(super) fn if_readable<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Box<Snapshot>>, D::Error> {
    let value = Value::deserialize(d)?;
    Ok(Snapshot::deserialize(value).ok().map(Box::new))
}

/// Reads a count that peers write as a number or as a text; anything else is none.
fn as_count<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(text::count(&Value::deserialize(d)?))
}

/// Writes a count as a text of digits, as deployed peers write this one.
fn as_text<S: serde::Serializer>(count: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
    match count {
        Some(count) => s.collect_str(count),
        None => s.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
