//! Reads small values off the front of bytes; past their end everything is zero.

use alloy::primitives::{Address, B256, U256};

/// What is left of the bytes.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Bytes after their length, which one byte holds.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// One of four accounts: parties that differ in everything never meet.
    pub(crate) fn account(&mut self) -> Address {
        Address::repeat_byte(0x20 + (self.byte() & 3))
    }

    /// A small amount, for the same reason.
    pub(crate) fn amount(&mut self) -> U256 {
        U256::from(self.byte() & 3)
    }

    /// One of four memos.
    pub(crate) fn memo(&mut self) -> B256 {
        B256::repeat_byte(self.byte() & 3)
    }
}
