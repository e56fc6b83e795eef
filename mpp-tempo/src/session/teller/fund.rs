//! Takes a payer's deposit to the chain, once, and finds out what became of it.
//!
//! Whatever paid its fee, the channel shows it: its log in a receipt, or its state. Sending the same bytes again moves no second
//! deposit, since the chain remembers an expiring nonce until the transaction can no longer be mined.

use alloy::primitives::B256;
use mpp_core::{
    Amount,
    account::{Account, closed},
    fate::{Fate, Settlement},
};

use super::{
    Channel, Teller,
    deposit::{Deposit, What},
    look,
    reason::{self, failed},
    settled,
};
use crate::{
    chain::{
        look::{MARGIN, PAUSE, PROVABLE, Unclear, about},
        reserve::{CLOSE_GRACE_SECONDS, ChannelOpened, ToppedUp, topic},
        rpc::{Block, Receipt, Rpc},
        transaction::Signed,
    },
    charge::{
        reason as charged,
        verifier::{
            settle::never,
            sponsored::{Stuck, Unpaid, first, told},
        },
    },
};

/// Seconds before the end of a channel's shortest life from which on its absence does not say that it never was.
const SHORT_OF_GRACE: u64 = CLOSE_GRACE_SECONDS - 60;

/// A deposit, and the account it is for.
#[derive(Clone, Copy)]
pub(super) struct Funding<'a> {
    pub(super) teller: &'a Teller,
    pub(super) deposit: &'a Deposit,
    pub(super) account: &'a Account<Channel>,
}

impl Funding<'_> {
    /// Sends it, signed by a sponsor where it awaits one.
    pub(super) async fn settle(self) -> Fate {
        if !self.deposit.awaits_sponsor() {
            return self.send(&self.deposit.signed).await;
        }
        let Some(sponsor) = &self.teller.sponsor else { return Fate::unknown(Stuck::NoSponsor) };
        let cosigned = match sponsor.cosigned(&self.deposit.signed).await {
            Ok(Some(before)) => before,
            Ok(None) => match first(sponsor, &self.unpaid()).await {
                Ok(cosigned) => cosigned,
                // It fails for want of money also where another sponsor has sent it a moment ago.
                Err(Fate::Failed(refusal)) => return self.unless_seen(Fate::Failed(refusal)).await,
                Err(fate) => return fate,
            },
            Err(cause) => return Fate::unknown(cause),
        };
        // A crash from here on leaves the record: the next run sends these very bytes, which the chain takes once.
        let fate = self.send(cosigned.signed()).await;
        told(sponsor, &cosigned, fate).await
    }

    /// Asks the chain, and signs and sends nothing.
    pub(super) async fn reconcile(self) -> Fate {
        if !self.deposit.awaits_sponsor() {
            return self.seen(Some(self.deposit.signed.hash()), None).await;
        }
        let Some(sponsor) = &self.teller.sponsor else { return self.seen(None, None).await };
        match sponsor.cosigned(&self.deposit.signed).await {
            Ok(Some(cosigned)) => {
                let fate = self.seen(Some(cosigned.signed().hash()), None).await;
                told(sponsor, &cosigned, fate).await
            }
            Ok(None) => self.seen(None, None).await,
            Err(cause) => Fate::unknown(cause),
        }
    }

    fn unpaid(&self) -> Unpaid<'_> {
        Unpaid {
            node: &self.teller.node,
            clock: &*self.teller.clock,
            signed: &self.deposit.signed,
            payer: self.deposit.payer,
            valid_before: Some(self.deposit.valid_before.get()),
        }
    }

    async fn send(&self, signed: &Signed) -> Fate {
        let hash = signed.hash();
        let node = match self.teller.node.node().await {
            Ok(node) => node,
            Err(cause) => return Fate::unknown(Unclear::Pin(cause)),
        };
        let within = self.teller.settle_deadline;
        // A crash from here on leaves a transaction that may be mined: the order is on the books, and the chain is asked for it.
        let cause = match tokio::time::timeout(within, node.send(signed.encode().into())).await {
            Ok(Ok(receipt)) => match about(hash, receipt) {
                Ok(receipt) => return self.judge(&receipt),
                Err(cause) => cause,
            },
            Ok(Err(cause)) => Unclear::Rpc(cause),
            Err(_) => Unclear::Deadline,
        };
        self.seen(Some(hash), Some(cause)).await
    }

    /// What the chain shows; where it shows nothing, why nothing was heard before, if that is known.
    async fn seen(&self, hash: Option<B256>, cause: Option<Unclear>) -> Fate {
        let node = match self.teller.node.node().await {
            Ok(node) => node,
            Err(cause) => return Fate::unknown(Unclear::Pin(cause)),
        };
        let within = self.teller.settle_deadline;
        match (tokio::time::timeout(within, self.shown(node, hash)).await, cause) {
            (Ok(Ok(Fate::Absent)), Some(cause)) => Fate::unknown(cause),
            (Ok(Ok(fate)), _) => fate,
            (Ok(Err(cause)), _) => Fate::unknown(cause),
            (Err(_), _) => Fate::unknown(Unclear::Deadline),
        }
    }

    async fn unless_seen(&self, fate: Fate) -> Fate {
        match self.seen(None, None).await {
            Fate::Settled(settled) => Fate::Settled(settled),
            Fate::Unknown(cause) => Fate::Unknown(cause),
            _ => fate,
        }
    }

    /// The time is read before the chain is searched, and what is missing is called missing only once it was so twice.
    async fn shown(&self, node: &dyn Rpc, hash: Option<B256>) -> Result<Fate, Unclear> {
        let block = node.latest_block().await.map_err(Unclear::Rpc)?;
        if let Some(fate) = self.found(node, hash, &block).await? {
            return Ok(fate);
        }
        let (now, end) = (block.timestamp, self.deposit.valid_before.get());
        if now < end {
            return Ok(Fate::Absent);
        }
        if now < end.saturating_add(MARGIN) {
            return Err(Unclear::Ending);
        }
        // Of a top-up the channel itself tells, however late, whatever the node has pruned. A channel that is not there may have
        // begun and ended since: only its log tells, and a node that pruned that finds nothing and does not say so.
        let opens = matches!(self.deposit.what, What::Open(_));
        if opens && now > end.saturating_add(PROVABLE) {
            return Err(Unclear::LongOver);
        }
        tokio::time::sleep(PAUSE.min(self.teller.settle_deadline / 10)).await;
        match self.found(node, hash, &block).await? {
            Some(fate) => Ok(fate),
            None if opens => Ok(never()),
            None => self.not_added(node).await,
        }
    }

    /// A top-up that the channel does not show, twice, after its end. One that is gone takes none; one that only seems so may have
    /// it, on a node that has not heard of the channel yet.
    async fn not_added(&self, node: &dyn Rpc) -> Result<Fate, Unclear> {
        let kept = &self.account.kept;
        if look::now(node, kept).await.map_err(Unclear::Rpc)?.is_some() {
            return Ok(never());
        }
        match look::gone(node, kept).await.map_err(Unclear::Rpc)? {
            Some(_) => Ok(Fate::Failed(closed())),
            None => Err(Unclear::Ending),
        }
    }

    async fn found(
        &self,
        node: &dyn Rpc,
        hash: Option<B256>,
        block: &Block,
    ) -> Result<Option<Fate>, Unclear> {
        if let Some(hash) = hash
            && let Some(receipt) = node.receipt(hash).await.map_err(Unclear::Rpc)?
        {
            return about(hash, receipt).map(|receipt| Some(self.judge(&receipt)));
        }
        let kept = &self.account.kept;
        let seen = look::now(node, kept).await.map_err(Unclear::Rpc)?;
        let id = kept.id();
        match (&self.deposit.what, seen) {
            (What::Open(_), Some(seen)) => {
                let by = look::lately(node, topic::CHANNEL_OPENED, id, block).await;
                Ok(Some(Fate::Settled(opened(&seen, by.map(|(hash, _)| hash)))))
            }
            (What::TopUp(_), Some(seen)) => {
                let due = kept.deposit.checked_add(self.added());
                let done = due.is_some_and(|due| seen.deposit >= due);
                Ok(done.then(|| Fate::Settled(opened(&seen, None))))
            }
            // A channel can have begun and ended since.
            (What::Open(_), None)
                if block.timestamp
                    > self.deposit.valid_before.get().saturating_add(SHORT_OF_GRACE) =>
            {
                let by = look::lately(node, topic::CHANNEL_OPENED, id, block).await;
                let ended = |(hash, height)| {
                    Fate::Settled(opened(&kept.gone(Amount::ZERO, height), Some(hash)))
                };
                Ok(by.map(ended))
            }
            (_, None) => Ok(None),
        }
    }

    fn added(&self) -> Amount {
        Amount::new(self.deposit.what.amount())
    }

    /// What a mined transaction came to: only the channel's own log proves anything.
    fn judge(&self, receipt: &Receipt) -> Fate {
        if !receipt.success {
            let detail = "The transaction was mined and failed; only its fee was taken.";
            return Fate::Failed(failed(charged::REVERTED, detail));
        }
        let (kept, id) = (&self.account.kept, self.deposit.channel());
        let added = self.deposit.what.amount();
        let logs = receipt.logs.iter();
        let deposit = match &self.deposit.what {
            What::Open(_) => logs
                .filter_map(ChannelOpened::read)
                .find_map(|log| (log.channel == id && log.deposit == added).then_some(log.deposit)),
            What::TopUp(_) => logs
                .filter_map(ToppedUp::read)
                .find_map(|log| (log.channel == id && log.added == added).then_some(log.deposit)),
        };
        let Some(deposit) = deposit else {
            let detail = "The transaction was mined, and its logs show no such deposit.";
            return Fate::Failed(failed(reason::NOT_DEPOSITED, detail));
        };
        let seen = Channel {
            deposit: Amount::new(deposit),
            // A deposit takes a request to close back.
            close_requested_at: 0,
            block: receipt.block_number,
            ..kept.clone()
        };
        Fate::Settled(opened(&seen, Some(receipt.hash)))
    }
}

fn opened(channel: &Channel, by: Option<B256>) -> Settlement {
    settled(channel, by)
}
