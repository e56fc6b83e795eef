//! What became of credentials of before: read from the chain, and nothing sent.

use std::{num::NonZeroU64, time::Duration};

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Became, PayError},
};

use super::{
    super::{ChannelId, Payload, Protocol, TempoSession},
    Payer,
};
use crate::chain::{
    escrow,
    look::{self, MARGIN, Seen},
    parse_address, parse_hex,
    reserve::{self, ChannelClosed, ChannelOpened, ToppedUp, topic},
    rpc::{Rpc, RpcError},
    transaction::{FeePayer, Signed},
};

/// The longest that the chain is asked.
const LOOK: Duration = Duration::from_secs(10);
/// Blocks that are searched at once: nodes refuse more than some ten thousand.
const PAGE: u64 = 4096;
/// Pages that are searched, from the latest block back.
const PAGES: u64 = 2;
/// Seconds of the chain's own time after a transaction's end for which that many blocks surely go back to it.
const SEARCHED: u64 = 1800;

impl Payer {
    /// What the chain says of a credential. What cannot be told is open.
    pub(super) async fn look_after(
        &self,
        demand: &Demand<'_, TempoSession>,
        payload: &Payload,
    ) -> Result<Became, PayError> {
        let details = &demand.request.details.method_details;
        if details.chain_id() != self.node.chain_id() {
            return Ok(Became::Open);
        }
        let Ok(id) = payload.channel_id().parse::<ChannelId>() else { return Ok(Became::Open) };
        let node = self.node.node().await.map_err(unclear)?;
        let kept = match details.protocol() {
            Protocol::V1 => match parse_address(&details.escrow_contract) {
                Ok(contract) => Kept::Contract(contract),
                Err(_) => return Ok(Became::Open),
            },
            Protocol::V2 => Kept::Reserve,
            Protocol::Other(_) => return Ok(Became::Open),
        };
        let found = async {
            match payload {
                Payload::Open { transaction, .. } => {
                    self.transaction_became(node, transaction, (kept, id), None).await
                }
                Payload::TopUp { transaction, additional_deposit, .. } => {
                    let added = Some(*additional_deposit);
                    self.transaction_became(node, transaction, (kept, id), added).await
                }
                Payload::Voucher { cumulative_amount, .. }
                | Payload::Close { cumulative_amount, .. } => {
                    voucher_became(node, (kept, id), *cumulative_amount).await
                }
            }
        };
        let told = tokio::time::timeout(LOOK * 2, found).await;
        told.map_err(unclear)?.map_err(unclear)
    }

    /// A transaction that was handed to a server: known by its hash, or, where a sponsor's signature is part of that, by what it
    /// did.
    async fn transaction_became(
        &self,
        node: &dyn Rpc,
        transaction: &str,
        (kept, id): (Kept, ChannelId),
        added: Option<Amount>,
    ) -> Result<Became, RpcError> {
        let signed = parse_hex(transaction).and_then(|raw| Signed::decode(&raw).ok());
        let Some(signed) = signed else { return Ok(Became::Open) };
        let Some(end) = signed.transaction.valid_before else { return Ok(Became::Open) };
        if signed.transaction.fee_payer != FeePayer::Awaited {
            return Ok(match look::look(node, LOOK, (signed.hash(), end)).await {
                Seen::Mined(receipt) if receipt.success => Became::Paid,
                Seen::Mined(_) => Became::Failed,
                Seen::Never => Became::Dead,
                Seen::Pending | Seen::Unclear(_) => Became::Open,
            });
        }
        did(node, (kept, id), end, added).await
    }
}

/// Who keeps a channel.
#[derive(Clone, Copy)]
enum Kept {
    Reserve,
    Contract(alloy::primitives::Address),
}

/// What a transaction with a sponsor did, told from the channel's logs. The chain's time is read before them: what is missing
/// after the end stays missing.
async fn did(
    node: &dyn Rpc,
    (kept, id): (Kept, ChannelId),
    end: NonZeroU64,
    added: Option<Amount>,
) -> Result<Became, RpcError> {
    let now = node.latest_block().await?.timestamp;
    let logs = logs(node, (kept, id), if added.is_some() { What::ToppedUp } else { What::Opened });
    let shown = logs.await?.into_iter().any(|told| match added {
        None => true,
        // Two top-ups of one size look alike: taken for this one, nothing is added twice.
        Some(added) => told == Some(added),
    });
    Ok(match now.checked_sub(end.get()) {
        _ if shown => Became::Paid,
        Some(since) if (MARGIN..=SEARCHED).contains(&since) => Became::Dead,
        _ => Became::Open,
    })
}

/// A voucher can be used as long as its channel is there; once that has ended, it was part of what the payee took, or never is.
async fn voucher_became(
    node: &dyn Rpc,
    (kept, id): (Kept, ChannelId),
    cumulative: Amount,
) -> Result<Became, RpcError> {
    let came_to = |settled: Amount| if settled >= cumulative { Became::Paid } else { Became::Dead };
    match kept {
        Kept::Contract(contract) => {
            let channel = escrow::channel(node, contract, id).await?;
            let over = channel.finalized;
            Ok(if over { came_to(Amount::new(channel.settled)) } else { Became::Open })
        }
        Kept::Reserve => {
            if !reserve::channel_state(node, id).await?.is_absent() {
                return Ok(Became::Open);
            }
            let closed = logs(node, (kept, id), What::Closed).await?;
            Ok(closed.into_iter().flatten().next().map_or(Became::Open, came_to))
        }
    }
}

/// Whether the reserve's latest logs tell that a channel has ended.
pub(super) async fn has_ended(node: &dyn Rpc, id: ChannelId) -> Result<bool, RpcError> {
    Ok(!logs(node, (Kept::Reserve, id), What::Closed).await?.is_empty())
}

/// A kind of log.
#[derive(Clone, Copy)]
enum What {
    Opened,
    ToppedUp,
    Closed,
}

/// The amounts that a channel's latest logs of a kind tell.
async fn logs(
    node: &dyn Rpc,
    (kept, id): (Kept, ChannelId),
    what: What,
) -> Result<Vec<Option<Amount>>, RpcError> {
    let mut to = node.latest_block().await?.number;
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let blocks = (to.saturating_sub(PAGE - 1), to);
        let search = match (kept, what) {
            (Kept::Contract(contract), _) => escrow::search_of(contract, id, blocks),
            (_, What::Opened) => {
                reserve::search(topic::CHANNEL_OPENED, (Some(id), None, None), blocks)
            }
            (_, What::ToppedUp) => reserve::search(topic::TOP_UP, (Some(id), None, None), blocks),
            (_, What::Closed) => {
                reserve::search(topic::CHANNEL_CLOSED, (Some(id), None, None), blocks)
            }
        };
        for told in node.logs(search).await? {
            found.extend(read(kept, what, &told.log, id));
        }
        match blocks.0.checked_sub(1) {
            Some(before) => to = before,
            None => break,
        }
    }
    Ok(found)
}

/// What a log tells, if it is of this kind and channel.
fn read(
    kept: Kept,
    what: What,
    log: &crate::chain::rpc::Log,
    id: ChannelId,
) -> Option<Option<Amount>> {
    if let Kept::Contract(contract) = kept {
        let told = escrow::Told::read(contract, log).filter(|told| told.channel == id)?;
        return match (what, told.event) {
            (What::Opened, escrow::Event::Opened { .. }) => Some(None),
            (What::ToppedUp, escrow::Event::ToppedUp { added, .. }) => {
                Some(Some(Amount::new(added)))
            }
            (What::Closed, escrow::Event::Closed { settled, .. }) => {
                Some(Some(Amount::new(settled)))
            }
            _ => None,
        };
    }
    match what {
        What::Opened => ChannelOpened::read(log).filter(|told| told.channel == id).map(|_| None),
        What::ToppedUp => ToppedUp::read(log)
            .filter(|told| told.channel == id)
            .map(|told| Some(Amount::new(told.added))),
        What::Closed => ChannelClosed::read(log)
            .filter(|told| told.channel == id)
            .map(|told| Some(Amount::new(told.settled))),
    }
}

fn unclear(cause: impl std::error::Error + Send + Sync + 'static) -> PayError {
    PayError::unknown("the chain does not say what became of the payment").because(cause)
}
