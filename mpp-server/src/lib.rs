//! Charges for HTTP resources under the Machine Payments Protocol: gate, offers, ledger.
//!
#![doc = include_str!("../README.md")]

pub mod answer;
pub mod clock;
pub mod error;
pub mod event;
pub mod gate;
pub mod limit;
pub mod offer;
pub mod permit;
pub mod rail;
pub mod route;
pub mod store;
pub mod subscription;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "sse")]
pub mod sse;
#[cfg(any(feature = "sse", feature = "ws"))]
pub mod stream;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "ws")]
pub mod ws;

mod ledger;
mod nonce;
mod session;

pub use self::{
    error::ConfigError,
    gate::{Gate, Plaintext},
    ledger::{NotWrittenOff, Recovered, Unfinished},
    offer::{Offer, Offers},
    permit::{Acknowledged, Admission, Paid, Permit},
    rail::Rail,
    route::{Order, Route},
    session::{Dry, Meter, Schedule, Session, Swept},
    subscription::{Heard, Members, OpenCharge, SubscriptionState, Subscriptions},
};
