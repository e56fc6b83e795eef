//! Takes a payment to the chain whose fee the sponsor pays: promised, simulated, co-signed, sent, in this order.
//!
//! The sponsor's signature is on record before it leaves, so that what the chain may know is known here: without a record
//! nothing was sent, and with one the very same bytes are sent again.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256, U256};
use mpp_core::{
    Timestamp,
    fate::{Fate, Settlement},
    problem::{Reason, Rejection},
    time::Clock,
};

use super::{
    Verifier,
    reason::{self, refusal},
    settle::{self, Wait},
    trial, unavailable,
};
use crate::{
    chain::{
        look::{self, PROVABLE, Unclear},
        rpc::{Pinned, Rpc, RpcError, Trial},
        tip20,
        transaction::{ATTO_PER_UNIT, FeePayer, Signed},
    },
    charge::{
        evidence::{self, Order},
        sponsor::{Approved, Cosigned, Reserved, Sponsor, Stage},
        trace::{Trace, Traced},
    },
};

mod earlier;

impl Verifier {
    /// Pays the fees of payments, which are then asked for in pull mode: a payer needs no other token than the one it pays.
    ///
    /// # Errors
    /// [`OtherChain`] for a sponsor on another chain.
    pub fn sponsored_by(self, sponsor: Sponsor) -> Result<Self, OtherChain> {
        if sponsor.chain_id() != self.node.chain_id() {
            return Err(OtherChain);
        }
        Ok(Self { sponsor: Some(sponsor), ..self })
    }

    pub(super) fn is_sponsored(&self) -> bool {
        self.sponsor.is_some()
    }

    /// Whether the sponsor would go along, and has room right now. Writes nothing.
    pub(super) async fn would_sponsor(
        &self,
        order: &Order,
        now: &Timestamp,
        challenge_ends: Option<&Timestamp>,
    ) -> Result<(), Rejection> {
        if order.signed.transaction.fee_payer != FeePayer::Awaited {
            return Ok(());
        }
        let Some(sponsor) = &self.sponsor else {
            return Err(refusal(reason::NOT_SPONSORED, "Nobody pays the fee for you here."));
        };
        let approved = sponsor.judge(&order.signed, now, Stage::Shown { challenge_ends })?;
        sponsor.has_room(&approved).await
    }

    /// Whether a payment that awaits a sponsor has found another one already. With a memo that others bear as well it cannot
    /// be told, and is not.
    pub(super) async fn is_sponsored_elsewhere(&self, order: &Order) -> Result<bool, Rejection> {
        if order.asked.fixed_memo {
            return Ok(false);
        }
        let seen = traced(self, order).await.map_err(unavailable)?;
        Ok(matches!(seen, Traced::Paid(_)))
    }
}

/// A sponsor on another chain than the one that is sold on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sponsor is on another chain")]
pub struct OtherChain;

/// Why it cannot be told what became of a sponsored payment, beside what a look at the chain can fail by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stuck {
    #[error("no sponsor is configured for a payment that awaits one")]
    NoSponsor,
    #[error("the node does not simulate, which the sponsor's policy requires")]
    NotSimulated,
    #[error("the node does not say whether the payment would succeed")]
    Silent(#[source] RpcError),
    #[error("another run may have signed")]
    Elsewhere,
    #[error("the sponsor holds too little of every token that it pays fees in")]
    Broke,
}

/// Goes on from wherever an earlier run got to.
pub(super) async fn settle(verifier: &Verifier, order: &Order) -> Fate {
    let Some(sponsor) = &verifier.sponsor else { return Fate::unknown(Stuck::NoSponsor) };
    let cosigned = match sponsor.cosigned(&order.signed).await {
        Ok(Some(before)) => before,
        Ok(None) => match first(sponsor, &order.unpaid(verifier)).await {
            Ok(cosigned) => cosigned,
            Err(fate) => return unsent(verifier, order, fate).await,
        },
        Err(cause) => return Fate::unknown(cause),
    };
    let promise = match order.promise_of(cosigned.signed()) {
        Ok(promise) => promise,
        Err(cause) => return Fate::unknown(cause),
    };
    // A crash from here on leaves the record: the next run sends these very bytes, which the chain takes once.
    let raw = cosigned.signed().encode().into();
    let fate = settle::send(verifier, &promise, raw, Wait::ForBlock).await;
    let fate = searched(verifier, order, fate).await;
    told(sponsor, &cosigned, fate).await
}

/// Asks the chain, and signs and sends nothing.
pub(super) async fn reconcile(verifier: &Verifier, order: &Order) -> Fate {
    let Some(sponsor) = &verifier.sponsor else { return Fate::unknown(Stuck::NoSponsor) };
    let cosigned = match sponsor.cosigned(&order.signed).await {
        Ok(Some(cosigned)) => cosigned,
        Ok(None) => {
            return searched(verifier, order, unsigned(order.valid_before, &verifier.clock.now()))
                .await;
        }
        Err(cause) => return Fate::unknown(cause),
    };
    let promise = match order.promise_of(cosigned.signed()) {
        Ok(promise) => promise,
        Err(cause) => return Fate::unknown(cause),
    };
    let rpc = match look::node_of(&verifier.node, promise.chain_id).await {
        Ok(rpc) => rpc,
        Err(cause) => return Fate::unknown(cause),
    };
    let fate = settle::seen(rpc, verifier.settle_deadline, &promise, None).await;
    let fate = searched(verifier, order, fate).await;
    told(sponsor, &cosigned, fate).await
}

/// Searches for a payment that is said to have ended unmined: whoever sees it on its way can sign it as another sponsor,
/// and the chain then knows it by another hash. Found by the memo that names its challenge, it is this payment.
async fn searched(verifier: &Verifier, order: &Order, fate: Fate) -> Fate {
    if !matches!(&fate, Fate::Failed(rejection) if rejection.reason == Reason::EXPIRED) {
        return fate;
    }
    match traced(verifier, order).await {
        Ok(Traced::Never) => fate,
        Ok(Traced::Paid(hash)) => by_another(order, hash),
        Ok(Traced::Pending) => Fate::unknown(Unclear::Ending),
        Err(cause) => Fate::unknown(cause),
    }
}

/// Searches for a payment that would fail, and that nobody here has signed: it fails for want of money also where another
/// sponsor has sent it a moment ago. With a memo that others bear as well that cannot be told, and what the trial showed
/// counts.
async fn unsent(verifier: &Verifier, order: &Order, fate: Fate) -> Fate {
    if order.asked.fixed_memo || !matches!(fate, Fate::Failed(_)) {
        return fate;
    }
    match traced(verifier, order).await {
        Ok(Traced::Paid(hash)) => by_another(order, hash),
        Ok(Traced::Never | Traced::Pending) => fate,
        Err(cause) => Fate::unknown(cause),
    }
}

/// What the chain shows of a payment, whoever sponsored it.
async fn traced(verifier: &Verifier, order: &Order) -> Result<Traced, Unclear> {
    let node = verifier.node.node().await.map_err(Unclear::Pin)?;
    let trace = Trace { asked: &order.asked, account: order.payer, end: order.valid_before.get() };
    trace.look(node, verifier.settle_deadline).await
}

/// A payment that another sponsor has sent.
fn by_another(order: &Order, hash: B256) -> Fate {
    // Another payment with the same memo looks the same: it cannot be told whose this is.
    if order.asked.fixed_memo {
        return Fate::unknown(Stuck::Elsewhere);
    }
    let payer = evidence::source(order.asked.chain_id, order.payer);
    Fate::Settled(Settlement::new(format!("{hash:#x}")).by(payer))
}

/// A transaction that awaits a sponsor, and the node that it is tried on.
pub(crate) struct Unpaid<'a> {
    pub(crate) node: &'a Pinned,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) signed: &'a Signed,
    /// Who signed it.
    pub(crate) payer: Address,
    /// When it ends, where a trial has to know that it does.
    pub(crate) valid_before: Option<u64>,
}

impl Order {
    fn unpaid<'a>(&'a self, verifier: &'a Verifier) -> Unpaid<'a> {
        let (node, clock) = (&verifier.node, &*verifier.clock);
        Unpaid { node, clock, signed: &self.signed, payer: self.payer, valid_before: None }
    }
}

/// Seconds by which the clocks of processes on one store may differ.
const SKEW: u64 = 60;

/// Without a record nothing has left; and nothing is signed any more once a transaction is over. Records are kept for
/// longer than that is asked after.
fn unsigned(valid_before: NonZeroU64, now: &Timestamp) -> Fate {
    let end = i64::try_from(valid_before.get()).unwrap_or(i64::MAX);
    let over_for = now.unix_seconds().saturating_sub(end);
    match u64::try_from(over_for) {
        Err(_) => Fate::Absent,
        Ok(seconds) if seconds < SKEW => Fate::unknown(Unclear::Ending),
        Ok(seconds) if seconds <= PROVABLE => settle::never(),
        Ok(_) => Fate::unknown(Unclear::LongOver),
    }
}

/// Promises, simulates and co-signs. Until the last of these nothing exists that anybody could send.
///
/// Whatever fails before nothing was signed by this run, and may have been by another, or be by the next: only a payment
/// that would fail has failed, once nobody can sign it any more.
pub(crate) async fn first(sponsor: &Sponsor, unpaid: &Unpaid<'_>) -> Result<Cosigned, Fate> {
    let now = unpaid.clock.now();
    let approved = sponsor.judge(unpaid.signed, &now, Stage::Settling).map_err(Fate::unknown)?;
    let node = unpaid.node.node().await.map_err(|cause| Fate::unknown(Unclear::Pin(cause)))?;
    let approved = in_a_token_it_has(node, sponsor, approved).await?;
    // A crash after this leaves a promise in the books for as long as its lease.
    let reserved = tokio::select! {
        reserved = sponsor.reserve(&approved) => reserved.map_err(Fate::unknown)?,
        never = earlier::make_way(unpaid.node, sponsor, approved) => match never {},
    };
    // The sender's earlier payments have ended: what this shows is what the chain will do.
    if let Err(fate) = simulate(node, sponsor, unpaid, &approved).await {
        return Err(withdrawn(sponsor, reserved, fate).await);
    }
    sponsor.cosign(reserved, unpaid.signed).await.map_err(Fate::unknown)
}

/// Picks the first of its tokens of which the sponsor holds enough for the fee: a node drops what lacks it.
async fn in_a_token_it_has(
    node: &dyn Rpc,
    sponsor: &Sponsor,
    approved: Approved,
) -> Result<Approved, Fate> {
    let fee = U256::from(approved.max_fee().get().div_ceil(ATTO_PER_UNIT));
    for token in sponsor.fee_tokens() {
        let asked = Trial::read(*token, tip20::balance_of(sponsor.address()));
        let answer = node.call(asked).await.map_err(|e| Fate::unknown(Stuck::Silent(e)))?;
        if tip20::read_balance(&answer).is_some_and(|held| held >= fee) {
            return sponsor.pay_in(approved, *token).ok_or(Fate::unknown(Stuck::Broke));
        }
    }
    Err(Fate::unknown(Stuck::Broke))
}

/// Takes the promise back. Where another run may have signed meanwhile, this one's verdict counts for nothing.
async fn withdrawn(sponsor: &Sponsor, reserved: Reserved, fate: Fate) -> Fate {
    match sponsor.withdraw(reserved).await {
        Ok(true) => fate,
        Ok(false) => Fate::unknown(Stuck::Elsewhere),
        Err(cause) => Fate::unknown(cause),
    }
}

/// Runs the payment as it would be sent, the fee aside from the payer. One that would fail would cost the sponsor its fee.
async fn simulate(
    node: &dyn Rpc,
    sponsor: &Sponsor,
    unpaid: &Unpaid<'_>,
    approved: &Approved,
) -> Result<(), Fate> {
    let calls = &unpaid.signed.transaction.calls;
    let trial = |payer: Option<Address>| Trial {
        from: Some(unpaid.payer),
        calls: calls.clone(),
        fee_token: payer.map(|_| approved.fee_token()),
        valid_before: unpaid.valid_before,
        fee_payer: payer,
    };
    let alone = calls.len() == 1;
    let tried = match node.simulate(trial(Some(sponsor.address()))).await {
        Err(error) if error.is_not_offered() && sponsor.requires_simulation() => {
            return Err(Fate::unknown(Stuck::NotSimulated));
        }
        Err(error) if error.is_not_offered() => node.call(trial(None)).await.map(|_| alone),
        tried => tried.map(|()| true),
    };
    let whole = tried.map_err(|error| match error.is_revert() {
        true => {
            let detail = "The token would refuse the transfer.";
            Fate::Failed(refusal(reason::WOULD_FAIL, detail).because(error))
        }
        false => Fate::unknown(Stuck::Silent(error)),
    })?;
    if !whole {
        return Ok(());
    }
    let gas = trial::has_gas(node, unpaid.signed, unpaid.payer).await;
    gas.map_err(|refused| match refused.kind.fresh {
        true => Fate::Failed(refused),
        false => Fate::unknown(refused),
    })
}

/// Tells the sponsor's books what is certain. If that fails, the fee counts until the transaction is over.
pub(crate) async fn told(sponsor: &Sponsor, cosigned: &Cosigned, fate: Fate) -> Fate {
    let _ = match &fate {
        Fate::Settled(_) | Fate::Failed(_) => sponsor.ended(cosigned).await,
        _ => sponsor.pending(cosigned).await,
    };
    fate
}
