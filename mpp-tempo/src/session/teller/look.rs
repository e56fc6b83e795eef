//! What the chain has of channels. That one is gone is believed only where it is certain: whoever believes a node that has
//! not heard of a channel yet throws its money away.

use std::error::Error;

use alloy::primitives::B256;
use mpp_core::Amount;

use super::{Channel, Teller};
use crate::{
    chain::{
        look::{PAUSE, Unclear},
        reserve::{
            self, CHANNEL_RESERVE, ChannelClosed, ChannelState, channel_state, get_channel_states,
            read_channel_states, topic,
        },
        rpc::{Block, Rpc, RpcError, Trial},
    },
    session::ChannelId,
};

/// Blocks after the one in which a channel was last seen by which every node must have heard of it: half a minute of them.
const HEARD: u64 = 60;

/// Blocks that are searched at once: nodes refuse more than some ten thousand.
const PAGE: u64 = 4096;

/// Pages that are searched at most, from the latest block back.
const PAGES: u64 = 8;

/// Channels that are asked for at once.
const BATCH: usize = 256;

/// How the chain has a channel now; `None` where it has none. The height is asked for first, so that what is seen is never
/// older than it says.
pub(super) async fn now(node: &dyn Rpc, channel: &Channel) -> Result<Option<Channel>, RpcError> {
    let block = node.latest_block().await?;
    let state = channel_state(node, channel.id()).await?;
    Ok((!state.is_absent()).then(|| channel.seen(&state, block.number)))
}

/// A channel that is gone, and what ended it, where that is still to be found.
pub(super) struct Gone {
    pub(super) channel: Channel,
    pub(super) by: Option<B256>,
}

/// Makes sure that a channel which was there, and which the chain no longer shows, is gone: the log of its end says so, or
/// nodes that have heard of it say twice that it is not there. `None`: it cannot be told.
pub(super) async fn gone(node: &dyn Rpc, channel: &Channel) -> Result<Option<Gone>, RpcError> {
    let id = channel.id();
    let latest = node.latest_block().await?;
    let logged = ended(node, id, (channel.block, latest.number)).await;
    if let Ok(Some((closed, by, block))) = logged {
        let channel = channel.gone(Amount::new(closed.settled), block);
        return Ok(Some(Gone { channel, by: Some(by) }));
    }
    let heard = channel.block != 0 && latest.number >= channel.block.saturating_add(HEARD);
    if !heard {
        return Ok(None);
    }
    tokio::time::sleep(PAUSE).await;
    if !channel_state(node, id).await?.is_absent() {
        return Ok(None);
    }
    Ok(Some(Gone { channel: channel.gone(Amount::ZERO, latest.number), by: None }))
}

/// The log of a channel's end, searched for from the latest block back.
async fn ended(
    node: &dyn Rpc,
    id: ChannelId,
    (first, latest): (u64, u64),
) -> Result<Option<(ChannelClosed, B256, u64)>, RpcError> {
    let mut to = latest;
    for _ in 0..PAGES {
        let from = to.saturating_sub(PAGE - 1).max(first);
        let search = reserve::search(topic::CHANNEL_CLOSED, (Some(id), None, None), (from, to));
        for told in node.logs(search).await?.into_iter().rev() {
            if let Some(closed) = ChannelClosed::read(&told.log).filter(|log| log.channel == id) {
                return Ok(Some((closed, told.transaction, told.block_number)));
            }
        }
        if from <= first {
            break;
        }
        to = from.saturating_sub(1);
    }
    Ok(None)
}

/// The transaction that wrote a log of a channel in the latest blocks, and that log's height.
pub(super) async fn lately(
    node: &dyn Rpc,
    event: B256,
    id: ChannelId,
    latest: &Block,
) -> Option<(B256, u64)> {
    let blocks = (latest.number.saturating_sub(2 * PAGE - 1), latest.number);
    let search = reserve::search(event, (Some(id), None, None), blocks);
    let told = node.logs(search).await.ok()?.into_iter().rev();
    told.into_iter()
        .find(|told| {
            let topics = told.log.topics.as_slice();
            told.log.address == CHANNEL_RESERVE && topics.starts_with(&[event, id.0])
        })
        .map(|told| (told.transaction, told.block_number))
}

impl Teller {
    /// How the chain has channels, in as few questions as there can be; one by one where it does not say of them together. One
    /// that it does not show any more is looked for by itself.
    pub(super) async fn seen(&self, kept: &[Channel]) -> Vec<Option<Channel>> {
        let mut all = Vec::with_capacity(kept.len());
        for some in kept.chunks(BATCH) {
            match self.seen_together(some).await {
                Ok(seen) => all.extend(seen),
                Err(cause) => {
                    let (channels, cause) = (some.len(), chain_of(&cause));
                    tracing::warn!(channels, cause, "the node does not say how channels stand");
                    all.extend(self.seen_apart(some).await);
                }
            }
        }
        all
    }

    async fn seen_together(&self, kept: &[Channel]) -> Result<Vec<Option<Channel>>, Unclear> {
        let node = self.node.node().await.map_err(Unclear::Pin)?;
        let block = node.latest_block().await.map_err(Unclear::Rpc)?;
        let ids: Vec<_> = kept.iter().map(Channel::id).collect();
        let asked = Trial::read(CHANNEL_RESERVE, get_channel_states(&ids));
        let answer = node.call(asked).await.map_err(Unclear::Rpc)?;
        let states = read_channel_states(&answer, ids.len()).map_err(Unclear::Other)?;
        let mut seen = Vec::with_capacity(kept.len());
        for (channel, state) in kept.iter().zip(states) {
            seen.push(self.as_seen(node, channel, (&state, block.number)).await);
        }
        Ok(seen)
    }

    /// A node that does not answer at all is not asked for the rest either.
    async fn seen_apart(&self, kept: &[Channel]) -> Vec<Option<Channel>> {
        let mut seen = Vec::with_capacity(kept.len());
        if let Ok(node) = self.node.node().await
            && let Ok(block) = node.latest_block().await
        {
            for channel in kept {
                let state = match channel_state(node, channel.id()).await {
                    Ok(state) => state,
                    Err(RpcError::Unreachable(_) | RpcError::Unanswered(_)) => break,
                    Err(cause) => {
                        let (channel, cause) = (channel.id().to_string(), chain_of(&cause));
                        tracing::warn!(
                            channel,
                            cause,
                            "the node does not say how a channel stands"
                        );
                        seen.push(None);
                        continue;
                    }
                };
                seen.push(self.as_seen(node, channel, (&state, block.number)).await);
            }
        }
        seen.resize(kept.len(), None);
        seen
    }

    async fn as_seen(
        &self,
        node: &dyn Rpc,
        channel: &Channel,
        (state, block): (&ChannelState, u64),
    ) -> Option<Channel> {
        match state.is_absent() {
            _ if channel.chain_id != self.chain.id => None,
            false => Some(channel.seen(state, block)),
            true if channel.block == 0 || channel.ended => None,
            true => gone(node, channel).await.ok().flatten().map(|gone| gone.channel),
        }
    }
}

/// An error, and what lies under it.
fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut under = error.source();
    while let Some(cause) = under {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        under = cause.source();
    }
    text
}
