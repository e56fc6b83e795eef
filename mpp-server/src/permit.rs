//! A permit to serve: the one way from money to a handler.

use std::fmt;

use mpp_core::{
    Receipt, credential::Source, name::MethodId, problem::Rejection, transport::Refusal,
};

use crate::{
    event::{Event, Events},
    ledger::{Serving, TurnEnd},
};

/// What a gate says of a call that it does not refuse. An enum, so that no driver can forget the second.
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// Run the handler, then [`Permit::finish`].
    Serve(Permit),
    /// Booked, and nothing is to be served: answer with the receipt alone.
    Acknowledge(Receipt),
}

/// Leave to run the handler once for a payment that settled.
///
/// No public constructor. Dropped without [`Permit::finish`], it counts as not delivered: the same credential can be shown
/// again, and runs the handler again without a new payment. While it lives, its turn is nobody else's.
#[must_use = "a permit that is not finished was not delivered"]
pub struct Permit {
    turn: Option<TurnEnd>,
    events: Events,
    paid: Paid,
}

/// How a permit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The last byte of a success was handed over.
    Delivered,
    /// The handler failed, or the response was not handed over whole.
    NotDelivered,
}

impl Permit {
    pub(crate) fn new(Serving { paid, end }: Serving, events: Events) -> Self {
        Self { turn: Some(end), events, paid }
    }

    /// What was paid.
    pub fn paid(&self) -> &Paid {
        &self.paid
    }

    /// The receipt to put on a success, and on nothing else (C-36). None where the money moves only after the handler.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.paid.receipt.as_ref()
    }

    /// Ends it, and returns the receipt of what was delivered. Waits until that is on the books; a caller that is dropped
    /// meanwhile changes nothing.
    ///
    /// # Errors
    /// The store did not answer, over several tries; the entry then stays `serving` until its lease is over.
    pub async fn finish(mut self, ending: Ending) -> Result<Option<Receipt>, Refusal> {
        let receipt = self.paid.receipt.clone().filter(|_| ending == Ending::Delivered);
        if let Some(written) = self.end(ending) {
            written.await?;
        }
        Ok(receipt)
    }

    /// As [`Permit::finish`], without waiting: for where nothing can be awaited.
    pub fn finish_soon(mut self, ending: Ending) {
        drop(self.end(ending));
    }

    fn end(
        &mut self,
        ending: Ending,
    ) -> Option<impl Future<Output = Result<(), Rejection>> + Send + use<>> {
        let turn = self.turn.take()?;
        let challenge = &self.paid.challenge;
        self.events.send(|| match ending {
            Ending::Delivered => Event::Delivered { challenge: challenge.clone() },
            Ending::NotDelivered => Event::NotDelivered { challenge: challenge.clone() },
        });
        Some(turn.tell(ending == Ending::Delivered))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.end(Ending::NotDelivered));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("paid", &self.paid).finish_non_exhaustive()
    }
}

/// What a handler may know of the payment it runs for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Paid {
    /// The receipt, as the client will get it; none where the money moves only after the handler.
    pub receipt: Option<Receipt>,
    /// How it was paid.
    pub method: MethodId,
    /// Which challenge was answered.
    pub challenge: String,
    /// Who paid, where the rail proves it.
    pub payer: Option<Source>,
}
