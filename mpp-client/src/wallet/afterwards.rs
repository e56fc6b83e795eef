//! What became of payments of before: payers are asked, the dead are closed, and budgets get back what they held.

use mpp_core::{
    Amount,
    payer::{Became, PayError},
    store::StoreError,
};

use super::Wallet;
use crate::{
    erased::{ErasedPayer, Recalled},
    event::Event,
    journal::{Entry, Open, Record, State},
    policy::{Booking, Reservation},
};

impl Wallet {
    /// What its journal holds open and no request is busy with, oldest first: for applications that look when they start.
    /// There is nothing that must be done with it: the next request of the same purpose goes on with it by itself.
    pub fn unfinished(&self) -> Vec<Open> {
        self.journal.as_ref().map(crate::journal::Journal::unfinished).unwrap_or_default()
    }

    /// Whether something is open and nobody asked about it for half a minute: for drivers, which then call
    /// [`reconcile`](Self::reconcile) beside a request. The reqwest driver does.
    pub fn is_reconcile_due(&self) -> bool {
        self.journal.as_ref().is_some_and(crate::journal::Journal::is_to_be_tended)
    }

    /// Asks the payers what became of everything that is open, and closes what can never move: its budget is given back.
    /// Sends nothing to any server. Returns what it closed.
    ///
    /// A payer that cannot be asked now leaves things as they are. Worth a call at start-up and now and then: some rails can
    /// prove for minutes only that a payment never happened.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn reconcile(&self) -> Result<Vec<Open>, StoreError> {
        let Some(journal) = &self.journal else { return Ok(Vec::new()) };
        let mut closed = Vec::new();
        for record in journal.records() {
            // Left where it is while the payers are asked: a request must find it, or it would pay anew.
            let became = match record.credential() {
                Some(_) => self.became(&record).await.unwrap_or(Became::Open),
                None => match self.recall(&record).await {
                    Ok(Recalled::Never) => Became::Dead,
                    _ => Became::Open,
                },
            };
            let dead = matches!(became, Became::Dead | Became::Failed);
            let Some(mut entry) = dead.then(|| journal.take(&record.id)).flatten() else {
                continue;
            };
            // An intent that somebody has gone on with is another question by now; what is dead stays dead.
            if entry.record().credential().is_some() == record.credential().is_some()
                && self.try_close_dead(&mut entry, became).await?
            {
                closed.push(Open::from(entry.record().clone()));
            }
        }
        Ok(closed)
    }

    /// Gives up a payment that is open, by its owner's decision: the next request of its purpose pays anew, and what was set
    /// aside stays spent. For what a payer can never tell; what was signed may still be taken. `false`: it is not open, or
    /// a request is busy with it.
    ///
    /// # Errors
    /// The journal cannot be written; it stays open.
    pub async fn write_off(&self, id: &str) -> Result<bool, StoreError> {
        let Some(mut entry) = self.journal.as_ref().and_then(|journal| journal.take(id)) else {
            return Ok(false);
        };
        entry.end_surely(State::Lost, self.clock.now()).await?;
        self.closed(&entry);
        Ok(true)
    }

    /// Whether any payer of the method knows that it paid, or all of them that they did not.
    pub(crate) async fn recall(&self, record: &Record) -> Result<Recalled, PayError> {
        let mut recalled = Recalled::Unknown;
        for (at, payer) in self.payers_of(record).enumerate() {
            match payer.recall(record.challenge()).await? {
                Recalled::Never if at == 0 || matches!(recalled, Recalled::Never) => {
                    recalled = Recalled::Never;
                }
                paid @ Recalled::Paid(_) => return Ok(paid),
                _ => recalled = Recalled::Unknown,
            }
        }
        Ok(recalled)
    }

    /// What the first payer of the method says that can tell.
    pub(crate) async fn became(&self, record: &Record) -> Result<Became, PayError> {
        let Some(credential) = record.credential() else { return Ok(Became::Open) };
        let mut said = Ok(Became::Open);
        for payer in self.payers_of(record) {
            match payer.became(credential).await {
                Ok(Became::Open) => {}
                Err(e) => said = Err(e),
                told => return told,
            }
        }
        said
    }

    fn payers_of(&self, record: &Record) -> impl Iterator<Item = &dyn ErasedPayer> {
        self.payers.iter().map(|payer| &**payer).filter(|payer| payer.id() == record.quote.id)
    }

    /// Closes what its rail says is dead. `false`: it is not, or that could not be written down.
    pub(crate) async fn close_dead(&self, entry: &mut Entry, became: Became) -> bool {
        let closed = self.try_close_dead(entry, became).await;
        closed.unwrap_or_else(|e| {
            self.lags(entry, &e);
            false
        })
    }

    async fn try_close_dead(&self, entry: &mut Entry, became: Became) -> Result<bool, StoreError> {
        if !matches!(became, Became::Dead | Became::Failed) {
            return Ok(false);
        }
        // First the end, then the budget: a crash between them leaves it spent, and never gives it back twice.
        entry.end_surely(State::Dead, self.clock.now()).await?;
        self.closed(entry);
        if became == Became::Dead {
            self.release(&mut entry.record().reserved.clone()).await;
        }
        Ok(true)
    }

    /// Gives back all of what nothing was signed for, or what can never move.
    pub(crate) async fn release(&self, reserved: &mut Reservation) {
        let all = reserved.trim(Amount::ZERO);
        self.give_back(reserved.booking(), all).await;
    }

    pub(crate) async fn give_back(&self, booking: Option<&Booking>, part: Amount) {
        let Some(booking) = booking.filter(|_| !part.is_zero()) else { return };
        if let Err(e) = self.policy.give_back(booking, part).await {
            tracing::warn!(error = %e, "a budget could not be given back, and stays spent");
        }
    }

    /// Tells that an entry has ended.
    pub(crate) fn closed(&self, entry: &Entry) {
        let record = entry.record();
        let (to, challenge) = (&record.quote.to, record.challenge().id());
        tracing::info!(origin = %to.origin, %challenge, state = ?record.state, "payment closed");
        self.tell(|| Event::Closed {
            to: to.clone(),
            challenge: challenge.clone(),
            state: record.state,
        });
    }

    /// Tells that the journal lags behind what happened.
    pub(crate) fn lags(&self, entry: &Entry, e: &StoreError) {
        let record = entry.record();
        let (to, challenge) = (&record.quote.to, record.challenge().id());
        tracing::warn!(origin = %to.origin, %challenge, error = %e, "journal not written");
        self.tell(|| Event::Unwritten { to: to.clone(), challenge: challenge.clone() });
    }
}
