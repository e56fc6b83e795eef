//! The server half: takes vouchers of channels, sends their deposits, collects what was earned, and closes them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use mpp_core::{
    Amount,
    account::{Account, Proof},
    binding::Claim,
    credential::Source,
    fate::{Fate, Settlement},
    intent::{PriceError, Rate, SessionTerms},
    method::Nested,
    problem::Rejection,
    teller::{Act, Need, Standing},
    time::Clock,
    verifier::{Asking, Minted, Spend},
};
use serde_json::{Map, Value};

use super::{ChannelId, Details, Domain, TempoSession};
use crate::{
    chain::{Chain, did::Did, rpc::Pinned},
    charge::{sponsor::Sponsor, verifier::unavailable},
};

mod build;
mod channel;
mod check;
mod close;
mod collect;
mod deposit;
mod fund;
mod look;
mod offer;
mod order;
pub mod reason;
mod send;
mod trial;

pub use self::{build::OperatorError, channel::Channel, order::Order};
use self::{fund::Funding, order::Kind, send::Hand};

/// Sells by vouchers of payers' channels on one Tempo chain (TIP-1034).
///
/// A voucher is checked without asking anybody. A deposit is sent once everything about it holds and a trial has shown that it
/// would succeed. What was earned is collected by the signer, which is the recipient's own or an operator's: the payee and the
/// operator of a channel are the only ones whom the chain lets settle and close.
///
/// Who changes the operator keeps a teller of the old one beside the new until its channels are closed: no other can collect what
/// they earned. Payers that go on with one of them at the new teller are told to open another.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_tempo::{Chain, HttpRpc, Key, session::Teller};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::on(&Chain::MODERATO)?);
/// let key: Key = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a".parse()?;
/// let recipient = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"; // this key's account
/// let teller = Teller::new(&Chain::MODERATO, recipient, Arc::new(key), node)?
///     .min_voucher_delta("0.0005")?
///     .min_deposit("1.00")?;
/// # let _ = teller; // hand it to a gate of `mpp-server`, with a rate: "0.0001 usd per token"
/// # Ok(())
/// # }
/// ```
///
/// Keeps its deadlines by tokio's timer: settle within a runtime that has one.
#[derive(Clone, Debug)]
pub struct Teller {
    chain: Chain,
    token: Address,
    recipient: Address,
    operator: Address,
    node: Pinned,
    domain: Domain,
    hand: Hand,
    sponsor: Option<Sponsor>,
    least: Amount,
    least_deposit: Option<Amount>,
    settle_deadline: Duration,
    longest_validity: Duration,
    clock: Arc<dyn Clock>,
}

impl Teller {
    async fn carry_out(&self, order: &Order, account: &Account<Channel>) -> Fate {
        match &order.kind {
            Kind::Deposit(deposit) => Funding { teller: self, deposit, account }.settle().await,
            Kind::Close(last) => self.end(account, last.as_ref()).await,
            Kind::Collect(proof) => self.collect_one((proof, account)).await,
        }
    }

    /// Whether the channel is there, and would let this signer settle and close it.
    fn is_takeable(&self, kept: &Channel) -> bool {
        !kept.ended && self.can_collect(&kept.descriptor)
    }
}

impl mpp_core::teller::Teller for Teller {
    type Method = TempoSession;
    type Order = Order;
    type Kept = Channel;

    /// Chain, token and recipient, and the signer where it is an operator: the chain lets no other operator settle and close its
    /// channels, so accounts of two operators are never one teller's to sweep. Not the sponsor: what became of what it signed
    /// the channel itself shows.
    fn settles_at(&self) -> Cow<'_, str> {
        let place = format!("{}/{:#x}/{:#x}", self.chain.id, self.token, self.recipient);
        let signer = self.hand.signer.account();
        Cow::Owned(if signer == self.recipient { place } else { format!("{place}/{signer:#x}") })
    }

    fn terms(&self, ask: &Rate) -> Result<SessionTerms, PriceError> {
        self.asked(ask)
    }

    async fn details(
        &self,
        terms: &SessionTerms,
        _: Asking<'_>,
        known: Option<&Account<Channel>>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        let nested = |method_details| Nested { method_details };
        Ok(match known.and_then(|known| self.details_of_known(terms, known)) {
            Some(details) => Minted::once(nested(details), None),
            None => Minted::lasting(nested(self.details_of_all())),
        })
    }

    fn account(&self, claim: &Claim<TempoSession>) -> Result<String, Rejection> {
        self.is_ours(claim)?;
        Ok(claim.payload.channel_id().to_owned())
    }

    async fn check(
        &self,
        claim: &Claim<TempoSession>,
        known: Option<&Account<Channel>>,
    ) -> Result<Act<Order, Channel>, Rejection> {
        self.checked(claim, known).await
    }

    fn named(&self, hint: &str) -> Option<String> {
        hint.parse::<ChannelId>().ok().map(|id| id.to_string())
    }

    fn ceiling(&self, kept: &Channel) -> Option<Amount> {
        Some(kept.deposit)
    }

    fn paid_out(&self, kept: &Channel) -> Amount {
        kept.settled
    }

    fn standing(&self, kept: &Channel) -> Standing {
        kept.standing()
    }

    fn payer(&self, kept: &Channel) -> Option<Source> {
        Some(payer(kept))
    }

    fn name<'o>(&self, order: &'o Order) -> Cow<'o, str> {
        order.name()
    }

    /// The chain takes a deposit once, for the channel that it names.
    fn spends<'o>(&self, _: &'o Order) -> Option<Spend<'o>> {
        None
    }

    /// A payer signs a deposit, and this server sends it.
    fn has_moved(&self, _: &Order) -> bool {
        false
    }

    async fn settle(&self, order: &Order, account: &Account<Channel>) -> Fate {
        self.carry_out(order, account).await
    }

    async fn reconcile(&self, order: &Order, account: &Account<Channel>) -> Fate {
        match &order.kind {
            Kind::Deposit(deposit) => Funding { teller: self, deposit, account }.reconcile().await,
            Kind::Close(last) => self.has_ended(account, last.as_ref()).await,
            Kind::Collect(proof) => self.has_collected((proof, account)).await,
        }
    }

    fn collect(&self, account: &Account<Channel>) -> Option<Order> {
        let (kept, due) = (&account.kept, account.collectable()?);
        let takes =
            self.is_takeable(kept) && due.amount > kept.settled && due.amount <= kept.deposit;
        takes.then(|| Order::of(Kind::Collect(Proof::clone(due))))
    }

    fn close(&self, account: &Account<Channel>) -> Option<Order> {
        self.is_takeable(&account.kept).then(|| Order::of(Kind::Close(None)))
    }

    async fn settle_together(&self, orders: &[(Order, Account<Channel>)]) -> Vec<Fate> {
        self.collect_all(orders).await
    }

    async fn look(&self, kept: &[Channel]) -> Vec<Option<Channel>> {
        self.seen(kept).await
    }

    fn merge(&self, kept: &mut Channel, seen: Channel) {
        kept.merge(seen);
    }

    fn receipt(&self, id: &str, account: &Account<Channel>) -> Map<String, Value> {
        offer::receipt(id, account)
    }

    fn need(&self, id: &str, account: &Account<Channel>, required: Amount) -> Need {
        offer::need(id, account, required)
    }

    fn fields(
        &self,
        id: &str,
        account: &Account<Channel>,
        terms: &SessionTerms,
    ) -> Vec<(&'static str, String)> {
        offer::fields(self, id, account, terms)
    }
}

fn payer(kept: &Channel) -> Source {
    let did = Did { chain_id: kept.chain_id, address: kept.descriptor.payer };
    Source::new(did.to_string())
}

/// What the chain did for a channel, and how it has the channel since.
fn settled(channel: &Channel, by: Option<B256>) -> Settlement {
    let kept = serde_json::to_value(channel).unwrap_or_default();
    let settlement = Settlement::new(channel.id().to_string()).keeping(kept).by(payer(channel));
    match by {
        Some(hash) => settlement.with("txHash", format!("{hash:#x}")),
        None => settlement,
    }
}

#[cfg(test)]
#[cfg(feature = "client")]
mod tests;
