//! Ends a channel, and captures what was spent of it.
//!
//! A channel closes once, whoever sends how often. So nothing that is signed here is written down, and what the chain has is
//! asked for first.

use mpp_core::{
    Amount,
    account::{Account, Proof},
    fate::Fate,
};

use super::{Channel, Teller, look, look::Gone, send::Unsent, settled};
use crate::chain::{
    look::Unclear,
    parse_hex,
    reserve::{self, ChannelClosed},
    rpc::{Receipt, Rpc, RpcError},
    transaction::Call,
};

/// Why it cannot be told what became of a close, or of a collection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stuck {
    #[error(transparent)]
    Unsent(#[from] Unsent),
    #[error("the transaction was mined and failed")]
    Failed,
    #[error("the chain does not show the channel, and does not say that it is gone")]
    Missing,
    #[error("no voucher covers what was spent")]
    NoProof,
    #[error("the node does not say how the channel stands")]
    Silent(#[from] RpcError),
    #[error("the node cannot be asked")]
    Node(#[source] Unclear),
}

impl Teller {
    /// Closes the channel. Never [`Fate::Failed`]: a transaction of an earlier run may be on its way, and must not find a channel
    /// that is served from again.
    pub(super) async fn end(&self, account: &Account<Channel>, last: Option<&Proof>) -> Fate {
        self.try_end(account, last).await.map_or_else(Fate::unknown, |gone| closed(&gone, last))
    }

    async fn try_end(
        &self,
        account: &Account<Channel>,
        last: Option<&Proof>,
    ) -> Result<Gone, Stuck> {
        let (node, kept) = (self.reached().await?, &account.kept);
        let Some(seen) = look::now(node, kept).await? else { return ended(node, kept).await };
        let call = closing(account, &seen, last)?;
        // A crash in here leaves a close that may be mined: the next run finds the channel gone.
        let cause = match self.send(node, vec![call]).await {
            Ok(receipt) => match closed_by(&receipt, kept) {
                Some(gone) => return Ok(gone),
                None => Stuck::Failed,
            },
            Err(cause) => cause.into(),
        };
        // Perhaps somebody was first.
        match look::now(node, kept).await? {
            None => ended(node, kept).await,
            Some(_) => Err(cause),
        }
    }

    /// Whether the channel is closed. Sends nothing.
    pub(super) async fn has_ended(&self, account: &Account<Channel>, last: Option<&Proof>) -> Fate {
        let asked = async {
            let node = self.reached().await?;
            match look::now(node, &account.kept).await? {
                None => ended(node, &account.kept).await.map(|gone| closed(&gone, last)),
                Some(_) => Ok(Fate::Absent),
            }
        };
        asked.await.unwrap_or_else(Fate::unknown)
    }

    pub(super) async fn reached(&self) -> Result<&dyn Rpc, Stuck> {
        self.node.node().await.map_err(|cause| Stuck::Node(Unclear::Pin(cause)))
    }

    pub(super) async fn send(&self, node: &dyn Rpc, calls: Vec<Call>) -> Result<Receipt, Unsent> {
        self.hand.send(node, self.chain.id, calls, self.settle_deadline).await
    }
}

/// The call that captures exactly what was spent, or what was taken already where that is more.
fn closing(
    account: &Account<Channel>,
    seen: &Channel,
    last: Option<&Proof>,
) -> Result<Call, Stuck> {
    let taken = account.kept.settled.max(seen.settled);
    let capture = account.spent.max(taken);
    let descriptor = &account.kept.descriptor;
    let proofs = last.into_iter().chain(&account.proof).chain(&account.earlier);
    let proof = proofs.into_iter().find(|proof| proof.amount >= capture);
    let (cumulative, signature) = match proof {
        Some(proof) => (proof.amount, parse_hex(&proof.text).ok_or(Stuck::NoProof)?),
        // Where nothing more is taken the chain looks at no signature.
        None if capture == taken => (capture, alloy::primitives::Bytes::new()),
        None => return Err(Stuck::NoProof),
    };
    Ok(reserve::close(descriptor, cumulative.get(), capture.get(), &signature))
}

fn closed_by(receipt: &Receipt, kept: &Channel) -> Option<Gone> {
    let id = kept.id();
    let mut logs = receipt.logs.iter().filter_map(ChannelClosed::read);
    let log = logs.find(|log| log.channel == id).filter(|_| receipt.success)?;
    let channel = kept.gone(Amount::new(log.settled), receipt.block_number);
    Some(Gone { channel, by: Some(receipt.hash) })
}

/// A channel that the chain does not show is closed, by whomever, once that is certain: what was captured is in what is kept.
async fn ended(node: &dyn Rpc, kept: &Channel) -> Result<Gone, Stuck> {
    look::gone(node, kept).await?.ok_or(Stuck::Missing)
}

/// A payer who asked for the close finds in its receipt the very total that it signed for that.
fn closed(gone: &Gone, last: Option<&Proof>) -> Fate {
    let settlement = settled(&gone.channel, gone.by);
    Fate::Settled(match last {
        Some(last) => settlement.with("acceptedCumulative", last.amount.to_string()),
        None => settlement,
    })
}
