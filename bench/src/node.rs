//! A node that has every channel anybody asks for, and counts how often it was asked.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{B256, Bytes, U256};
use mpp_tempo::{
    Chain,
    chain::rpc::{Answer, Block, Receipt, Rpc, Search, Told, Trial, not_offered},
};

/// What each channel has in it, in base units.
pub const DEPOSIT: u128 = 1 << 60;

/// Every channel is there, full, and nothing of it was taken.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Counting {
    /// How often it was asked anything.
    pub fn calls(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn at_once<'a, T: Send + 'a>(&self, answer: T) -> Answer<'a, T> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn never<'a, T>(&self) -> Answer<'a, T> {
        self.0.fetch_add(1, Ordering::Relaxed);
        not_offered()
    }
}

impl Rpc for Counting {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.at_once(Chain::MODERATO.id)
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.at_once(Block { number: 9, timestamp: 1_795_000_000, base_fee: None })
    }
    fn call(&self, _: Trial) -> Answer<'_, Bytes> {
        // Nothing taken, a deposit, no request to close.
        let words = [0, DEPOSIT, 0].map(|number| U256::from(number).to_be_bytes::<32>());
        self.at_once(words.concat().into())
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.never()
    }
    fn estimate_gas(&self, _: Trial) -> Answer<'_, u64> {
        self.never()
    }
    fn send(&self, _: Bytes) -> Answer<'_, Receipt> {
        self.never()
    }
    fn receipt(&self, _: B256) -> Answer<'_, Option<Receipt>> {
        self.never()
    }
    fn broadcast(&self, _: Bytes) -> Answer<'_, B256> {
        self.never()
    }
    fn block(&self, _: u64) -> Answer<'_, Option<Block>> {
        self.never()
    }
    fn logs(&self, _: Search) -> Answer<'_, Vec<Told>> {
        self.never()
    }
    fn simulate(&self, _: Trial) -> Answer<'_, ()> {
        self.never()
    }
}
