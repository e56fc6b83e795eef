//! What a seller may configure: the types of payment method that fit the profile, and Stripe's limits.

use std::collections::BTreeMap;

use crate::subscription::id::is_id;

/// A configuration that no subscription can be sold with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Not the id of a Business Network Profile.
    #[error("a network id is `profile_…`, or `internal` in test mode")]
    Network,
    /// A type that does not pay a first invoice at once, or cannot be charged later without its owner; or none at all.
    #[error("subscriptions take these types of payment method: card, link")]
    Type,
    /// Beyond Stripe's limits, or in our names.
    #[error(
        "metadata has up to 40 entries, whose names have up to 40 characters, do not begin with mpp_ and hold no bracket, and whose values have up to 500"
    )]
    Metadata,
    /// Not the id of a product.
    #[error("a product is `prod_…`")]
    Product,
    /// Not the id of an account.
    #[error("a connected account is `acct_…`")]
    Account,
}

/// What pays at once and is charged later without its owner. Others settle later, or ask their owner each time.
const TYPES: [&str; 2] = ["card", "link"];

pub(super) fn network(id: String) -> Result<String, SetupError> {
    let known = id == crate::TEST_NETWORK || is_id("profile_", &id);
    if known { Ok(id) } else { Err(SetupError::Network) }
}

pub(super) fn types<'a>(
    types: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>, SetupError> {
    let types = Vec::from_iter(types);
    let known = types.iter().all(|kind| TYPES.contains(kind));
    if types.is_empty() || !known {
        return Err(SetupError::Type);
    }
    Ok(types.into_iter().map(str::to_owned).collect())
}

/// Stripe keeps 50 entries; some are ours.
pub(super) fn metadata(
    notes: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Result<BTreeMap<String, String>, SetupError> {
    let mut kept = BTreeMap::new();
    for (name, value) in notes {
        let (name, value) = (name.into(), value.into());
        let named = (1..=40).contains(&name.chars().count())
            && !name.starts_with("mpp_")
            && name != "machine_payment"
            && !name.contains(['[', ']']);
        if !named || value.chars().count() > 500 {
            return Err(SetupError::Metadata);
        }
        kept.insert(name, value);
    }
    if kept.len() > 40 { Err(SetupError::Metadata) } else { Ok(kept) }
}

pub(super) fn product(id: &str) -> Result<String, SetupError> {
    if is_id("", id) { Ok(id.to_owned()) } else { Err(SetupError::Product) }
}

pub(super) fn account(id: &str) -> Result<String, SetupError> {
    if is_id("acct_", id) { Ok(id.to_owned()) } else { Err(SetupError::Account) }
}
