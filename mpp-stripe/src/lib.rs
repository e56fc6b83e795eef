//! Method stripe of the Machine Payments Protocol: cards and wallets through Stripe.
//!
#![doc = include_str!("../README.md")]

#[cfg(any(feature = "client", feature = "server"))]
pub mod api;
pub mod charge;
#[cfg(any(feature = "client", feature = "server"))]
mod clock;
mod currency;
mod details;
#[cfg(feature = "axum")]
pub mod proxy;
#[cfg(feature = "client")]
pub mod token;

#[cfg(any(feature = "client", feature = "server"))]
pub use self::api::{Api, SecretKey};
pub use self::{
    charge::StripeCharge,
    currency::{Currency, NotACurrency},
    details::{Details, TEST_NETWORK},
};
