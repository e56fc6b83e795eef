//! A permit to serve: the one way from money to a handler.

use std::fmt;

use mpp_core::{Receipt, credential::Source, name::MethodId, problem::Rejection};

use crate::{
    event::{Event, Events},
    ledger::Turn,
};

/// What a gate says of a call that it does not refuse. An enum, so that no driver can forget the second.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and is moved once"
)]
pub enum Verdict {
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
    turn: Option<Turn>,
    events: Events,
    paid: Paid,
}

impl Permit {
    pub(crate) fn new(turn: Turn, events: Events) -> Result<Self, Rejection> {
        let receipt = turn.entry.receipt.clone();
        let receipt =
            receipt.ok_or_else(|| Rejection::internal("a settled entry without a receipt"))?;
        let (method, payer) = (turn.entry.method.clone(), turn.entry.payer.clone());
        let paid = Paid { receipt, method, challenge: turn.entry.challenge.clone(), payer };
        Ok(Self { turn: Some(turn), events, paid })
    }

    /// What was paid.
    pub fn paid(&self) -> &Paid {
        &self.paid
    }

    /// The receipt to put on a success, and on nothing else (C-36).
    pub fn receipt(&self) -> &Receipt {
        &self.paid.receipt
    }

    /// Ends it: `delivered` once the last byte of a success was handed over, and not before. Waits until that is on the
    /// books; a caller that is dropped meanwhile changes nothing.
    ///
    /// # Errors
    /// The store did not answer, over several tries; the entry then stays `serving` until its lease is over.
    pub async fn finish(mut self, delivered: bool) -> Result<(), Rejection> {
        match self.end(delivered) {
            Some(written) => written.await,
            None => Ok(()),
        }
    }

    /// As [`Permit::finish`], without waiting: for where nothing can be awaited.
    pub fn finish_soon(mut self, delivered: bool) {
        drop(self.end(delivered));
    }

    fn end(
        &mut self,
        delivered: bool,
    ) -> Option<impl Future<Output = Result<(), Rejection>> + Send + use<>> {
        let turn = self.turn.take()?;
        let challenge = &self.paid.challenge;
        self.events.send(|| match delivered {
            true => Event::Delivered { challenge: challenge.clone() },
            false => Event::NotDelivered { challenge: challenge.clone() },
        });
        Some(turn.end(delivered))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.end(false));
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
    /// The receipt, as the client will get it.
    pub receipt: Receipt,
    /// How it was paid.
    pub method: MethodId,
    /// Which challenge was answered.
    pub challenge: String,
    /// Who paid, where the rail proves it.
    pub payer: Option<Source>,
}
