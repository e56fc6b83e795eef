//! What a server says when a stream stops for want of money.

use mpp_core::Amount;
use serde::{Deserialize, Serialize};

/// The data of `payment-need-voucher`, as an event of a stream or as a frame: the stream goes on once a voucher comes that
/// is good for what is required. Amounts are base units.
///
/// It is the server's word: a payer signs no more than its own count and its limits allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeedVoucher {
    /// What the best voucher so far is good for.
    pub accepted_cumulative: Amount,
    /// The channel.
    pub channel_id: String,
    /// What lies in the channel in all; where more is required, it has to be topped up first.
    pub deposit: Amount,
    /// What the next voucher must be good for.
    pub required_cumulative: Amount,
}

#[cfg(test)]
mod tests;
