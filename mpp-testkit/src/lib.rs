//! Suites that a custom method, store or transport must pass, and real servers on this machine.
//!
#![doc = include_str!("../README.md")]

pub mod bank;
pub mod clock;
pub mod devnet;
pub mod ledger;
pub mod method;
pub mod peer;
pub mod rail;
pub mod services;
pub mod stall;
pub mod store;
pub mod stripe;
pub mod transport;

mod target;
