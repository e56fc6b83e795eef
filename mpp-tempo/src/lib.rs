//! Method tempo of the Machine Payments Protocol: stablecoin payments on the Tempo chain.
//!
#![doc = include_str!("../README.md")]

#[cfg(any(feature = "client", feature = "server"))]
pub mod chain;
pub mod charge;

#[cfg(any(feature = "client", feature = "server"))]
mod clock;
#[cfg(feature = "client")]
mod order;
pub mod session;

#[cfg(any(feature = "client", feature = "server"))]
pub use self::chain::{Chain, rpc::http::HttpRpc, signature::Key};
pub use self::{charge::TempoCharge, session::TempoSession};
