//! The contract that keeps channels of version 1: what a payer asks of it, what it answers, and what its logs tell.
//!
//! It takes tokens by an approval and keeps each channel whole. Amounts are base units of the channel's token.

use alloy::primitives::{Address, B256, Bytes, U256, address, b256};

use super::{
    rpc::{Log, Malformed, Rpc, RpcError, Search, Trial},
    transaction::Call,
    words::{self, Words, to_address},
};
use crate::session::ChannelId;

/// The contract of a chain, where one is known.
pub fn known(chain_id: u64) -> Option<Address> {
    match chain_id {
        4217 => Some(address!("33b901018174DDabE4841042ab76ba85D4e24f25")),
        42431 => Some(address!("e1c4d3dce17bc111181ddf716f75bae49e61a336")),
        _ => None,
    }
}

/// `open`: the sender deposits, and a channel begins. A new channel's storage is dear: give it 2,000,000 units of gas at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Who is paid.
    pub payee: Address,
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
            self.token.into_word(),
            words::of(self.deposit),
            self.salt,
            self.authorized_signer.into_word(),
        ];
        words::call(OPEN, words)
    }

    /// The two calls: the contract may take so much of the token, and is told to.
    pub fn calls(&self, escrow: Address) -> [Call; 2] {
        [approve(self.token, escrow, self.deposit), to(escrow, self.encode())]
    }

    /// The id of the channel that it opens when this account sends it.
    pub fn id(&self, payer: Address, escrow: Address, chain_id: u64) -> ChannelId {
        let Self { payee, token, salt, authorized_signer, .. } = *self;
        ChannelId::v1(payer, payee, token, salt, authorized_signer, escrow, chain_id)
    }
}

/// The two calls that add to a channel's deposit, which takes back a request to close it.
pub fn top_up(escrow: Address, token: Address, channel: ChannelId, added: u128) -> [Call; 2] {
    let data = words::call(TOP_UP, [channel.0, words::of(added)]);
    [approve(token, escrow, added), to(escrow, data)]
}

/// The call by which the payee takes all that a voucher is good for, gives back the rest and ends the channel.
pub fn close(escrow: Address, channel: ChannelId, cumulative: u128, signature: &[u8]) -> Call {
    let words = [channel.0, words::of(cumulative)];
    to(escrow, words::call_with_bytes(CLOSE, words, signature))
}

/// The call by which the payer says that it wants its money back, in 900 seconds.
pub fn request_close(escrow: Address, channel: ChannelId) -> Call {
    to(escrow, words::call(REQUEST_CLOSE, [channel.0]))
}

/// The call by which the payer takes back what was not settled, once the grace is over; the channel ends.
pub fn withdraw(escrow: Address, channel: ChannelId) -> Call {
    to(escrow, words::call(WITHDRAW, [channel.0]))
}

/// A channel as the contract sees it. All of it is zero for one that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Channel {
    /// Whether it has ended: for ever.
    pub finalized: bool,
    /// Unix seconds at which the payer asked to close it; zero where it did not.
    pub close_requested_at: u64,
    /// Who deposited.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// In which token.
    pub token: Address,
    /// Whose vouchers are good; zero is the payer: [`Channel::signer`].
    pub authorized_signer: Address,
    /// What was deposited in all.
    pub deposit: u128,
    /// What the payee has taken.
    pub settled: u128,
}

impl Channel {
    /// Whether there never was such a channel.
    pub fn is_absent(&self) -> bool {
        self.payer.is_zero()
    }

    /// Whose vouchers are good.
    pub fn signer(&self) -> Address {
        if self.authorized_signer.is_zero() { self.payer } else { self.authorized_signer }
    }
}

/// Asks the chain for a channel.
///
/// # Errors
/// [`RpcError`]: nobody knows.
pub async fn channel(
    node: &dyn Rpc,
    escrow: Address,
    channel: ChannelId,
) -> Result<Channel, RpcError> {
    let answer = node.call(Trial::read(escrow, get_channel(channel))).await?;
    Ok(read_channel(&answer)?)
}

/// The calldata that asks for a channel.
pub fn get_channel(channel: ChannelId) -> Bytes {
    words::call(GET, [channel.0])
}

/// Reads the answer to [`get_channel`], in the order of deployed contracts (D-41).
///
/// # Errors
/// [`Malformed`] for anything but one channel.
pub fn read_channel(answer: &[u8]) -> Result<Channel, Malformed> {
    read(Words(answer)).ok_or(Malformed::Member("channel"))
}

fn read(mut words: Words<'_>) -> Option<Channel> {
    let channel = Channel {
        finalized: words.flag()?,
        close_requested_at: words.small()?,
        payer: words.address()?,
        payee: words.address()?,
        token: words.address()?,
        authorized_signer: words.address()?,
        deposit: words.number(128)?,
        settled: words.number(128)?,
    };
    words.end().map(|()| channel)
}

/// A search, in a range of blocks, for the channels that an account opened.
pub fn search_opened(
    escrow: Address,
    payer: Address,
    (from_block, to_block): (u64, u64),
) -> Search {
    let topics = vec![Some(OPENED), None, Some(payer.into_word())];
    Search { address: escrow, topics, from_block, to_block }
}

/// A search, in a range of blocks, for all that is told of a channel.
pub fn search_of(
    escrow: Address,
    channel: ChannelId,
    (from_block, to_block): (u64, u64),
) -> Search {
    Search { address: escrow, topics: vec![None, Some(channel.0)], from_block, to_block }
}

/// What a log of the contract tells of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// It began, with this deposit.
    Opened {
        /// In which token.
        token: Address,
        /// Whose vouchers are good.
        authorized_signer: Address,
        /// What tells it apart.
        salt: B256,
        /// What was deposited.
        deposit: u128,
    },
    /// The payee took what a voucher was good for.
    Settled {
        /// What the voucher was good for.
        cumulative: u128,
        /// What was taken by it.
        paid: u128,
        /// What was taken in all by then.
        settled: u128,
    },
    /// The payer added to the deposit.
    ToppedUp {
        /// What was added.
        added: u128,
        /// What was deposited in all by then.
        deposit: u128,
    },
    /// The payer wants its money back.
    CloseRequested {
        /// Unix seconds from which it may take it.
        grace_ends: u64,
    },
    /// The payer took that back.
    CloseRequestCancelled,
    /// It ended.
    Closed {
        /// What the payee took, from beginning to end.
        settled: u128,
        /// What the payer got back.
        refunded: u128,
    },
}

/// A log of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// The channel.
    pub channel: ChannelId,
    /// Who deposited.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// What became of it.
    pub event: Event,
}

impl Told {
    /// Reads a log of the contract; one of anybody else, or of something else, is `None`.
    pub fn read(escrow: Address, log: &Log) -> Option<Self> {
        let [event, channel, payer, payee] = log.topics.as_slice() else { return None };
        if log.address != escrow {
            return None;
        }
        let (payer, payee) = (to_address(*payer)?, to_address(*payee)?);
        let event = read_event(*event, Words(&log.data))?;
        Some(Self { channel: ChannelId(*channel), payer, payee, event })
    }
}

fn read_event(event: B256, mut words: Words<'_>) -> Option<Event> {
    let read = match event {
        OPENED => Event::Opened {
            token: words.address()?,
            authorized_signer: words.address()?,
            salt: words.word()?,
            deposit: words.number(128)?,
        },
        SETTLED => Event::Settled {
            cumulative: words.number(128)?,
            paid: words.number(128)?,
            settled: words.number(128)?,
        },
        TOPPED_UP => Event::ToppedUp { added: words.number(128)?, deposit: words.number(128)? },
        CLOSE_REQUESTED => Event::CloseRequested { grace_ends: words.small()? },
        CLOSE_REQUEST_CANCELLED => Event::CloseRequestCancelled,
        CLOSED => Event::Closed { settled: words.number(128)?, refunded: words.number(128)? },
        _ => return None,
    };
    words.end().map(|()| read)
}

fn approve(token: Address, spender: Address, amount: u128) -> Call {
    to(token, words::call(APPROVE, [spender.into_word(), words::of(amount)]))
}

fn to(to: Address, data: Bytes) -> Call {
    Call { to, value: U256::ZERO, data }
}

const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];
const OPEN: [u8; 4] = [0xc7, 0x9e, 0xa4, 0x85];
const TOP_UP: [u8; 4] = [0xb6, 0x76, 0x44, 0xb9];
const CLOSE: [u8; 4] = [0x0d, 0x65, 0xc5, 0x1d];
const REQUEST_CLOSE: [u8; 4] = [0x6b, 0xf5, 0xfe, 0x6f];
const WITHDRAW: [u8; 4] = [0x8e, 0x19, 0x89, 0x9e];
const GET: [u8; 4] = [0x83, 0x1c, 0x2b, 0x82];

const OPENED: B256 = b256!("cd6e60364f8ee4c2b0d62afc07a1fb04fd267ce94693f93f8f85daaa099b5c94");
const SETTLED: B256 = b256!("e0b97d7c69d7aa21437d2a75a40b65369532d3f7eb8f64f29c37be14be6c9848");
const TOPPED_UP: B256 = b256!("e96f4c65929984be10da5cfd4f1b95b417d798f26d5e59e6b1d1077fcd06343e");
const CLOSE_REQUESTED: B256 =
    b256!("f5a36fc00a96cbb9cf1f8f59299165e1d8ffffe94396d82904b4da524d16bbce");
const CLOSE_REQUEST_CANCELLED: B256 =
    b256!("6bbcbc59913c43e567847487b95410b0b65cf253531b1c6505b21f8359c838fe");
const CLOSED: B256 = b256!("92ed5fe0fe56b3f4185e688efb342e92a4492b9df29ad5de596c44e64d097b51");

#[cfg(test)]
mod tests;
