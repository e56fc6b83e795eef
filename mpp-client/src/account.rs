//! Whose account a receipt is of, and whether what it says of it adds up.

use mpp_core::{Credential, Receipt};
use serde::Deserialize;

const CHANNEL: &str = "channelId";
pub(crate) const ACCEPTED: &str = "acceptedCumulative";
const SPENT: &str = "spent";

/// What payloads of metered methods say of their account, if they do.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Signed {
    channel_id: Option<String>,
}

/// The account that a payment drew upon: by the payer's own word, or by the server's first where payloads name none.
pub(crate) fn drawn_upon(credential: &Credential, first: Option<&Receipt>) -> Option<String> {
    let signed: Signed = serde_json::from_str(credential.payload_json()).unwrap_or_default();
    signed.channel_id.or_else(|| first.map(|first| named(first).to_owned()))
}

/// Whether a receipt is of this account, and says of it what can be: no more spent than was promised.
pub(crate) fn is_of(receipt: &Receipt, account: &str) -> bool {
    let over = match (amount(receipt, SPENT), amount(receipt, ACCEPTED)) {
        (Some(spent), Some(accepted)) => spent > accepted,
        _ => false,
    };
    !over && named(receipt).eq_ignore_ascii_case(account)
}

/// Whether a receipt says of no account how it stands: some servers write no more than that all is well.
pub(crate) fn is_bare(receipt: &Receipt) -> bool {
    [CHANNEL, ACCEPTED, SPENT].iter().all(|name| !receipt.extra.contains_key(*name))
}

fn named(receipt: &Receipt) -> &str {
    text(receipt, CHANNEL).unwrap_or(&receipt.reference)
}

/// A member of a receipt.
pub(crate) fn text<'a>(receipt: &'a Receipt, name: &str) -> Option<&'a str> {
    receipt.extra.get(name)?.as_str()
}

/// A member of a receipt that is an amount.
pub(crate) fn amount(receipt: &Receipt, name: &str) -> Option<u128> {
    text(receipt, name)?.parse().ok()
}

#[cfg(test)]
mod tests;
