//! `session`: pay as you go; what the method drafts agree on and no more, since the intent has no draft of its own.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Intent, Metered, Price, PriceError, Terms};
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

impl SessionTerms {
    /// Asks for an amount a unit in a currency; what is counted comes from `rate`.
    pub fn of(rate: &Rate, amount: Amount, currency: impl Into<String>) -> Self {
        Self {
            amount,
            currency: currency.into(),
            recipient: None,
            unit_type: Some(rate.unit_type.clone()),
            suggested_deposit: None,
        }
    }

    /// Says to whom.
    pub fn to(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// Suggests a deposit, in base units.
    pub fn suggesting(self, deposit: Option<Amount>) -> Self {
        Self { suggested_deposit: deposit, ..self }
    }
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
///
/// ```
/// let rate: mpp_core::intent::Rate = "0.0001 usd per token".parse()?;
/// assert_eq!((rate.per_unit.in_unit("usd", 6)?.get(), rate.unit_type.as_str()), (100, "token"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The price of one unit.
    pub per_unit: Price,
    /// What is counted.
    pub unit_type: String,
    /// How much to suggest as a deposit.
    pub suggested_deposit: Option<Price>,
}

impl Rate {
    /// So much for each of what is counted.
    pub fn new(per_unit: Price, unit_type: impl Into<String>) -> Self {
        Self { per_unit, unit_type: unit_type.into(), suggested_deposit: None }
    }

    /// Suggests a deposit.
    pub fn suggest(self, deposit: Price) -> Self {
        Self { suggested_deposit: Some(deposit), ..self }
    }
}

impl FromStr for Rate {
    type Err = PriceError;

    /// Reads `0.0001 usd per token`; without `per`, a price per request.
    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (price, unit_type) = text.split_once(" per ").unwrap_or((text, "request"));
        let unit_type = unit_type.trim();
        let named = !unit_type.is_empty() && unit_type.len() <= 64;
        let printable = unit_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !named || !printable {
            return Err(PriceError::Form);
        }
        Ok(Self::new(price.parse()?, unit_type))
    }
}
