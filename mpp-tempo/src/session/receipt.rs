//! The members that a session adds to a receipt.

use mpp_core::{Amount, Receipt};
use serde_json::{Map, Value};

use super::text;

/// Where a session stands, as a receipt tells it: the server's word. Amounts are base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReceipt {
    /// The channel, in lower case.
    pub channel_id: String,
    /// The challenge that was answered; empty where the server does not say.
    pub challenge_id: String,
    /// What the best voucher so far is good for.
    pub accepted_cumulative: Amount,
    /// What was used of it.
    pub spent: Amount,
    /// How many units were sold.
    pub units: Option<u64>,
    /// The transaction that opened, topped up or closed the channel.
    pub tx_hash: Option<String>,
}

impl SessionReceipt {
    /// Reads the session's members of a receipt. `None` where it has none: some servers write receipts that say no more than
    /// that all is well (D-54).
    ///
    /// A receipt that names no channel is of the one in its `reference`.
    pub fn read(receipt: &Receipt) -> Option<Self> {
        let member = |name| receipt.extra.get(name).and_then(Value::as_str);
        let amount = |name| member(name).and_then(|digits| Amount::parse(digits).ok());
        let channel_id = member("channelId").unwrap_or(&receipt.reference).to_owned();
        Some(Self {
            channel_id: text::channel(channel_id)?,
            challenge_id: member("challengeId").unwrap_or_default().to_owned(),
            accepted_cumulative: amount("acceptedCumulative")?,
            spent: amount("spent")?,
            units: receipt.extra.get("units").and_then(text::count),
            tx_hash: member("txHash").map(str::to_owned),
        })
    }

    /// The members as a receipt bears them.
    pub fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        put("intent", "session".into());
        put("channelId", self.channel_id.as_str().into());
        put("challengeId", self.challenge_id.as_str().into());
        put("acceptedCumulative", self.accepted_cumulative.to_string().into());
        put("spent", self.spent.to_string().into());
        if let Some(units) = self.units {
            put("units", units.into());
        }
        if let Some(hash) = &self.tx_hash {
            put("txHash", hash.as_str().into());
        }
        members
    }
}

#[cfg(test)]
mod tests;
