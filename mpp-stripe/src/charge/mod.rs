//! `stripe/charge`: one card payment by a Shared Payment Token (draft-stripe-charge).

#[cfg(feature = "client")]
mod payer;
mod payload;

use mpp_core::{Charge, Method, method::Nested, name::MethodName};

#[cfg(feature = "client")]
pub use self::payer::Payer;
pub use self::payload::{NotAToken, Payload, Token};
use crate::Details;

/// The method `stripe` under the intent `charge`.
#[derive(Debug)]
pub struct StripeCharge;

impl Method for StripeCharge {
    const NAME: MethodName = MethodName::from_static("stripe");
    type Intent = Charge;
    type Details = Nested<Details>;
    type Payload = Payload;
}
