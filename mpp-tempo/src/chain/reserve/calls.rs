//! Calls of the reserve: written, and read byte for byte as they were written.

use alloy::primitives::{Address, B256, Bytes, U256};

use super::CHANNEL_RESERVE;
use crate::{
    chain::{
        transaction::Call,
        words::{self, Words},
    },
    session::Descriptor,
};

/// `open`: the sender deposits, and a channel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Who is paid.
    pub payee: Address,
    /// Who may settle and close for the payee; zero is nobody else.
    pub operator: Address,
    /// In which token.
    pub token: Address,
    /// How much is deposited.
    pub deposit: u128,
    /// What tells two channels of the same parties apart.
    pub salt: B256,
    /// Whose vouchers are good; zero is the sender.
    pub authorized_signer: Address,
}

impl Open {
    /// The calldata.
    pub fn encode(&self) -> Bytes {
        let words = [
            self.payee.into_word(),
            self.operator.into_word(),
            self.token.into_word(),
            words::of(self.deposit),
            self.salt,
            self.authorized_signer.into_word(),
        ];
        words::call(OPEN, words)
    }

    /// The call.
    pub fn call(&self) -> Call {
        to_reserve(self.encode())
    }

    /// Reads calldata that [`Open::encode`] could have written, byte for byte: dirty high bytes and trailing bytes are refused.
    ///
    /// # Errors
    /// [`NotReserveCall`].
    pub fn decode(data: &[u8]) -> Result<Self, NotReserveCall> {
        let words = Words::of_call(data, OPEN).ok_or(NotReserveCall::Selector)?;
        Self::read(words).ok_or(NotReserveCall::Arguments)
    }

    fn read(mut words: Words<'_>) -> Option<Self> {
        let open = Self {
            payee: words.address()?,
            operator: words.address()?,
            token: words.address()?,
            deposit: words.number(96)?,
            salt: words.word()?,
            authorized_signer: words.address()?,
        };
        words.end().map(|()| open)
    }

    /// The channel that it opens when this account sends it, in a transaction of this identity.
    pub fn descriptor(&self, payer: Address, expiring_nonce_hash: B256) -> Descriptor {
        Descriptor {
            payer,
            payee: self.payee,
            operator: self.operator,
            token: self.token,
            salt: self.salt,
            authorized_signer: self.authorized_signer,
            expiring_nonce_hash,
        }
    }
}

/// `topUp`: the payer adds to a channel's deposit, which takes back a request to close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopUp {
    /// The channel.
    pub descriptor: Descriptor,
    /// How much is added.
    pub additional_deposit: u128,
}

impl TopUp {
    /// The calldata.
    pub fn encode(&self) -> Bytes {
        words::call(TOP_UP, with(&self.descriptor, [self.additional_deposit]))
    }

    /// The call.
    pub fn call(&self) -> Call {
        to_reserve(self.encode())
    }

    /// Reads calldata that [`TopUp::encode`] could have written, byte for byte.
    ///
    /// # Errors
    /// [`NotReserveCall`].
    pub fn decode(data: &[u8]) -> Result<Self, NotReserveCall> {
        let words = Words::of_call(data, TOP_UP).ok_or(NotReserveCall::Selector)?;
        Self::read(words).ok_or(NotReserveCall::Arguments)
    }

    fn read(mut words: Words<'_>) -> Option<Self> {
        let descriptor = Descriptor {
            payer: words.address()?,
            payee: words.address()?,
            operator: words.address()?,
            token: words.address()?,
            salt: words.word()?,
            authorized_signer: words.address()?,
            expiring_nonce_hash: words.word()?,
        };
        let additional_deposit = words.number(96)?;
        words.end().map(|()| Self { descriptor, additional_deposit })
    }
}

/// The call by which the payee, or the operator, takes what a voucher is good for.
pub fn settle(descriptor: &Descriptor, cumulative: u128, signature: &[u8]) -> Call {
    to_reserve(words::call_with_bytes(SETTLE, with(descriptor, [cumulative]), signature))
}

/// The call by which the payee, or the operator, takes `capture` in all, gives back the rest and ends the channel. The voucher
/// may be good for more than is captured; its signature is looked at only where something is still to be taken.
pub fn close(descriptor: &Descriptor, cumulative: u128, capture: u128, signature: &[u8]) -> Call {
    to_reserve(words::call_with_bytes(CLOSE, with(descriptor, [cumulative, capture]), signature))
}

/// The call by which the payer says that it wants its money back, in [`CLOSE_GRACE_SECONDS`](super::CLOSE_GRACE_SECONDS).
pub fn request_close(descriptor: &Descriptor) -> Call {
    to_reserve(words::call(REQUEST_CLOSE, descriptor.words()))
}

/// The call by which the payer takes back what was not settled, once the grace is over; the channel ends.
pub fn withdraw(descriptor: &Descriptor) -> Call {
    to_reserve(words::call(WITHDRAW, descriptor.words()))
}

/// Why calldata is not the call that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReserveCall {
    /// Another function.
    #[error("the call is of another function of the reserve, or of none")]
    Selector,
    /// The right function with arguments that are not canonical.
    #[error("the call's arguments are not canonical")]
    Arguments,
}

/// A descriptor as an argument, and amounts after it.
fn with<const N: usize>(descriptor: &Descriptor, amounts: [u128; N]) -> impl Iterator<Item = B256> {
    descriptor.words().into_iter().chain(amounts.map(words::of))
}

fn to_reserve(data: Bytes) -> Call {
    Call { to: CHANNEL_RESERVE, value: U256::ZERO, data }
}

pub(super) const OPEN: [u8; 4] = [0xed, 0xc5, 0x3b, 0x00];
pub(super) const TOP_UP: [u8; 4] = [0xdc, 0x48, 0x47, 0x1e];
pub(super) const SETTLE: [u8; 4] = [0x97, 0xfb, 0x51, 0x04];
pub(super) const CLOSE: [u8; 4] = [0x73, 0xb5, 0x7f, 0x74];
pub(super) const REQUEST_CLOSE: [u8; 4] = [0x67, 0x54, 0x02, 0xe5];
pub(super) const WITHDRAW: [u8; 4] = [0x41, 0xe2, 0xc6, 0x64];
