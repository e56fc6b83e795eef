//! `session`: pay as you go; what the method drafts agree on and no more, since the intent has no draft of its own.

use serde::{Deserialize, Serialize};

use super::{Intent, Metered, Price, Terms};
use crate::{Amount, name::IntentName};

/// The intent `session`.
#[derive(Debug)]
pub struct Session;

impl Intent for Session {
    const NAME: IntentName = IntentName::from_static("session");
    type Reuse = Metered;
    type Terms = SessionTerms;
    type Ask = Rate;
}

/// The shared members of a session request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionTerms {
    /// The price of one unit, in base units.
    pub amount: Amount,
    /// In what, as the method has it.
    pub currency: String,
    /// To whom, as the method has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// What is counted: `request`, `token`, `second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_type: Option<String>,
    /// How much the server suggests to deposit, in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_deposit: Option<Amount>,
}

impl Terms for SessionTerms {
    fn amount(&self) -> Amount {
        self.amount
    }
    fn currency(&self) -> &str {
        &self.currency
    }
    fn recipient(&self) -> Option<&str> {
        self.recipient.as_deref()
    }
    fn external_id(&self) -> Option<&str> {
        None
    }
}

/// What a server's author asks: a price per unit of something.
///
/// What a request costs is its units times the rate; a voucher never says how much it buys.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The price of one unit.
    pub per_unit: Price,
    /// What is counted.
    pub unit_type: String,
    /// How much to suggest as a deposit.
    pub suggested_deposit: Option<Price>,
}
