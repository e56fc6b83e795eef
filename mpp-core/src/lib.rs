//! The Machine Payments Protocol as types, and the seams a payment method implements.
//!
#![doc = include_str!("../README.md")]

pub mod accept;
pub mod account;
pub mod agreement;
pub mod amount;
pub mod binding;
pub mod challenge;
pub mod credential;
pub mod digest;
pub mod encoded;
pub mod error;
pub mod fate;
pub mod intent;
pub mod jcs;
pub mod method;
pub mod name;
pub mod opaque;
pub mod payer;
pub mod problem;
pub mod receipt;
pub mod renewer;
pub mod secret;
pub mod store;
pub mod teller;
pub mod time;
pub mod transport;
pub mod verifier;

mod text;

pub use self::{
    amount::Amount,
    challenge::{Challenge, Draft},
    credential::Credential,
    encoded::Encoded,
    error::Error,
    intent::{Charge, Intent, Price},
    method::{Method, Request},
    name::Realm,
    receipt::Receipt,
    time::Timestamp,
};
