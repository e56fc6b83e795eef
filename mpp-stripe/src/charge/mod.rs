//! `stripe/charge`: one card payment by a Shared Payment Token (draft-stripe-charge).

#[cfg(feature = "client")]
mod payer;
mod payload;

#[cfg(feature = "server")]
mod connect;
#[cfg(feature = "server")]
mod evidence;
#[cfg(feature = "server")]
mod metadata;
#[cfg(feature = "server")]
mod options;
#[cfg(feature = "server")]
mod payment_intent;
#[cfg(feature = "server")]
pub mod reason;
#[cfg(feature = "server")]
mod refund;
#[cfg(feature = "server")]
mod verifier;

use mpp_core::{Charge, Method, method::Nested, name::MethodName};

#[cfg(feature = "client")]
pub use self::payer::Payer;
pub use self::payload::{NotAToken, Payload, Token};
#[cfg(feature = "server")]
pub use self::{
    connect::{Connect, ConnectError},
    evidence::Evidence,
    metadata::MetadataError,
    options::{Options, OptionsError},
    refund::{Refund, RefundError, RefundOrder},
    verifier::{SetupError, Verifier},
};
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
