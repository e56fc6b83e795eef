//! What the reserve keeps of a channel: three numbers.

use alloy::primitives::Bytes;

use super::CHANNEL_RESERVE;
use crate::{
    chain::{
        rpc::{Malformed, Rpc, RpcError, Trial},
        words::{self, Words},
    },
    session::ChannelId,
};

/// A channel as the chain sees it, in base units of its token. All of it is zero for one that never was, and for one that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChannelState {
    /// What the payee has taken.
    pub settled: u128,
    /// What was deposited in all.
    pub deposit: u128,
    /// Unix seconds at which the payer asked to close it; zero where it did not.
    pub close_requested_at: u32,
}

impl ChannelState {
    /// Whether there is no such channel, or no more.
    pub fn is_absent(&self) -> bool {
        self.deposit == 0
    }

    /// Unix seconds from which the payer may take back what was not settled; `None` where it has not asked.
    pub fn grace_ends(&self) -> Option<u64> {
        let asked = u64::from(self.close_requested_at);
        (asked != 0).then_some(asked + super::CLOSE_GRACE_SECONDS)
    }
}

/// Asks the chain for a channel.
///
/// # Errors
/// [`RpcError`]: nobody knows.
pub async fn channel_state(node: &dyn Rpc, channel: ChannelId) -> Result<ChannelState, RpcError> {
    let asked = Trial::read(CHANNEL_RESERVE, get_channel_state(channel));
    Ok(read_channel_state(&node.call(asked).await?)?)
}

/// The calldata that asks for a channel.
pub fn get_channel_state(channel: ChannelId) -> Bytes {
    words::call(GET, [channel.0])
}

/// Reads the answer to [`get_channel_state`].
///
/// # Errors
/// [`Malformed`] for anything but three numbers of the right size, such as the nothing that a chain without a reserve answers.
pub fn read_channel_state(answer: &[u8]) -> Result<ChannelState, Malformed> {
    let mut words = Words(answer);
    let read = state(&mut words).filter(|_| words.end().is_some());
    read.ok_or(Malformed::Member("channel state"))
}

/// The calldata that asks for several channels at once.
pub fn get_channel_states(channels: &[ChannelId]) -> Bytes {
    let head = [words::of(32), words::of(channels.len() as u128)];
    words::call(GET_BATCH, head.into_iter().chain(channels.iter().map(|channel| channel.0)))
}

/// Reads the answer to [`get_channel_states`] of so many channels, in their order.
///
/// # Errors
/// [`Malformed`] for anything but that many states.
pub fn read_channel_states(answer: &[u8], count: usize) -> Result<Vec<ChannelState>, Malformed> {
    read_batch(answer, count).ok_or(Malformed::Member("channel states"))
}

fn read_batch(answer: &[u8], count: usize) -> Option<Vec<ChannelState>> {
    let mut words = Words(answer);
    let (offset, length) = (words.number(64)?, words.number(64)?);
    // Nothing is set aside for a length before as many states are there.
    if offset != 32 || length != count as u128 || words.0.len() != count.checked_mul(96)? {
        return None;
    }
    (0..count).map(|_| state(&mut words)).collect()
}

fn state(words: &mut Words<'_>) -> Option<ChannelState> {
    Some(ChannelState {
        settled: words.number(96)?,
        deposit: words.number(96)?,
        close_requested_at: words.number(32)?.try_into().ok()?,
    })
}

pub(super) const GET: [u8; 4] = [0xd1, 0x8d, 0xa8, 0xb1];
pub(super) const GET_BATCH: [u8; 4] = [0xd1, 0xf4, 0xcd, 0xa2];
