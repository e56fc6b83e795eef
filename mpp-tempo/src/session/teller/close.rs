//! Ends a channel, and captures what was spent of it.
//!
//! A channel closes once, whoever sends how often. So nothing that is signed here is written down, and what the chain has is
//! asked for first.

use mpp_core::{
    Amount,
    account::{Account, Proof},
    fate::Fate,
};

use super::{Channel, Teller, collect::settling, look, look::Gone, send::Unsent, settled};
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
    #[error("the chain refuses the close; what was earned is settled, and the channel stays")]
    Kept(#[source] Box<Self>),
}

impl Stuck {
    /// Whether the chain itself refused, in a trial or in a block.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed | Self::Unsent(Unsent::Reverts(_)))
    }
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
            Some(seen) if cause.is_refusal() => {
                Err(self.take_at_least(node, account, &seen, (last, cause)).await)
            }
            Some(_) => Err(cause),
        }
    }

    /// A close also pays its payer back, and a token can refuse that: what was earned is then settled, which pays nobody but the
    /// payee. The channel stays, to be closed another time.
    async fn take_at_least(
        &self,
        node: &dyn Rpc,
        account: &Account<Channel>,
        seen: &Channel,
        (last, cause): (Option<&Proof>, Stuck),
    ) -> Stuck {
        let taken = account.kept.settled.max(seen.settled);
        let most = account.spent.min(seen.deposit);
        let proofs = last.into_iter().chain(&account.proof).chain(&account.earlier);
        let fitting = proofs.filter(|proof| proof.amount > taken && proof.amount <= most);
        let Some(best) = fitting.max_by_key(|proof| proof.amount) else { return cause };
        let Ok(call) = settling((best, account)) else { return cause };
        // A crash in here leaves a settlement that may be mined: the next run finds the total taken.
        match self.send(node, vec![call]).await {
            Ok(receipt) if receipt.success => Stuck::Kept(Box::new(cause)),
            _ => cause,
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
