//! Cancelling: what was paid is served to its end, and nothing is charged after it.

use mpp_core::{agreement::Stands, fate::Fate, problem::Rejection, store::Key, time::Timestamp};

use super::{Agreements, Member, SubscriptionState};
use crate::event::SubscriptionChange;

impl Agreements {
    /// Cancels what a subscriber agreed, at the end of what was paid.
    pub(super) async fn cancel(
        &self,
        member: Member,
    ) -> Result<Option<SubscriptionState>, Rejection> {
        let me = self.clone();
        self.alone(async move { me.cancel_alone(&member.key).await }).await
    }

    async fn cancel_alone(&self, key: &Key) -> Result<Option<SubscriptionState>, Rejection> {
        let local = self.0.locals.of(key);
        // Behind an order that is in hand: what it charges for is served.
        let turn = local.ordering.clone().lock_owned().await;
        // A crash here leaves what was collected on the books, and nothing cancelled.
        self.catch_up(key).await;
        let cancelled = self.mark(key).await;
        drop(turn);
        self.0.locals.leave(key, local);
        let Some(id) = cancelled? else { return Ok(None) };
        // A crash here leaves word that the rail is to be told: a pass over the books tells it. From now on we charge nothing.
        self.tell_rail(key, &id).await;
        self.state(key).await
    }

    /// Books what a rail has collected by itself for a period that nobody asked in yet: what was paid is served, and a
    /// cancellation ends it after that. Whatever the rail says, or does not, what follows is called off.
    async fn catch_up(&self, key: &Key) {
        let Ok(Some((_, entry))) = self.read(key).await else { return };
        let Some(held) = entry.held.filter(|held| held.order.is_none()) else { return };
        let Stands::Due(due) = held.agreement.stands(&self.now()) else { return };
        if let Ok(Fate::Settled(settlement)) = self.collected(&held.agreement, &due).await
            && let Err(e) = self.book(key, &held.agreement, due.index, settlement).await
        {
            tracing::warn!(reason = e.reason.as_str(), "what a rail has collected is not booked");
        }
    }

    /// Writes down that nothing more is charged, and which subscription that is.
    async fn mark(&self, key: &Key) -> Result<Option<String>, Rejection> {
        if self.read(key).await?.is_none() {
            return Ok(None);
        }
        let now = self.now();
        let marked = self
            .change(key, |entry| {
                let Some(held) = &mut entry.held else { return Ok(None) };
                let it = &held.agreement;
                // A charge that may have been made is for a period, which is then served too.
                let last = held.order.as_ref().map_or(it.paid, |order| order.period.max(it.paid));
                let end = it.cadence.period(&it.began.anchor, last).map(|period| period.end);
                let end = end.unwrap_or_else(|| now.clone());
                // A rail may have said that it ends later than that, on a day that its seller chose.
                let fresh = it.cancelled.as_ref().is_none_or(|known| end.is_before(known));
                if fresh {
                    held.end(&end);
                }
                Ok(Some((held.agreement.clone(), fresh)))
            })
            .await?;
        let Some((agreement, fresh)) = marked else { return Ok(None) };
        if fresh {
            self.tell(&agreement, SubscriptionChange::Cancelled);
        }
        Ok(Some(agreement.began.id))
    }

    /// Tells a rail what it is yet to be told, with nobody waiting: what is not told now a pass over the books tells.
    pub(super) fn tell_rail_soon(&self, key: &Key, id: &str) {
        let (me, key, id) = (self.clone(), key.clone(), id.to_owned());
        tokio::spawn(async move { me.tell_rail(&key, &id).await });
    }

    /// Tells the rail of an agreement what it is yet to be told. Whether nothing is left to tell.
    pub(super) async fn tell_rail(&self, key: &Key, id: &str) -> bool {
        let Ok(Some((_, mut entry))) = self.read(key).await else { return false };
        let Some(held) = entry.by_id(id) else { return true };
        let Some(from) = held.cancelling.clone() else { return true };
        match self.say(held.agreement.clone(), &from).await {
            Ok(()) => {}
            Err(e) => {
                let reason = e.reason.as_str();
                tracing::warn!(
                    subscription = id,
                    reason,
                    "the rail is not told yet of a cancellation"
                );
                return false;
            }
        }
        // A crash here leaves word to say it again, which changes nothing.
        let told = self.change(key, |entry| {
            if let Some(held) = entry.by_id(id) {
                held.cancelling.take_if(|told| *told == from);
            }
            Ok(())
        });
        told.await.is_ok()
    }

    async fn say(
        &self,
        agreement: mpp_core::agreement::Agreement,
        from: &Timestamp,
    ) -> Result<(), Rejection> {
        let renewer = self.renewer_of(&agreement)?;
        let said = renewer.cancel(agreement, from.clone());
        let said = tokio::time::timeout(self.0.ledger.deadline, said).await;
        said.unwrap_or_else(|late| Err(Rejection::unknown(late)))
    }
}
