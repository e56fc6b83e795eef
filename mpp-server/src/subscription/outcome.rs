//! What became of a period's charge, written down.

use mpp_core::{
    agreement::{Agreement, Recorded},
    fate::{Fate, Settlement},
    problem::Rejection,
    receipt::Receipt,
    store::Key,
    time::Timestamp,
};

use super::{Agreements, refusal::open_order};
use crate::{event::SubscriptionChange, ledger};

/// Between asking the rail about an order and asking it again.
const PATIENCE_MILLIS: i64 = 2_000;

/// Why a period is not paid, and its agreement over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unpaid {
    /// Its charge did not succeed.
    Declined,
    /// Its rail says by itself that the charge did not succeed. An order that is in hand tells for itself.
    SaidDeclined,
    /// It was called off before its order was sent.
    CalledOff,
    /// It was not ordered, at terms that are not asked any more. Who orders it meanwhile comes first.
    NotOrdered,
}

impl Agreements {
    /// Writes down what became of an order.
    pub(super) async fn close(
        &self,
        key: &Key,
        of: &Agreement,
        period: u64,
        fate: Fate,
    ) -> Result<(), Rejection> {
        match fate {
            // The money moved. A crash or a broken store before the swap leaves the order: the rail is asked again.
            Fate::Settled(settlement) => self.book(key, of, period, settlement).await,
            Fate::Failed(refused) => {
                let cause = refused.reason.as_str();
                tracing::info!(
                    subscription = of.began.id,
                    cause,
                    "a period's charge did not succeed"
                );
                self.fail(key, of, period, Unpaid::Declined).await
            }
            Fate::Unknown(cause) => {
                self.leave(key, of, period).await?;
                Err(open_order(cause))
            }
            // Sent, and not known to the rail yet: it may be on its way.
            _ => {
                self.leave(key, of, period).await?;
                Err(open_order("the rail does not know the order yet"))
            }
        }
    }

    pub(super) async fn book(
        &self,
        key: &Key,
        of: &Agreement,
        period: u64,
        settlement: Settlement,
    ) -> Result<(), Rejection> {
        let (now, id) = (self.now(), &of.began.id);
        let receipt = receipt_of(of, settlement, now.clone());
        let recorded = self
            .change(key, |entry| {
                if let Some(held) = entry.by_id(id) {
                    held.order.take_if(|order| order.period == period);
                }
                Ok(entry.record(id, period, receipt.clone(), &now))
            })
            .await?;
        self.tell_recorded(key, of, recorded, receipt.reference);
        Ok(())
    }

    pub(super) fn tell_recorded(
        &self,
        key: &Key,
        of: &Agreement,
        recorded: Recorded,
        reference: String,
    ) {
        match recorded {
            Recorded::New => self.tell(of, SubscriptionChange::Renewed),
            Recorded::Known => {}
            _ => self.tell(of, SubscriptionChange::ToGiveBack { reference }),
        }
        if recorded == Recorded::Stale {
            // Where it was called off: a rail that charges all the same goes on charging.
            self.tell_rail_soon(key, &of.began.id);
        }
    }

    /// The charge of a period did not succeed, or is not to be made: the agreement is over, and the rail is told.
    pub(super) async fn fail(
        &self,
        key: &Key,
        of: &Agreement,
        period: u64,
        why: Unpaid,
    ) -> Result<(), Rejection> {
        let declined = matches!(why, Unpaid::Declined | Unpaid::SaidDeclined);
        let start = of.cadence.period(&of.began.anchor, period).map(|period| period.start);
        let ended = self
            .change(key, |entry| {
                let Some(held) = entry.by_id(&of.began.id) else { return Ok(false) };
                // Ordered meanwhile, by a server that asks what was agreed: that order may have been sent.
                let by_order = matches!(why, Unpaid::Declined | Unpaid::CalledOff);
                if !by_order && held.order.is_some() {
                    return Ok(false);
                }
                held.order.take_if(|order| order.period == period);
                // Paid for after all: by the rail itself, which said so meanwhile.
                let (Some(start), false) = (&start, held.agreement.paid >= period) else {
                    return Ok(false);
                };
                let (before, told) = (held.agreement.cancelled.clone(), held.cancelling.clone());
                held.end(start);
                if held.agreement.cancelled == before {
                    // Over already, by this or by its owner's word: nothing is news, to the rail neither.
                    held.cancelling = told;
                    return Ok(false);
                }
                held.declined = declined;
                Ok(true)
            })
            .await?;
        if ended {
            self.tell(
                of,
                if declined { SubscriptionChange::Declined } else { SubscriptionChange::Ended },
            );
            self.tell_rail_soon(key, &of.began.id);
        }
        Ok(())
    }

    pub(super) async fn leave(
        &self,
        key: &Key,
        of: &Agreement,
        period: u64,
    ) -> Result<(), Rejection> {
        let until = self.now_millis().saturating_add(PATIENCE_MILLIS);
        self.change(key, |entry| {
            let open = entry.by_id(&of.began.id).and_then(|held| held.order.as_mut());
            if let Some(order) = open.filter(|order| order.period == period) {
                (order.until, order.holder) = (until, 0);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn drop_order(
        &self,
        key: &Key,
        id: &str,
        period: u64,
    ) -> Result<(), Rejection> {
        self.change(key, |entry| {
            if let Some(held) = entry.by_id(id) {
                held.order.take_if(|order| order.period == period);
            }
            Ok(())
        })
        .await
    }
}

/// What a charge of a later period is told to the payer as.
pub(super) fn receipt_of(of: &Agreement, settlement: Settlement, at: Timestamp) -> Receipt {
    let began = &of.receipt;
    let challenge = began.extra.get("challengeId").and_then(|id| id.as_str()).unwrap_or_default();
    let settlement = settlement.with("subscriptionId", of.began.id.as_str());
    ledger::receipt(settlement, &of.method, challenge, began.external_id.clone(), at)
}
