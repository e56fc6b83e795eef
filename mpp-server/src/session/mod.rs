//! Stand-in for the engine's sessions, until they are merged.
#![allow(missing_docs, unused, clippy::unused_async)]

use std::time::Duration;
use mpp_core::{Amount, Receipt, problem::Rejection, transport::Refusal, teller::Need};

#[derive(Clone, Debug)]
pub struct Session;
impl Session {
    pub fn account(&self) -> &str { "" }
    pub fn challenge(&self) -> &str { "" }
    pub fn unit_price(&self) -> Amount { Amount::ZERO }
    pub fn unit_type(&self) -> Option<&str> { None }
    pub async fn charge(&self, units: u64) -> Result<(), Refusal> { Ok(()) }
    pub fn meter(&self) -> Meter { Meter }
    pub async fn receipt(&self) -> Result<Receipt, Rejection> { Err(Rejection::failed("")) }
}
#[derive(Debug)]
pub struct Meter;
impl Meter {
    pub fn in_hand(&self) -> u64 { 0 }
    pub async fn refill(&mut self, at_least: u64) -> Result<(), Dry> { Ok(()) }
    pub fn take(&mut self, units: u64) -> bool { true }
    pub async fn replenished(&self, patience: Duration) -> Result<(), Dry> { Ok(()) }
    pub async fn finish(self) -> Result<Receipt, Rejection> { Err(Rejection::failed("")) }
}
#[derive(Debug)]
#[non_exhaustive]
pub enum Dry { Need(Need), Ended(Rejection), TooLong }
