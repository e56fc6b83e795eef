//! A permit to serve: the one way from money to a handler.

use std::fmt;

use mpp_core::{Receipt, credential::Source, name::MethodId, problem::Rejection};

use crate::{
    event::{Event, Events},
    ledger::{Ledger, Turn},
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
/// again, and runs the handler again without a new payment.
#[must_use = "a permit that is not finished was not delivered"]
pub struct Permit {
    turn: Option<Box<Turn>>,
    ledger: Ledger,
    events: Events,
    paid: Paid,
}

impl Permit {
    pub(crate) fn new(turn: Turn, ledger: Ledger, events: Events) -> Result<Self, Rejection> {
        let receipt = turn.entry.receipt.clone();
        let receipt =
            receipt.ok_or_else(|| Rejection::internal("a settled entry without a receipt"))?;
        let (method, payer) = (turn.entry.method.clone(), turn.entry.payer.clone());
        let paid = Paid { receipt, method, challenge: turn.entry.challenge.clone(), payer };
        Ok(Self { turn: Some(Box::new(turn)), ledger, events, paid })
    }

    /// What was paid.
    pub fn paid(&self) -> &Paid {
        &self.paid
    }

    /// The receipt to put on a success, and on nothing else (C-36).
    pub fn receipt(&self) -> &Receipt {
        &self.paid.receipt
    }

    /// Ends it: `delivered` once the last byte of a success was handed over, and not before.
    ///
    /// # Errors
    /// The store did not answer; the entry then stays `serving`, and past its lease the credential can be shown again.
    pub async fn finish(mut self, delivered: bool) -> Result<(), Rejection> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        end(&self.ledger, &self.events, *turn, delivered).await
    }

    /// As [`Permit::finish`], in a task of its own: for where nothing can be awaited.
    pub fn finish_soon(mut self, delivered: bool) {
        self.spawn(delivered);
    }

    fn spawn(&mut self, delivered: bool) {
        let Some(turn) = self.turn.take() else { return };
        let (ledger, events) = (self.ledger.clone(), self.events.clone());
        // Outside a runtime nothing can be written: the lease runs out, and the credential can be shown again.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(e) = end(&ledger, &events, *turn, delivered).await {
                    tracing::warn!(
                        reason = e.reason.as_str(),
                        delivered,
                        "a served payment could not be ended"
                    );
                }
            });
        }
    }
}

async fn end(
    ledger: &Ledger,
    events: &Events,
    turn: Turn,
    delivered: bool,
) -> Result<(), Rejection> {
    let challenge = turn.entry.challenge.clone();
    ledger.finish(turn, delivered).await?;
    events.send(|| {
        if delivered { Event::Delivered { challenge } } else { Event::NotDelivered { challenge } }
    });
    Ok(())
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.spawn(false);
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
