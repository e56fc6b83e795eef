//! What became of payments of before: read from the chain, and nothing sent.

use std::num::NonZeroU64;

use alloy::primitives::Address;
use mpp_core::{
    challenge::Demand,
    payer::{Became, PayError, Recall},
};

use super::{
    super::{
        promise::{self, Promise},
        trace::{Trace, Traced},
    },
    Asked, LOOK, Payer, Payload, TempoCharge,
    plan::Way,
};
use crate::chain::{
    look::{self, Seen, Unclear},
    parse_hex,
    rpc::Rpc,
    tip20::match_logs,
    transaction::{FeePayer, Signed, Transaction},
};

impl Payer {
    /// Looks for a payment that was pushed and of which nobody was told.
    ///
    /// One in pull mode never left, so that only what is found counts there; it would have been pushed before the payer was
    /// told otherwise.
    pub(super) async fn recalled(
        &self,
        demand: &Demand<'_, TempoCharge>,
    ) -> Result<Recall<TempoCharge>, PayError> {
        let Some((asked, end)) = self.might_have_pushed(demand) else { return Ok(Recall::Never) };
        let trace = Trace { asked: &asked, account: self.signer.account(), end };
        let traced = match self.node.node().await {
            Ok(node) => trace.look(node, LOOK).await,
            Err(cause) => Err(Unclear::Pin(cause)),
        };
        // Whatever else it pays today: what it paid yesterday is paid.
        let pushes = self.way(demand, &asked) == Ok(Way::Push);
        match traced {
            Ok(Traced::Paid(hash)) => {
                let hash = format!("{hash:#x}");
                Ok(Recall::Paid(self.paid(Payload::Hash { hash }, None)))
            }
            Ok(Traced::Never) => Ok(Recall::Never),
            _ if !pushes => Ok(Recall::Never),
            Ok(Traced::Pending) => Ok(Recall::Unknown),
            Err(cause) => Err(unclear(cause)),
        }
    }

    /// What a challenge asks for that a payer of this account may have pushed, and when that must have been mined by.
    fn might_have_pushed(&self, demand: &Demand<'_, TempoCharge>) -> Option<(Asked, u64)> {
        let details = &demand.request.details.method_details;
        let asked = Asked::read(demand.challenge, &demand.request).ok()?;
        let end = demand.challenge.expires.as_ref()?.unix_seconds();
        let might = asked.chain_id == self.node.chain_id()
            && details.takes(&super::Mode::Push)
            && !details.is_sponsored()
            && !asked.fixed_memo;
        might.then_some((asked, u64::try_from(end).ok()?))
    }

    /// What became of a transaction that was handed to a server.
    pub(super) async fn signed_became(
        &self,
        demand: &Demand<'_, TempoCharge>,
        signature: &str,
    ) -> Result<Became, PayError> {
        let signed = promise::read(signature).map_err(unreadable)?;
        let asked = Asked::read(demand.challenge, &demand.request).map_err(unreadable)?;
        let account = signed.sender().map_err(unreadable)?;
        if signed.transaction.fee_payer == FeePayer::Awaited {
            return self.awaited_became(&signed, (&asked, account)).await;
        }
        let promise = Promise::by(account, &signed, &asked).map_err(unreadable)?;
        let Some(node) = self.node_on(promise.chain_id).await? else { return Ok(Became::Open) };
        match look::look(node, LOOK, promise.known_by()).await {
            Seen::Mined(receipt) if !receipt.success => Ok(Became::Failed),
            Seen::Mined(receipt) if promise.is_shown_by(&receipt.logs).is_ok() => Ok(Became::Paid),
            Seen::Mined(_) | Seen::Pending => Ok(Became::Open),
            Seen::Never => Ok(Became::Dead),
            Seen::Unclear(cause) => Err(unclear(cause)),
        }
    }

    /// What became of a transaction whose hash was shown. It was shown because it was mined, so that one which is missing
    /// says something about the node alone: it is never called dead.
    pub(super) async fn sent_became(
        &self,
        demand: &Demand<'_, TempoCharge>,
        hash: &str,
    ) -> Result<Became, PayError> {
        let asked = Asked::read(demand.challenge, &demand.request).map_err(unreadable)?;
        let hash = parse_hex(hash).and_then(|bytes| bytes.as_ref().try_into().ok());
        let hash = hash.ok_or_else(|| PayError::unknown(UNREADABLE))?;
        let Some(node) = self.node_on(asked.chain_id).await? else { return Ok(Became::Open) };
        let receipt = match tokio::time::timeout(LOOK, node.receipt(hash)).await {
            Ok(said) => said.map_err(|cause| unclear(Unclear::Rpc(cause)))?,
            Err(_) => return Err(unclear(Unclear::Deadline)),
        };
        let Some(receipt) = receipt else { return Ok(Became::Open) };
        let receipt = look::about(hash, receipt).map_err(unclear)?;
        let account = self.signer.account();
        let shown = match_logs(asked.token, Some(account), &asked.legs, &receipt.logs);
        Ok(match shown {
            _ if receipt.from != account => Became::Open,
            _ if !receipt.success => Became::Failed,
            Ok(()) => Became::Paid,
            Err(_) => Became::Open,
        })
    }

    /// What became of a transaction that a sponsor was to sign: the chain knows it by a hash that nobody here knows.
    async fn awaited_became(
        &self,
        signed: &Signed,
        (asked, account): (&Asked, Address),
    ) -> Result<Became, PayError> {
        let Transaction { chain_id, valid_before, .. } = &signed.transaction;
        let Some(node) = self.node_on(*chain_id).await? else { return Ok(Became::Open) };
        let end = valid_before.map(NonZeroU64::get);
        let end = end.ok_or_else(|| PayError::unknown(UNREADABLE))?;
        let trace = Trace { asked, account, end };
        Ok(match trace.look(node, LOOK).await.map_err(unclear)? {
            // Another payment with the same memo looks the same: what is found is not surely this one.
            Traced::Paid(_) if asked.fixed_memo => Became::Open,
            Traced::Paid(_) => Became::Paid,
            Traced::Never => Became::Dead,
            Traced::Pending => Became::Open,
        })
    }

    /// The node, where it is on the payment's chain. What happened on another one is not this payer's to say.
    async fn node_on(&self, chain_id: u64) -> Result<Option<&dyn Rpc>, PayError> {
        match look::node_of(&self.node, chain_id).await {
            Err(Unclear::OtherChain(_)) => Ok(None),
            found => found.map(Some).map_err(unclear),
        }
    }
}

const UNREADABLE: &str = "the payment that was signed cannot be read";

fn unreadable(cause: impl std::error::Error + Send + Sync + 'static) -> PayError {
    PayError::unknown(UNREADABLE).because(cause)
}

fn unclear(cause: Unclear) -> PayError {
    PayError::unknown("the chain does not say what became of the payment").because(cause)
}
