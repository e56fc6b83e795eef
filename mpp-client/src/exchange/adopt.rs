//! Going on with what an earlier request left: shown first, and proven dead before anything is paid for the same.

use mpp_core::{
    Challenge, Timestamp,
    payer::{Became, Funds, Hold, Outcome, PayError},
    problem::{Problem, ProblemType, Reason},
    store::StoreError,
};

use super::{
    Exchange, Turn,
    out::{Out, taken_before},
};
use crate::{
    erased::{Recalled, Signed},
    error::{Error, Kind},
    event::Event,
    journal::{Entry, State},
    unfinished::Unfinished,
};

impl Exchange {
    /// Takes up what an earlier request of the same purpose left open, if there is such a thing: the credential to show before
    /// the request is sent without one. Call it first; without a journal, or a [purpose](Self::about), it does nothing.
    ///
    /// # Errors
    /// [`Kind::StillOpen`] where a payer cannot say whether it paid, [`Kind::Journal`] where what it did cannot be written
    /// down: nothing was sent.
    pub async fn adopt(&mut self) -> Result<Option<Turn>, Error> {
        let wallet = self.wallet.clone();
        let (Some(journal), Some(purpose)) = (&wallet.journal, &self.purpose) else {
            return Ok(None);
        };
        let purpose = purpose.clone();
        // Whatever returns or drops this future from here on puts the entry back.
        while let Some(mut entry) = journal.take_for(&purpose) {
            let Some(hold) = self.ready(&mut entry).await? else { continue };
            if self.is_dead_by_now(&mut entry).await {
                continue;
            }
            return Ok(self.take_up(entry, hold));
        }
        Ok(None)
    }

    /// Asks the rail, before anything is shown, after what its challenge no longer holds up: a server that hangs on it, or
    /// never answers, must not keep a payment open that can never move.
    async fn is_dead_by_now(&self, entry: &mut Entry) -> bool {
        let record = entry.record();
        let ended = record.challenge().expires.as_ref();
        if record.receipt.is_some()
            || !ended.is_some_and(|e| e.expired_at(&self.wallet.clock.now()))
        {
            return false;
        }
        let Ok(became) = self.wallet.became(record).await else { return false };
        self.wallet.close_dead(entry, became).await
    }

    /// Makes sure that there is a credential, and that it is written down. `None`: nothing was ever paid.
    async fn ready(&self, entry: &mut Entry) -> Result<Option<Option<Hold>>, Error> {
        let doubt = |why: Option<PayError>| {
            let e = Error::in_doubt(Kind::StillOpen(None), Funds::Unknown, None);
            match why {
                Some(why) => e.because(why),
                None => e,
            }
        };
        // A crash in here leaves what there was, and nothing has left of it that was not written down.
        entry.save().await.map_err(unwritten)?;
        // An end of ours that was written and not answered: over, and found so just now.
        if entry.record().state.is_final() {
            return Ok(None);
        }
        if entry.record().credential().is_some() {
            return Ok(Some(None));
        }
        let now = || self.wallet.clock.now();
        // A crash in here leaves the intent.
        match self.wallet.recall(entry.record()).await.map_err(|e| doubt(Some(e)))? {
            Recalled::Never => {
                entry.end_surely(State::Dead, now()).await.map_err(unwritten)?;
                self.wallet.closed(entry);
                self.wallet.release(&mut entry.record().reserved.clone()).await;
                Ok(None)
            }
            Recalled::Paid(signed) => {
                let Signed { credential, hold, step, exposed } = *signed;
                let surplus = entry.sign(credential, (step, exposed), now()).await;
                let surplus = surplus.map_err(unwritten)?;
                self.wallet.give_back(entry.record().reserved.booking(), surplus).await;
                Ok(Some(hold))
            }
            Recalled::Unknown => Err(doubt(None)),
        }
    }

    fn take_up(&mut self, entry: Entry, hold: Option<Hold>) -> Option<Turn> {
        let record = entry.record();
        let credential = record.credential()?.clone();
        let state = record.state;
        let challenge = credential.challenge.id().clone();
        self.to = record.quote.to.clone();
        self.key = record.key.clone().or_else(|| self.key.take());
        self.key_used = true;
        tracing::info!(origin = %self.to.origin, %challenge, ?state, "credential of before shown again");
        self.wallet.tell(|| Event::Adopted { to: self.to.clone(), challenge, state });
        self.out = Some(Out::adopted(credential, entry, hold));
        self.turn()
    }

    /// What to do about a refusal of what is written down. The server's word proves nothing; the rail's does.
    pub(super) async fn after_refusal(
        &mut self,
        challenges: Vec<Challenge>,
        adopted: bool,
    ) -> Result<Turn, Error> {
        let Some(verdict) = &self.verdict else { return Ok(Turn::Done) };
        let refused = matches!(verdict.outcome, Outcome::Refused(_));
        let accepted = matches!(verdict.outcome, Outcome::Accepted(_));
        let more = refused && self.payments < self.wallet.max_payments;
        if accepted || !adopted && !more {
            return Ok(Turn::Done);
        }
        let problem = verdict.problem.clone();
        let became = match self.proven_dead().await {
            Ok(Became::Dead | Became::Failed) if self.resuming => return Ok(Turn::Done),
            Ok(Became::Dead | Became::Failed) => {
                self.verdict = None;
                return self.pay(challenges).await;
            }
            became => became,
        };
        if !adopted || self.resuming && became.is_err() {
            return Ok(Turn::Done);
        }
        let Some(entry) = &mut self.entry else { return Ok(Turn::Done) };
        let (unfinished, paid) = (left(entry), matches!(became, Ok(Became::Paid)));
        if paid && used_up(entry, problem.as_deref(), &self.wallet.clock.now()) {
            return Err(self.consumed().await);
        }
        let funds = if paid { Funds::Committed } else { Funds::Unknown };
        let e = Error::in_doubt(Kind::StillOpen(problem), funds, unfinished);
        Err(match became {
            Err(cause) => e.because(cause),
            Ok(_) => e,
        })
    }

    /// What the rail says was paid, and the server refuses without a challenge: over where it says that it will not take it
    /// again.
    pub(super) async fn close_if_used_up(&mut self) -> Result<Turn, Error> {
        let problem = self.verdict.as_ref().and_then(|verdict| verdict.problem.as_deref());
        let busy = [Reason::IN_FLIGHT, Reason::OUTCOME_UNKNOWN].map(|reason| reason.as_str());
        let over = problem.is_some_and(|problem| {
            taken_before(problem) && !problem.reason.as_deref().is_some_and(|r| busy.contains(&r))
        });
        if over && !self.resuming { Err(self.consumed().await) } else { Ok(Turn::Done) }
    }

    /// Closes what was paid and will not be served any more.
    async fn consumed(&mut self) -> Error {
        // Let go of here, whatever becomes of this exchange: it is in nobody's way any more.
        let Some(mut entry) = self.entry.take() else {
            return Error::in_doubt(Kind::Consumed(None), Funds::Committed, None);
        };
        let receipt = entry.record().receipt.clone();
        // A crash in here tells it once more.
        if let Err(e) = entry.end(State::Lost, self.wallet.clock.now()).await {
            self.wallet.lags(&entry, &e);
        }
        self.wallet.closed(&entry);
        Error::in_doubt(Kind::Consumed(receipt), Funds::Committed, None)
    }

    /// Asks the rail what became of the credential that was answered last, and closes it where it is dead.
    pub(super) async fn proven_dead(&mut self) -> Result<Became, PayError> {
        let Some(entry) = &mut self.entry else { return Ok(Became::Open) };
        let became = self.wallet.became(entry.record()).await?;
        if self.wallet.close_dead(entry, became).await {
            self.entry = None;
            return Ok(became);
        }
        Ok(if became == Became::Paid { became } else { Became::Open })
    }
}

fn unwritten(e: StoreError) -> Error {
    Error::in_doubt(Kind::Journal, Funds::Unknown, None).because(e)
}

fn left(entry: &Entry) -> Option<Unfinished> {
    let record = entry.record();
    let credential = record.credential()?.clone();
    Some(Unfinished::new(credential, record.quote.to.clone()).keyed(record.key.clone()))
}

/// Whether a server that refuses what was paid will never take it again: it says that it was used, or does not know a
/// challenge any more that is over.
fn used_up(entry: &Entry, problem: Option<&Problem>, now: &Timestamp) -> bool {
    let expires = entry.record().challenge().expires.as_ref();
    let over = expires.is_some_and(|e| e.expired_at(now));
    let busy = [Reason::IN_FLIGHT, Reason::OUTCOME_UNKNOWN];
    match problem {
        Some(p) if busy.iter().any(|busy| p.reason.as_deref() == Some(busy.as_str())) => false,
        Some(p) => over || taken_before(p) || p.kind == ProblemType::PAYMENT_EXPIRED.uri(),
        None => over,
    }
}
