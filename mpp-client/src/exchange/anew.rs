//! Going on with an account: what follows an acknowledgement, and a refusal that cost nothing.

use mpp_core::{
    Challenge, Receipt,
    payer::{Outcome, Step},
    problem::Problem,
};

use super::{
    Exchange, Turn, accepted,
    out::{Out, in_hand, is_metered, is_undrawn},
};
use crate::{error::Error, journal::State, random};

impl Exchange {
    /// Whether what is out manages an account.
    pub(super) fn is_managed_step_out(&self) -> bool {
        self.out.as_ref().is_some_and(|out| matches!(out.step, Step::Manage))
    }

    /// Hears that something was booked and nothing served.
    pub(super) async fn acknowledged(&mut self, receipt: Receipt) -> Result<Turn, Error> {
        let undrawn = is_undrawn(&receipt);
        match self.resolve(accepted(receipt), None, true).await {
            // The account is open: the same demand is asked again, now of a payer that has one.
            Some((challenge, Step::Manage)) => {
                self.committed = true;
                self.seen.remove(challenge.id());
                self.pay(vec![challenge]).await
            }
            // It was opened by the request itself, and the request was not served.
            Some((challenge, Step::Pay))
                if undrawn && is_metered(&challenge) && !self.asked_again && !self.resuming =>
            {
                self.asked_again = true;
                self.committed = true;
                // There was no answer to be read: nobody shall show it again for one.
                self.end_entry(State::Delivered).await;
                self.pay_on(vec![challenge]).await
            }
            _ => Ok(Turn::Done),
        }
    }

    /// Whether this refuses what put nothing new at stake, and says that nobody has it in hand.
    pub(super) fn is_free_refusal(&self, problem: Option<&Problem>) -> bool {
        self.out.as_ref().is_some_and(Out::is_free) && !problem.is_some_and(in_hand)
    }

    /// Whether a refusal that cost nothing may be followed by another payment. Of what an earlier request left it is enough
    /// that the server does not take it: it never will, and its unit may have been served then or not.
    pub(super) fn may_be_paid_anew(&self, adopted: bool) -> bool {
        let outcome = self.verdict.as_ref().map(|verdict| &verdict.outcome);
        let refused = match outcome {
            Some(Outcome::Refused(_)) => true,
            Some(Outcome::Unknown) => adopted,
            _ => false,
        };
        refused && !self.resuming && self.anew > 0
    }

    /// Pays after a refusal that cost nothing.
    pub(super) async fn pay_anew(&mut self, challenges: Vec<Challenge>) -> Result<Turn, Error> {
        self.anew = self.anew.saturating_sub(1);
        // A crash in here leaves it open: it is shown once more, refused once more, and paid anew then.
        self.end_entry(State::Lost).await;
        self.pay_on(challenges).await
    }

    /// Pays once more for the same request. What that newly puts at stake must be within what one request may be paid.
    async fn pay_on(&mut self, challenges: Vec<Challenge>) -> Result<Turn, Error> {
        let only_free = self.staked_anew || self.payments >= self.wallet.max_payments;
        let paid = async {
            let mut candidates = self.candidates(challenges)?;
            if only_free {
                candidates.retain(|c| c.choice.quote.exposes.amount.is_zero());
            }
            match candidates.is_empty() {
                true => Ok(Turn::Done),
                false => self.pay_one_of(candidates, None).await,
            }
        };
        paid.await.map_err(|e: Error| self.after_earlier(e))
    }

    async fn end_entry(&mut self, state: State) {
        let Some(mut entry) = self.entry.take() else { return };
        if let Err(e) = entry.end(state, self.wallet.clock.now()).await {
            self.wallet.lags(&entry, &e);
        }
        self.wallet.closed(&entry);
    }

    /// Gives the request an idempotency key that no credential had yet: a server counts a unit once for a challenge and a key.
    /// The application's own key stays.
    pub(super) fn name_anew(&mut self) {
        if self.only_once {
            return;
        }
        if self.key.is_none() || self.key_used {
            // Where the system has no random numbers to give, the request is as good without.
            self.key = random::name().ok();
            self.renamed = true;
        }
        self.key_used = true;
    }
}
