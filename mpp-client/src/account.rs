//! Whose account a receipt is of, and whether what it says of it adds up.

use mpp_core::{Credential, Receipt};
use serde::Deserialize;

const CHANNEL: &str = "channelId";
const CHALLENGE: &str = "challengeId";
const ACCEPTED: &str = "acceptedCumulative";
const SPENT: &str = "spent";
const TRANSACTION: &str = "txHash";

/// What payloads of metered methods say of their account, whichever of it they have.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Signed {
    channel_id: Option<String>,
    cumulative_amount: Option<String>,
    transaction: Option<serde::de::IgnoredAny>,
}

impl Signed {
    fn of(credential: &Credential) -> Self {
        serde_json::from_str(credential.payload_json()).unwrap_or_default()
    }
}

/// The account that a payment drew upon: by the payer's own word, or by the server's first where payloads name none.
pub(crate) fn drawn_upon(credential: &Credential, first: Option<&Receipt>) -> Option<String> {
    Signed::of(credential).channel_id.or_else(|| first.map(|first| named(first).to_owned()))
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

/// Whether a receipt can be that of a credential: where it names a challenge, it is the same.
pub(crate) fn answers(receipt: &Receipt, credential: &Credential) -> bool {
    text(receipt, CHALLENGE).is_none_or(|id| id == credential.challenge.id().as_str())
}

/// Whether a receipt that came amid a stream can be that of a step, as against word of how the account stood before it: it
/// has accepted what was signed, and names the transaction where one was sent.
pub(crate) fn settles(receipt: &Receipt, step: &Credential) -> bool {
    let Signed { cumulative_amount, transaction, .. } = Signed::of(step);
    let signed = cumulative_amount.and_then(|digits| digits.parse::<u128>().ok());
    let accepted = amount(receipt, ACCEPTED);
    let behind = matches!((accepted, signed), (Some(accepted), Some(signed)) if accepted < signed);
    let unsent =
        transaction.is_some() && accepted.is_some() && text(receipt, TRANSACTION).is_none();
    answers(receipt, step) && !behind && !unsent
}

fn named(receipt: &Receipt) -> &str {
    text(receipt, CHANNEL).unwrap_or(&receipt.reference)
}

fn text<'a>(receipt: &'a Receipt, name: &str) -> Option<&'a str> {
    receipt.extra.get(name)?.as_str()
}

fn amount(receipt: &Receipt, name: &str) -> Option<u128> {
    text(receipt, name)?.parse().ok()
}

#[cfg(test)]
mod tests;
