//! The rows, one file each.

pub mod accept;
pub mod allocations;
pub mod charge;
pub mod check;
pub mod events;
pub mod id;
pub mod idle;
pub mod issue;
pub mod loopback;
pub mod meter;
pub mod paid;
pub mod parse;
pub mod payer;
pub mod stores;
pub mod stripe;
pub mod verify;
pub mod voucher;
