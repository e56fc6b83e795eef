//! What rails say by themselves: charges of periods, and ends. Heard twice, late and in any order it comes to the same.

use mpp_core::{
    agreement::{Agreement, Recorded},
    name::MethodId,
    problem::Rejection,
    renewer::{Notice, Said},
    store::Key,
    time::Timestamp,
};

use super::{
    Agreements,
    outcome::{Unpaid, receipt_of},
};
use crate::{event::SubscriptionChange, ledger::broken};

/// What came of a notice. The same notice comes to the same as often as it is heard, but for [`Recorded::New`], which is
/// [`Recorded::Known`] from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// A charge was held against its agreement. [`Recorded::Twice`] and [`Recorded::Stale`] grant nothing: give them back.
    Charged(Recorded),
    /// A charge did not succeed. Where its period is not paid, and nobody is at it, the subscription ends with what was paid, and
    /// the rail is told to collect nothing more.
    Declined,
    /// The rail charges for no further period.
    Ended,
    /// No agreement on these books began with this subscription.
    NotOnBooks,
}

impl Agreements {
    /// Takes what a rail says of a subscription.
    pub(super) async fn hear(&self, by: &MethodId, notice: Notice) -> Result<Heard, Rejection> {
        let index = Self::index(by, &notice.place, &notice.subscription)?;
        let named = self.0.ledger.store.get(&index).await.map_err(broken)?;
        let name = named.and_then(|found| String::from_utf8(found.value).ok());
        let Some(key) = name.map(Key::from_stored) else { return Ok(Heard::NotOnBooks) };
        let Some((_, mut entry)) = self.read(&key).await? else { return Ok(Heard::NotOnBooks) };
        let found = entry.by_id(&notice.subscription).map(|held| held.agreement.clone());
        match (notice.said, found) {
            (Said::Charged { start, settlement }, Some(of)) => {
                let receipt = receipt_of(&of, settlement, self.now());
                let recorded = match period_of(&of, &start) {
                    Some(period) => {
                        let (now, id) = (self.now(), &of.began.id);
                        self.change(&key, |e| Ok(e.record(id, period, receipt.clone(), &now)))
                            .await?
                    }
                    None => Recorded::Stale,
                };
                self.tell_recorded(&key, &of, recorded, receipt.reference);
                Ok(Heard::Charged(recorded))
            }
            // Agreed before, and replaced since.
            (Said::Charged { settlement, .. }, None) => {
                let (id, reference) = (&notice.subscription, settlement.reference);
                let known = entry.charges.iter().any(|c| c.of == *id && c.reference == reference);
                if known {
                    return Ok(Heard::Charged(Recorded::Known));
                }
                self.tell_of(by, id, SubscriptionChange::ToGiveBack { reference });
                Ok(Heard::Charged(Recorded::Stale))
            }
            (Said::Declined { start }, Some(of)) => {
                // Left to itself it would be tried again, and taken once its period is over.
                if let Some(period) = period_of(&of, &start) {
                    self.fail(&key, &of, period, Unpaid::SaidDeclined).await?;
                }
                Ok(Heard::Declined)
            }
            (Said::Ended(at), Some(of)) => {
                self.end(&key, &of, at).await?;
                Ok(Heard::Ended)
            }
            (Said::Declined { .. }, None) => Ok(Heard::Declined),
            (Said::Ended(_), None) => Ok(Heard::Ended),
            _ => Ok(Heard::NotOnBooks),
        }
    }

    async fn end(&self, key: &Key, of: &Agreement, at: Timestamp) -> Result<(), Rejection> {
        let fresh = self
            .change(key, |entry| {
                let Some(held) = entry.by_id(&of.began.id) else { return Ok(false) };
                let before = held.agreement.cancelled.clone();
                held.agreement.end(at.clone());
                // It charges for nothing that we would call off.
                held.cancelling.take_if(|from| !from.is_before(&at));
                Ok(before != held.agreement.cancelled)
            })
            .await?;
        if fresh {
            self.tell(of, SubscriptionChange::Ended);
        }
        Ok(())
    }
}

/// The period that begins at an instant; none where it is no period's first.
fn period_of(of: &Agreement, start: &Timestamp) -> Option<u64> {
    let period = of.cadence.period_at(&of.began.anchor, start)?;
    (period.start == *start).then_some(period.index)
}
