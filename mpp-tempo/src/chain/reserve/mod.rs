//! The chain's own channel reserve (TIP-1034): what is asked of it, what it answers, and what its logs tell.
//!
//! It keeps three numbers for each channel, under a hash of its descriptor, and no descriptor. Amounts are base units of the
//! channel's token, and have 96 bits: a call with more is one that the chain refuses.

mod calls;
mod error;
mod event;
mod state;

use alloy::primitives::{Address, address};

pub use self::{
    calls::{NotReserveCall, Open, TopUp, close, request_close, settle, withdraw},
    error::ReserveError,
    event::{
        ChannelClosed, ChannelOpened, CloseRequestCancelled, CloseRequested, Settled, ToppedUp,
        search, topic,
    },
    state::{
        ChannelState, channel_state, get_channel_state, get_channel_states, read_channel_state,
        read_channel_states,
    },
};

/// The reserve, at the same address on every chain from hardfork T5.
pub const CHANNEL_RESERVE: Address = address!("4D50500000000000000000000000000000000000");

/// How long after a payer's request to close it may take its money back: until then the payee may settle.
pub const CLOSE_GRACE_SECONDS: u64 = 900;

#[cfg(test)]
mod tests;
