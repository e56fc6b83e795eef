//! How a subscriber stands when a request comes: served, or asked to pay, or told to wait.

use std::sync::Arc;

use mpp_core::{agreement::Stands, problem::Rejection, store::Key};

use super::{Agreements, Member, entry::Activating};
use crate::{
    ledger::{Ledger, State, in_flight},
    offer::Offer,
    permit::Paid,
};

/// How a subscriber stands.
pub(crate) enum Standing {
    /// The period is paid.
    Paid(Box<Paid>),
    /// Nothing is agreed, or no more; why, where something was.
    Free(Option<Rejection>),
}

/// What became of an activation that was begun.
pub(super) enum Begun {
    /// Its agreement is on the books.
    Completed,
    /// Nothing was sent for it, or it failed: another may begin.
    Nothing,
}

impl Agreements {
    /// How a subscriber stands. A period that is due is charged for by this, once, however many ask. `shown` is the challenge
    /// whose credential the call bears: an activation by that is not in its own way.
    pub(crate) async fn standing(
        &self,
        member: &Member,
        shown: Option<&str>,
        offers: &Arc<[Offer]>,
    ) -> Result<Standing, Rejection> {
        let Some((_, mut entry)) = self.read(&member.key).await? else {
            return Ok(Standing::Free(None));
        };
        if let Some(begun) = entry.activating.take()
            && shown != Some(begun.challenge.as_str())
            && !entry.held.as_ref().is_some_and(|held| held.is_in_force(&self.now()))
            && matches!(self.begun(&member.key, &begun).await?, Begun::Completed)
            && let Some((_, fresh)) = self.read(&member.key).await?
        {
            entry = fresh;
        }
        let (Some(held), now) = (&entry.held, self.now()) else { return Ok(Standing::Free(None)) };
        if held.is_paid(&now) {
            return Ok(Standing::Paid(Box::new(held.paid())));
        }
        if held.order.is_none() && held.agreement.stands(&now) == Stands::Over {
            return Ok(Standing::Free(Some(held.why_over())));
        }
        let (me, key, offers) = (self.clone(), member.key.clone(), offers.clone());
        // In a task of its own: a hang-up changes nothing, and what is ordered is heard of.
        self.alone(async move { me.renew(&key, Some(&offers)).await }).await
    }

    /// What became of an activation, by the ledger's word. One whose money moved is completed.
    ///
    /// # Errors
    /// It is being paid right now, or it is not known whether it was: nothing else is to be paid meanwhile.
    pub(super) async fn begun(&self, key: &Key, it: &Activating) -> Result<Begun, Rejection> {
        let ledger = &self.0.ledger;
        let at = Ledger::key(&it.challenge)?;
        let Some((_, paid)) = ledger.find(&at).await? else {
            // Nothing is on the ledger's books. Whoever was about to put it there may still be.
            let dead = !ledger.holds.has(&at) && self.is_free(it.holder, it.until);
            return if dead { Ok(Begun::Nothing) } else { Err(in_flight()) };
        };
        if paid.agreed.as_ref().is_none_or(|agreed| agreed.member != key.as_str()) {
            return Ok(Begun::Nothing);
        }
        match paid.state {
            State::Settled | State::Serving => {
                self.complete(&paid).await?;
                ledger.conclude(&it.challenge).await;
                Ok(Begun::Completed)
            }
            State::Failed | State::WrittenOff | State::Delivered => Ok(Begun::Nothing),
            State::Unknown => Err(Rejection::unknown("the subscription's first payment is open")),
            State::Settling | State::Reserved => Err(in_flight()),
        }
    }
}
