//! A turn to serve, from the side of the task that owns the payment: kept while it lasts, charged where it succeeded, and
//! written down when it ends.

use std::time::Duration;

use mpp_core::problem::{Reason, Rejection};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::{
    State,
    hold::Hold,
    settle::Payment,
    turn::{End, Word},
};
use crate::{permit::Ending, rail::Rail};

/// How often the end of a turn is tried before whoever waits for it is told. It is tried for as long as the store is away.
const TRIES: u32 = 5;
/// The longest between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Payment {
    /// Keeps the turn while it is being served, and writes down how it ended. Returns the rail to ask after where the money
    /// was to be taken and nobody knows whether it was.
    pub(super) async fn serve(
        mut self,
        mut words: mpsc::UnboundedReceiver<Word>,
        rail: Option<Rail>,
        hold: Hold,
    ) -> Option<Rail> {
        let end = loop {
            match time::timeout(self.ledger.serving / 3, words.recv()).await {
                // Still being served: the lease is for those who died, not for those who are slow. A renewal that cannot be
                // written is tried again in time; the end is written whatever became of it.
                Err(_) => drop(self.advance(self.entry.state).await),
                Ok(Some(Word::Charge(reply))) => match self.charge_once(rail.as_ref()).await {
                    Ok(()) => drop(reply.send(Ok(self.paid()))),
                    Err(rejection) => return refused(rejection, rail, hold, reply),
                },
                Ok(Some(Word::End(end))) => break end,
                Ok(None) => break End::unsaid(),
            }
        };
        let End { how, answer, written } = end;
        if how == Ending::Delivered
            && let Err(rejection) = self.charge_once(rail.as_ref()).await
        {
            // A driver that handed the response over before it took the money: what became of that is on the books.
            return refused(rejection, rail, hold, written);
        }
        self.entry.answer = answer.filter(|_| how == Ending::Delivered);
        self.entry.spared += u32::from(how == Ending::NotDelivered);
        self.write_end(how, hold, written).await;
        None
    }

    /// Writes down how a turn ended, for as long as it takes: what was delivered and is not on the books would be served
    /// again. A crash in here leaves `serving`: past its lease the same credential is served again.
    async fn write_end(
        mut self,
        how: Ending,
        hold: Hold,
        written: oneshot::Sender<Result<(), Rejection>>,
    ) {
        let (mut told, mut tries) = (Some(written), 0);
        loop {
            let Err(e) = self.end(how).await else {
                drop(hold);
                told.map(|told| told.send(Ok(())));
                return;
            };
            tries += 1;
            let away = e.reason == Reason::OUTCOME_UNKNOWN;
            if !away || tries == TRIES {
                let (reason, delivered) = (e.reason.as_str(), how == Ending::Delivered);
                tracing::error!(reason, delivered, "the end of a served payment is not written");
                // Perhaps it is more than the store takes; the delivery counts, with or without it.
                self.entry.answer = None;
                told.take().map(|told| told.send(Err(e)));
            }
            if !away {
                return;
            }
            time::sleep(Duration::from_millis(50 << tries.min(8)).min(LONGEST_PAUSE)).await;
        }
    }

    async fn end(&mut self, how: Ending) -> Result<(), Rejection> {
        match (how, self.entry.state) {
            (Ending::Delivered, _) => self.advance(State::Delivered).await,
            // Nothing was sent, and nothing will be: the handler did not succeed.
            (_, State::Reserved) => self.withdraw().await,
            _ => self.advance(State::Settled).await,
        }
    }

    /// Takes the money of what was reserved; of anything else it is taken already.
    async fn charge_once(&mut self, rail: Option<&Rail>) -> Result<(), Rejection> {
        let (State::Reserved, Some(rail)) = (self.entry.state, rail) else { return Ok(()) };
        self.charge(rail).await?;
        self.tell();
        Ok(())
    }
}

/// Tells whoever waits that the money could not be taken, and returns the rail to ask after where nobody knows.
fn refused<T>(
    rejection: Rejection,
    rail: Option<Rail>,
    hold: Hold,
    told: oneshot::Sender<Result<T, Rejection>>,
) -> Option<Rail> {
    drop(hold);
    let open = rejection.reason == Reason::OUTCOME_UNKNOWN;
    let _ = told.send(Err(rejection));
    rail.filter(|_| open)
}
