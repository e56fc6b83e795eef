//! What is charged in the end: a card or a wallet that Stripe keeps, by its id.

use std::{fmt, str::FromStr};

/// The id of a payment method at Stripe: `pm_…`. Worth nothing without a key of its account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentMethod(String);

/// A text that is no id of a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a payment method: `pm_` and up to 180 letters, digits or `_`")]
pub struct NotAPaymentMethod;

const LONGEST: usize = 184;

impl PaymentMethod {
    /// Reads an id: nothing in it could mean anything in a URL, a form or a header.
    ///
    /// # Errors
    /// [`NotAPaymentMethod`].
    pub fn parse(id: &str) -> Result<Self, NotAPaymentMethod> {
        let rest = id.strip_prefix("pm_").ok_or(NotAPaymentMethod)?;
        let plain = rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if rest.is_empty() || id.len() > LONGEST || !plain {
            return Err(NotAPaymentMethod);
        }
        Ok(Self(id.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentMethod {
    type Err = NotAPaymentMethod;
    fn from_str(id: &str) -> Result<Self, NotAPaymentMethod> {
        Self::parse(id)
    }
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_elsewhere_is_no_payment_method() {
        assert_eq!(PaymentMethod::parse("pm_card_visa").unwrap().as_str(), "pm_card_visa");
        let long = format!("pm_{}", "a".repeat(182));
        for bad in
            ["", "pm_", "spt_a", "sk_live_a", "pm_a b", "pm_a&b=c", "pm_a/../b", "pm_ä", &long]
        {
            assert_eq!(PaymentMethod::parse(bad), Err(NotAPaymentMethod), "{bad}");
        }
    }
}
