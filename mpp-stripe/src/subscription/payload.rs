//! What a subscriber shows: the payment method that is charged each period, and the customer it belongs to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::id::is_id;

/// The payload of a credential. Who knows it can be subscribed at its seller's expense of one period: none of it is in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// The payment method: `pm_…`, and nothing that could mean something in a path.
    #[serde(deserialize_with = "payment_method")]
    pub payment_method: String,
    /// The customer that the payment method belongs to at this seller, where the payer knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
}

/// The id of a customer at Stripe: `cus_…`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Customer(String);

/// A text that is no id of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a customer: `cus_` and up to 180 letters, digits or `_`")]
pub struct NotACustomer;

impl Customer {
    /// Reads an id.
    ///
    /// # Errors
    /// [`NotACustomer`].
    pub fn parse(id: &str) -> Result<Self, NotACustomer> {
        if is_id("cus_", id) { Ok(Self(id.to_owned())) } else { Err(NotACustomer) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Customer {
    type Err = NotACustomer;
    fn from_str(id: &str) -> Result<Self, NotACustomer> {
        Self::parse(id)
    }
}

impl TryFrom<String> for Customer {
    type Error = NotACustomer;
    fn try_from(id: String) -> Result<Self, NotACustomer> {
        Self::parse(&id)
    }
}

impl From<Customer> for String {
    fn from(customer: Customer) -> Self {
        customer.0
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Customer(..)")
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(..)")
    }
}

fn payment_method<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let id = String::deserialize(d)?;
    if is_id("pm_", &id) { Ok(id) } else { Err(D::Error::custom("not the id of a payment method")) }
}
