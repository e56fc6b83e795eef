//! What the reserve's logs tell of a channel.

use alloy::primitives::{Address, B256};

use super::CHANNEL_RESERVE;
use crate::{
    chain::{
        rpc::{Log, Search},
        words::{Words, to_address},
    },
    session::{ChannelId, Descriptor},
};

/// A channel began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelOpened {
    /// The channel.
    pub channel: ChannelId,
    /// What it is made of.
    pub descriptor: Descriptor,
    /// What was deposited.
    pub deposit: u128,
}

impl ChannelOpened {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (head, mut words) = Head::read(log, topic::CHANNEL_OPENED)?;
        let (operator, token) = (words.address()?, words.address()?);
        let (authorized_signer, salt) = (words.address()?, words.word()?);
        let (expiring_nonce_hash, deposit) = (words.word()?, words.number(96)?);
        words.end()?;
        let Head { channel, payer, payee } = head;
        let descriptor = Descriptor {
            payer,
            payee,
            operator,
            token,
            salt,
            authorized_signer,
            expiring_nonce_hash,
        };
        Some(Self { channel, descriptor, deposit })
    }
}

/// The payee took what a voucher was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settled {
    /// The channel.
    pub channel: ChannelId,
    /// What the voucher was good for.
    pub cumulative: u128,
    /// What was taken by it.
    pub paid: u128,
    /// What was taken in all by then.
    pub settled: u128,
}

impl Settled {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (Head { channel, .. }, mut words) = Head::read(log, topic::SETTLED)?;
        let (cumulative, paid) = (words.number(96)?, words.number(96)?);
        let settled = words.number(96)?;
        words.end().map(|()| Self { channel, cumulative, paid, settled })
    }
}

/// The payer added to the deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToppedUp {
    /// The channel.
    pub channel: ChannelId,
    /// What was added.
    pub added: u128,
    /// What was deposited in all by then.
    pub deposit: u128,
}

impl ToppedUp {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (Head { channel, .. }, mut words) = Head::read(log, topic::TOP_UP)?;
        let (added, deposit) = (words.number(96)?, words.number(96)?);
        words.end().map(|()| Self { channel, added, deposit })
    }
}

/// The payer wants its money back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseRequested {
    /// The channel.
    pub channel: ChannelId,
    /// Unix seconds from which it may take it.
    pub grace_ends: u64,
}

impl CloseRequested {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (Head { channel, .. }, mut words) = Head::read(log, topic::CLOSE_REQUESTED)?;
        let grace_ends = words.small()?;
        words.end().map(|()| Self { channel, grace_ends })
    }
}

/// The payer took that back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseRequestCancelled {
    /// The channel.
    pub channel: ChannelId,
}

impl CloseRequestCancelled {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (Head { channel, .. }, words) = Head::read(log, topic::CLOSE_REQUEST_CANCELLED)?;
        words.end().map(|()| Self { channel })
    }
}

/// The channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelClosed {
    /// The channel.
    pub channel: ChannelId,
    /// What the payee took, from beginning to end.
    pub settled: u128,
    /// What the payer got back.
    pub refunded: u128,
}

impl ChannelClosed {
    /// Reads such a log of the reserve; any other is `None`.
    pub fn read(log: &Log) -> Option<Self> {
        let (Head { channel, .. }, mut words) = Head::read(log, topic::CHANNEL_CLOSED)?;
        let (settled, refunded) = (words.number(96)?, words.number(96)?);
        words.end().map(|()| Self { channel, settled, refunded })
    }
}

/// A search, in a range of blocks, for one kind of log: of a channel, of a payer, of a payee, or of any where none is given.
pub fn search(
    event: B256,
    (channel, payer, payee): (Option<ChannelId>, Option<Address>, Option<Address>),
    (from_block, to_block): (u64, u64),
) -> Search {
    let party = |address: Option<Address>| address.map(|address| address.into_word());
    let topics = vec![Some(event), channel.map(|id| id.0), party(payer), party(payee)];
    Search { address: CHANNEL_RESERVE, topics, from_block, to_block }
}

/// What every log of the reserve begins with.
struct Head {
    channel: ChannelId,
    payer: Address,
    payee: Address,
}

impl Head {
    /// Only the reserve's own logs, with exactly its topics: anybody can write such a log from another contract.
    fn read(log: &Log, event: B256) -> Option<(Self, Words<'_>)> {
        let [first, channel, payer, payee] = log.topics.as_slice() else { return None };
        if log.address != CHANNEL_RESERVE || *first != event {
            return None;
        }
        let head = Self {
            channel: ChannelId(*channel),
            payer: to_address(*payer)?,
            payee: to_address(*payee)?,
        };
        Some((head, Words(&log.data)))
    }
}

/// The first topics of the reserve's logs, to [`search`] for.
pub mod topic {
    use alloy::primitives::{B256, b256};

    /// Of [`ChannelOpened`](super::ChannelOpened).
    pub const CHANNEL_OPENED: B256 =
        b256!("debaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a7");
    /// Of [`Settled`](super::Settled).
    pub const SETTLED: B256 =
        b256!("11c4e4c79ad8802431b44c15047ed1ddb82fbfc1abd452c765f7ee3990df1399");
    /// Of [`ToppedUp`](super::ToppedUp).
    pub const TOP_UP: B256 =
        b256!("2a96f534665f3150977dd4c35d91373c74030288edbb3cf83c527dd25012364f");
    /// Of [`CloseRequested`](super::CloseRequested).
    pub const CLOSE_REQUESTED: B256 =
        b256!("f5a36fc00a96cbb9cf1f8f59299165e1d8ffffe94396d82904b4da524d16bbce");
    /// Of [`CloseRequestCancelled`](super::CloseRequestCancelled).
    pub const CLOSE_REQUEST_CANCELLED: B256 =
        b256!("6bbcbc59913c43e567847487b95410b0b65cf253531b1c6505b21f8359c838fe");
    /// Of [`ChannelClosed`](super::ChannelClosed).
    pub const CHANNEL_CLOSED: B256 =
        b256!("5613aed96d5bf39f928408dbe1d4143490b9bb5957eac2dd8e69b5dc4b2206e6");
}
