//! Takes what was earned from channels that stay open, from one or from several in one transaction.
//!
//! A settlement is of a total that must grow, so the chain takes each once, whoever sends how often: nothing that is signed here
//! is written down, and what was taken is asked for first.

use mpp_core::{
    Amount,
    account::{Account, Proof, closed},
    fate::Fate,
};

use super::{Channel, Order, Teller, close::Stuck, look, order::Kind, reason::failed, settled};
use crate::{
    chain::{
        parse_hex,
        reserve::{self, Settled},
        rpc::{Receipt, Rpc},
        transaction::Call,
    },
    charge::reason as charged,
};

/// Settlements in one transaction.
const TOGETHER: usize = 16;

/// A voucher, and the account it is of.
type Due<'a> = (&'a Proof, &'a Account<Channel>);

impl Teller {
    /// Takes what a voucher is good for.
    pub(super) async fn collect_one(&self, due: Due<'_>) -> Fate {
        self.try_collect(due).await.unwrap_or_else(Fate::unknown)
    }

    async fn try_collect(&self, due: Due<'_>) -> Result<Fate, Stuck> {
        let node = self.reached().await?;
        if let Some(fate) = taken(node, due).await? {
            return Ok(fate);
        }
        // A crash in here leaves a settlement that may be mined: the next run finds the total taken.
        let cause = match self.send(node, vec![settling(due)?]).await {
            Ok(receipt) => match taken_by(&receipt, due) {
                Some(fate) => return Ok(fate),
                None => Stuck::Failed,
            },
            Err(cause) => cause.into(),
        };
        match (taken(node, due).await?, cause) {
            (Some(fate), _) => Ok(fate),
            (None, cause) if cause.is_refusal() => {
                let detail = "The chain refuses the settlement.";
                Ok(Fate::Failed(failed(charged::WOULD_FAIL, detail).because(cause)))
            }
            (None, cause) => Err(cause),
        }
    }

    /// Whether what a voucher is good for was taken. Sends nothing.
    pub(super) async fn has_collected(&self, due: Due<'_>) -> Fate {
        let asked = async { taken(self.reached().await?, due).await };
        match asked.await {
            Ok(fate) => fate.unwrap_or(Fate::Absent),
            Err(cause) => Fate::unknown(cause),
        }
    }

    /// Takes what several vouchers are good for, by as few transactions as there can be; one by one where the chain would not take
    /// them together. A fate for each order, in order.
    pub(super) async fn collect_all(&self, orders: &[(Order, Account<Channel>)]) -> Vec<Fate> {
        let mut fates: Vec<Option<Fate>> = orders.iter().map(|_| None).collect();
        let due: Vec<(usize, Due<'_>)> = orders
            .iter()
            .enumerate()
            .filter_map(|(at, (order, account))| match &order.kind {
                Kind::Collect(proof) => Some((at, (proof, account))),
                _ => None,
            })
            .collect();
        for some in due.chunks(TOGETHER).filter(|some| some.len() > 1) {
            // What cannot be told of all of them is found out one by one.
            for (at, fate) in self.collect_some(some).await.unwrap_or_default() {
                if let Some(slot) = fates.get_mut(at) {
                    *slot = Some(fate);
                }
            }
        }
        let mut all = Vec::with_capacity(orders.len());
        for (fate, (order, account)) in fates.into_iter().zip(orders) {
            all.push(match fate {
                Some(fate) => fate,
                None => self.carry_out(order, account).await,
            });
        }
        all
    }

    /// One transaction for all of them that are still due. Those that it does not show are left out.
    async fn collect_some(&self, due: &[(usize, Due<'_>)]) -> Result<Vec<(usize, Fate)>, Stuck> {
        let node = self.reached().await?;
        let mut fates = Vec::with_capacity(due.len());
        let kept: Vec<Channel> = due.iter().map(|(_, (_, account))| account.kept.clone()).collect();
        let mut open = Vec::with_capacity(due.len());
        for ((at, due), seen) in due.iter().zip(self.seen(&kept).await) {
            match seen {
                Some(seen) if seen.settled >= due.0.amount => {
                    fates.push((*at, Fate::Settled(settled(&seen, None))));
                }
                Some(seen) if !seen.ended => open.push((*at, *due)),
                _ => {}
            }
        }
        if open.len() < 2 {
            return Ok(fates);
        }
        let calls = open.iter().map(|(_, due)| settling(*due)).collect::<Result<_, _>>()?;
        // A crash in here leaves settlements that may be mined, all or none: the next run finds the totals taken.
        let Ok(receipt) = self.send(node, calls).await else { return Ok(fates) };
        fates.extend(open.iter().filter_map(|(at, due)| Some((*at, taken_by(&receipt, *due)?))));
        Ok(fates)
    }
}

/// The call that takes it.
pub(super) fn settling((proof, account): Due<'_>) -> Result<Call, Stuck> {
    let signature = parse_hex(&proof.text).ok_or(Stuck::NoProof)?;
    Ok(reserve::settle(&account.kept.descriptor, proof.amount.get(), &signature))
}

/// Whether the chain has it as taken already; a channel that is gone for less never gives it.
async fn taken(node: &dyn Rpc, (proof, account): Due<'_>) -> Result<Option<Fate>, Stuck> {
    let (by, channel) = match look::now(node, &account.kept).await? {
        Some(seen) => (None, seen),
        None => {
            let gone = look::gone(node, &account.kept).await?.ok_or(Stuck::Missing)?;
            (gone.by, gone.channel)
        }
    };
    if channel.settled >= proof.amount {
        return Ok(Some(Fate::Settled(settled(&channel, by))));
    }
    Ok(channel.ended.then(|| Fate::Failed(closed())))
}

fn taken_by(receipt: &Receipt, (proof, account): Due<'_>) -> Option<Fate> {
    let id = account.kept.id();
    let mut logs = receipt.logs.iter().filter_map(Settled::read).filter(|_| receipt.success);
    let log = logs.find(|log| log.channel == id && log.settled >= proof.amount.get())?;
    let kept = Channel {
        settled: account.kept.settled.max(Amount::new(log.settled)),
        ..account.kept.clone()
    };
    Some(Fate::Settled(settled(&kept, Some(receipt.hash))))
}
