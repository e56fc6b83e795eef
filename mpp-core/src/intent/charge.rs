//! `charge`: one payment, in full, used once (draft-payment-intent-charge).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Intent, Once, Terms};
use crate::{
    Amount,
    amount::{AmountError, Decimal},
    name::IntentName,
};

/// The intent `charge`.
#[derive(Debug)]
pub struct Charge;

impl Intent for Charge {
    const NAME: IntentName = IntentName::from_static("charge");
    type Reuse = Once;
    type Terms = ChargeTerms;
    type Ask = Price;
}

/// The shared members of a charge request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeTerms {
    /// The whole price, in base units.
    pub amount: Amount,
    /// In what, as the method has it.
    pub currency: String,
    /// To whom, as the method has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The server's own name for the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl ChargeTerms {
    /// Asks for an amount in a currency; the rest of the members come from `price`.
    pub fn of(price: &Price, amount: Amount, currency: impl Into<String>) -> Self {
        Self {
            amount,
            currency: currency.into(),
            recipient: None,
            description: price.description.clone(),
            external_id: price.external_id.clone(),
        }
    }

    /// Says to whom.
    pub fn to(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }
}

impl Terms for ChargeTerms {
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
        self.external_id.as_deref()
    }
}

/// What a server's author asks for a resource: a display amount and its unit, such as `0.10 usd`.
///
/// Each method turns it into its own base units exactly, or does not offer itself.
/// ```
/// let price: mpp_core::Price = "0.10 usd".parse()?;
/// assert_eq!(price.in_unit("usd", 6)?.to_string(), "100000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    amount: Decimal,
    unit: String,
    /// Shown to people, in the request.
    pub description: Option<String>,
    /// The server's own name for the payment, in the request.
    pub external_id: Option<String>,
}

/// Why a text is no price, or a price cannot be said in a method's units.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Not of the form `0.10 usd`.
    #[error("a price reads like `0.10 usd`: an amount, a space, a unit")]
    Form,
    /// The amount is no decimal, or not exact in the units wanted.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Nothing is asked, of a method that sells nothing for nothing.
    #[error("this method asks for more than nothing")]
    Nothing,
    /// More is shared out of the price than it is.
    #[error("the price is not more than what is shared out of it")]
    Shares,
    /// Less is asked than the method's rail takes at all.
    #[error("less is asked than the {least} base units that this method takes at least")]
    BelowMinimum {
        /// The least it takes, in base units of its currency.
        least: Amount,
    },
    /// What else is asked leaves no way in which it could be paid.
    #[error("what is asked leaves no way to pay it")]
    Unpayable,
    /// The price is in another unit.
    #[error("the price is in another unit")]
    Unit,
}

impl Price {
    /// Asks for a display amount of a unit: `usd`, `sat`, a token address.
    pub fn new(amount: Decimal, unit: impl Into<String>) -> Self {
        Self { amount, unit: unit.into(), description: None, external_id: None }
    }

    /// Says what it is for, in words for people.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Names the payment in the server's own books.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// The display amount.
    pub fn amount(&self) -> &Decimal {
        &self.amount
    }

    /// The unit, as it was written.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The amount in base units, where the price is in `unit` (case aside) and exact at `decimals`.
    pub fn in_unit(&self, unit: &str, decimals: u8) -> Result<Amount, PriceError> {
        if !self.unit.eq_ignore_ascii_case(unit) {
            return Err(PriceError::Unit);
        }
        Ok(self.amount.to_base_units(decimals)?)
    }

    /// The least amount in base units that is not less than the price, where it is in `unit` (case aside): nobody is asked for
    /// what was rounded; what was paid is held against it.
    ///
    /// # Errors
    /// [`PriceError::Unit`]; [`PriceError::Amount`] above 128 bits.
    pub fn in_unit_up(&self, unit: &str, decimals: u8) -> Result<Amount, PriceError> {
        if !self.unit.eq_ignore_ascii_case(unit) {
            return Err(PriceError::Unit);
        }
        Ok(self.amount.to_base_units_up(decimals)?)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (amount, unit) = text.trim().split_once(' ').ok_or(PriceError::Form)?;
        let unit = unit.trim();
        if unit.is_empty() || unit.contains(char::is_whitespace) {
            return Err(PriceError::Form);
        }
        Ok(Self::new(Decimal::parse(amount)?, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_exact_or_an_error() {
        let units = |p: &str, d| p.parse::<Price>().unwrap().in_unit("usd", d).map(|a| a.get());
        assert_eq!(units("0.10 usd", 6), Ok(100_000));
        assert_eq!(units("3 USD", 2), Ok(300));
        assert!(matches!(units("0.001 usd", 2), Err(PriceError::Amount(_))));
        assert_eq!(units("5 sat", 0), Err(PriceError::Unit));
    }

    #[test]
    fn a_price_that_is_not_exact_is_covered_by_the_next_base_unit() {
        let up = |p: &str, d| p.parse::<Price>().unwrap().in_unit_up("usd", d).map(|a| a.get());
        for (price, decimals, least) in [
            ("0.10 usd", 2, 10),
            ("0.101 usd", 2, 11),
            ("0.0001 usd", 2, 1),
            ("0.5 USD", 0, 1),
            ("2.000000001 usd", 0, 3),
            ("0 usd", 0, 0),
            ("7 usd", 3, 7000),
        ] {
            assert_eq!(up(price, decimals), Ok(least), "{price} at {decimals}");
        }
        let dust = format!("0.{}1 usd", "0".repeat(200));
        assert_eq!((up(&dust, 0), up(&dust, 150)), (Ok(1), Ok(1)));
        assert!(matches!(up("1 usd", 255), Err(PriceError::Amount(AmountError::TooLarge))));
        assert_eq!(up("5 sat", 0), Err(PriceError::Unit));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for bad in [
            "", "0.10", "usd", "0.1usd", "-1 usd", "1e3 usd", "1 us d", ".5 usd", "1. usd",
            "0x1 usd", "1  ",
        ] {
            assert!(bad.parse::<Price>().is_err(), "{bad}");
        }
    }
}
