//! `stripe/subscription`: a card that is charged every period by Stripe's own invoices (draft-stripe-subscription).
//!
//! No other implementation is known: the draft alone judges this one.

#[cfg(feature = "server")]
pub(crate) mod billing;
mod id;
#[cfg(feature = "client")]
mod payer;
mod payload;
#[cfg(feature = "server")]
pub mod verifier;

use mpp_core::{Method, intent::Subscription, method::Nested, name::MethodName};

#[cfg(feature = "client")]
pub use self::payer::Payer;
pub use self::payload::{Customer, NotACustomer, Payload};
#[cfg(feature = "server")]
pub use self::verifier::{Evidence, SetupError, Verifier};
use crate::Details;

/// The method `stripe` under the intent `subscription`.
#[derive(Debug)]
pub struct StripeSubscription;

impl Method for StripeSubscription {
    const NAME: MethodName = MethodName::from_static("stripe");
    type Intent = Subscription;
    type Details = Nested<Details>;
    type Payload = Payload;
}

#[cfg(test)]
mod tests;
