//! A permit to serve: the one way from money to a handler.

use std::fmt;

use mpp_core::{
    Receipt, credential::Source, name::MethodId, problem::Rejection, transport::Refusal,
};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    answer::Answer,
    event::{Event, Events},
    gate::judge::Again,
    ledger::{Serving, Turn},
    session::Session,
};

/// What a gate says of a call that it does not refuse. An enum, so that no driver can forget the second.
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// Run the handler, then [`Permit::finish`].
    Serve(Permit),
    /// Taken, and nothing is to be served: answer with a head alone.
    Acknowledge(Acknowledged),
    /// Delivered before, to the same credential under the same `Idempotency-Key`: hand this over, and run nothing.
    Replay {
        /// What was paid.
        receipt: Option<Receipt>,
        /// What was handed over then.
        answer: Box<Answer>,
    },
}

/// What is said of a credential that was taken and serves nothing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// What was booked; none where a payer only said who it is.
    pub receipt: Option<Receipt>,
    /// Further fields of the answer: what account it is about, and how that stands.
    pub fields: Vec<(&'static str, String)>,
    /// A session account was closed by it.
    pub closed: bool,
}

/// Leave to run the handler once: for a payment that settled, or, on a route that charges on success, for one that was
/// checked and can settle; or, on a route that only identifies, for a proof of account.
///
/// A driver does the same in either case: it runs the handler, calls [`Permit::charge`] where that succeeded, hands the
/// response over with the receipt, and ends with [`Permit::finish`].
///
/// No public constructor. Dropped without [`Permit::finish`], it counts as not delivered: the same credential can be shown
/// again, and runs the handler again without a new payment. While it lives, its turn is nobody else's.
#[must_use = "a permit that is not finished was not delivered"]
pub struct Permit {
    turn: Option<Turn>,
    events: Events,
    paid: Paid,
    keep: Option<usize>,
    flows: bool,
    answer: Option<Box<Answer>>,
    /// How to ask for payment again, where the money is still to be taken.
    again: Option<Box<Again>>,
    /// The account it was drawn from.
    session: Option<Session>,
    /// The units that were charged for this request, under which name; given back where nothing is served.
    drawn: (u64, Option<String>),
}

/// How a permit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The last byte of a success was handed over.
    Delivered,
    /// The handler failed, or nobody was there any more: nothing of a success was handed over.
    NotDelivered,
    /// Some of a success was handed over, and not all. Counts against what a payment may be served
    /// ([`GateBuilder::serve_up_to`](crate::gate::GateBuilder::serve_up_to)).
    BrokenOff,
}

impl Permit {
    pub(crate) fn new(serving: Serving, events: Events, again: impl FnOnce() -> Again) -> Self {
        let Serving { paid, turn, keep } = serving;
        let again = paid.receipt.is_none().then(|| Box::new(again()));
        let mut me = Self::unbooked(paid, events);
        (me.turn, me.keep, me.again) = (Some(turn), keep, again);
        me
    }

    fn unbooked(paid: Paid, events: Events) -> Self {
        Self {
            turn: None,
            events,
            paid,
            keep: None,
            flows: false,
            answer: None,
            again: None,
            session: None,
            drawn: (0, None),
        }
    }

    /// For units that were drawn from an account: they are the seller's already, and the payer's again where nothing is served.
    pub(crate) fn drawn(
        paid: Paid,
        events: Events,
        session: Session,
        drawn: (u64, Option<String>),
    ) -> Self {
        let mut me = Self::unbooked(paid, events);
        (me.session, me.drawn) = (Some(session), drawn);
        me
    }

    /// The account it was drawn from, on a metered route: through it the handler charges what it serves.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// For a proof that was checked just now, moved nothing and may be shown again: nothing is written when it ends.
    pub(crate) fn identified(paid: Paid, events: Events) -> Self {
        Self::unbooked(paid, events)
    }

    /// What was paid.
    pub fn paid(&self) -> &Paid {
        &self.paid
    }

    /// The receipt to put on a success, and on nothing else (C-36). None where the money moves only after the handler, until
    /// [`Permit::charge`].
    pub fn receipt(&self) -> Option<&Receipt> {
        self.paid.receipt.as_ref()
    }

    /// The handler succeeded: takes the money where it was not taken before. Nothing of its response may be handed over
    /// before this returns. A caller that is dropped meanwhile changes nothing.
    ///
    /// # Errors
    /// The payment cannot be settled any more (402, with fresh challenges), or it is not known whether it was (503): the
    /// response must not be handed over.
    pub async fn charge(&mut self) -> Result<(), Refusal> {
        let (Some(again), Some(turn)) = (&self.again, &self.turn) else { return Ok(()) };
        match turn.charge().await {
            Ok(paid) => {
                (self.paid, self.again) = (paid, None);
                Ok(())
            }
            Err(rejection) => {
                // The turn is over: what became of the payment is on the books.
                self.turn = None;
                let challenge = self.paid.challenge.clone();
                Err(again.refuse(challenge, rejection).await)
            }
        }
    }

    /// Says that a success is being handed over from now on: dropped, the permit then ends as [`Ending::BrokenOff`].
    pub fn flow(&mut self) {
        self.flows = true;
    }

    /// The longest body to keep with [`Permit::keep`], where the client named its request and may ask for its answer again.
    pub fn keeps(&self) -> Option<usize> {
        self.keep
    }

    /// Keeps what is being handed over: it is stored with the delivery, in the same write.
    pub fn keep(&mut self, answer: Answer) {
        let fits = self.keep.is_some_and(|most| answer.body.len() <= most);
        self.answer = fits.then(|| Box::new(answer));
    }

    /// Ends it, and returns the receipt of what was delivered. Waits until that is on the books; a caller that is dropped
    /// meanwhile changes nothing.
    ///
    /// # Errors
    /// As for [`Permit::charge`]; or the store did not answer, over several tries: the entry then stays `serving` until its
    /// lease is over.
    pub async fn finish(mut self, ending: Ending) -> Result<Option<Receipt>, Refusal> {
        if ending == Ending::Delivered {
            self.charge().await?;
        }
        let receipt = self.paid.receipt.clone().filter(|_| ending == Ending::Delivered);
        let returned = self.give_back(ending);
        if let Some(written) = self.end(ending) {
            written.await?;
        }
        if let Some(returned) = returned {
            // In a task of its own: a caller that is dropped changes nothing.
            let _ = returned.await;
        }
        Ok(receipt)
    }

    /// As [`Permit::finish`], without waiting: for where nothing can be awaited.
    pub fn finish_soon(mut self, ending: Ending) {
        drop(self.give_back(ending));
        drop(self.end(ending));
    }

    /// Gives back what was charged for a request of which nothing was served. What broke off was served in part.
    fn give_back(&mut self, ending: Ending) -> Option<JoinHandle<()>> {
        let session = self.session.take()?;
        let (_, name) = std::mem::take(&mut self.drawn);
        if ending != Ending::NotDelivered {
            session.collect_if_due();
            return None;
        }
        // What a meter has spent of it was served.
        let units = session.end_prepaid();
        let units = units.saturating_add(session.take_charged());
        if units == 0 {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        // A crash before it is written leaves units that are paid and were not served.
        let busy = session.busy();
        Some(runtime.spawn(async move {
            let _busy = busy;
            if let Err(e) = session.give_back(units, name).await {
                tracing::warn!(reason = e.reason.as_str(), "units could not be given back");
            }
        }))
    }

    fn end(
        &mut self,
        ending: Ending,
    ) -> Option<impl Future<Output = Result<(), Rejection>> + Send + use<>> {
        let turn = self.turn.take()?;
        let challenge = &self.paid.challenge;
        self.events.send(|| match ending {
            Ending::Delivered => Event::Delivered { challenge: challenge.clone() },
            _ => Event::NotDelivered { challenge: challenge.clone() },
        });
        Some(turn.end(ending, self.answer.take()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let ending = if self.flows { Ending::BrokenOff } else { Ending::NotDelivered };
        drop(self.give_back(ending));
        drop(self.end(ending));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("paid", &self.paid).finish_non_exhaustive()
    }
}

/// What a handler may know of the payment it runs for, or of the proof of account where its route only identifies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Paid {
    /// The receipt, as the client will get it; none where the money moves only after the handler.
    pub receipt: Option<Receipt>,
    /// How it was paid.
    pub method: MethodId,
    /// Which challenge was answered.
    pub challenge: String,
    /// Who paid, where the rail proves it. On a route that only identifies it always does. One account is spelled in one way,
    /// whether it pays or identifies; no account is not an account that equals another.
    pub payer: Option<Source>,
}
