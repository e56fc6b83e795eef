//! What a Stripe challenge says beside its price: whose profile is paid, by what, and the seller's notes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The network id that stands for a seller in Stripe's test mode, as deployed peers have it.
pub const TEST_NETWORK: &str = "internal";

/// The `methodDetails` of a request (draft-stripe-charge, draft-stripe-subscription).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The seller's Business Network Profile: `profile_…`.
    pub network_id: String,
    /// What the seller takes, best first: `card`, `link`. Stripe's own Ruby SDK calls it `paymentMethods`; both are read.
    #[serde(alias = "paymentMethods")]
    pub payment_method_types: Vec<String>,
    /// The seller's notes, which Stripe keeps with the payment. They decide nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}
