//! The task that owns a payment from its first swap to its last: settling, the turn to serve, and its end.
//!
//! Whoever asked holds one end of a channel and may go away at any moment; what was paid is then served to the same
//! credential again.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    problem::{Reason, Rejection},
    store::{Key, StoreExt},
};
use tokio::{sync::oneshot, time};

use super::{Entry, Ledger, Start, State, in_flight, millis, settle::Payment, too_often};
use crate::{event::Event, offer::ErasedOffer, permit::Paid};

/// How often the last write of a payment is tried: a delivery that is not written down is served again.
const TRIES: u32 = 5;
/// How often an unknown outcome is asked after with nobody waiting, each time after twice as long: two minutes in all.
const ASKED_AFTER: u32 = 6;

/// A turn to serve a settled payment. Dropped without [`Serving::end`], it counts as not delivered.
pub(crate) struct Serving {
    pub(crate) paid: Paid,
    pub(crate) end: TurnEnd,
}

/// Where a turn says how it ended.
pub(crate) struct TurnEnd(oneshot::Sender<End>);

struct End {
    delivered: bool,
    written: oneshot::Sender<Result<(), Rejection>>,
}

impl TurnEnd {
    /// Says how it ended, and waits until that is written down. A caller that is dropped meanwhile changes nothing.
    pub(crate) fn tell(
        self,
        delivered: bool,
    ) -> impl Future<Output = Result<(), Rejection>> + Send + use<> {
        let (written, heard) = oneshot::channel();
        let _ = self.0.send(End { delivered, written });
        async move { heard.await.unwrap_or_else(|e| Err(Rejection::unknown(e))) }
    }
}

impl Ledger {
    /// Goes on with a payment in a task of its own, until its turn to be served has come.
    pub(crate) async fn go_on(&self, key: Key, start: Start) -> Result<Serving, Rejection> {
        let me = self.clone();
        let (hand, taken) = oneshot::channel();
        // Boxed: a task's future is moved several times on its way to the runtime, and this one has room for a payment.
        tokio::spawn(Box::pin(me.keep_going(key, start, hand)));
        // A panic in a method's code drops the sender and leaves the entry in its state; past the lease the rail is asked.
        taken.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    async fn keep_going(
        self,
        key: Key,
        start: Start,
        hand: oneshot::Sender<Result<Serving, Rejection>>,
    ) {
        let offer = start.offer();
        let asked_for = || !hand.is_closed();
        let mut payment = match self.settled(key.clone(), start, asked_for).await {
            Ok(payment) => payment,
            Err(rejection) => {
                let open = rejection.reason == Reason::OUTCOME_UNKNOWN;
                let _ = hand.send(Err(rejection));
                if let Some(offer) = offer.filter(|_| open) {
                    Box::pin(self.ask_after(key, offer)).await;
                }
                return;
            }
        };
        if payment.entry.state != State::Serving
            && let Err(rejection) = payment.take_turn().await
        {
            return drop(hand.send(Err(rejection)));
        }
        // A crash from here on leaves `serving`: past its lease the same credential is served again, unpaid anew.
        let (end, ended) = oneshot::channel();
        // Nobody there to take it: the turn is dropped, which ends it as not delivered.
        let _ = hand.send(Ok(Serving { paid: payment.paid(), end: TurnEnd(end) }));
        payment.serve(ended).await;
    }

    async fn settled(
        &self,
        key: Key,
        start: Start,
        asked_for: impl Fn() -> bool,
    ) -> Result<Payment, Rejection> {
        let mut payment = match start {
            Start::New(opening, offer) => {
                let mut payment = Payment::open(self.clone(), key, *opening).await?;
                payment.settle(offer, asked_for).await?;
                payment
            }
            Start::Resume(version, entry, offer) => {
                let mut payment =
                    Box::pin(Payment::take_over(self.clone(), key, version, entry)).await?;
                Box::pin(payment.resume(offer, asked_for)).await?;
                payment
            }
            Start::Serve(version, entry) => {
                return Ok(Payment { ledger: self.clone(), key, version, entry: Box::new(entry) });
            }
        };
        payment.tell();
        Ok(payment)
    }

    /// Asks the rail after an outcome that nobody waits for any more, so that the books say in time what became of it.
    async fn ask_after(&self, key: Key, offer: Arc<dyn ErasedOffer>) {
        for again in 0..ASKED_AFTER {
            time::sleep(Duration::from_secs(2 << again)).await;
            let Ok(Some((version, entry))) = self.find(&key).await else { continue };
            // Not for us any more: its payer came back, or it is decided.
            if entry.state != State::Unknown {
                return;
            }
            if self.lapsed(&entry) {
                let resumed = self
                    .settled(key.clone(), Start::Resume(version, entry, offer.clone()), || false)
                    .await;
                match resumed {
                    Err(e) if e.reason == Reason::OUTCOME_UNKNOWN => {}
                    _ => return,
                }
            }
        }
    }
}

impl Payment {
    /// Takes the turn to serve: of a hundred copies of a paid credential shown at once, one.
    pub(super) async fn take_turn(&mut self) -> Result<(), Rejection> {
        if self.entry.served >= self.ledger.servings {
            return Err(too_often());
        }
        self.entry.served += 1;
        self.entry.until = self.ledger.now_millis() + millis(self.ledger.serving);
        self.advance(State::Serving).await
    }

    /// Keeps the turn while it is being served, and writes down how it ended.
    async fn serve(mut self, mut ended: oneshot::Receiver<End>) {
        let lease = self.ledger.serving / 3;
        let end = loop {
            match time::timeout(lease, &mut ended).await {
                Ok(end) => break end.ok(),
                // Still being served: the lease is for those who died, not for those who are slow.
                Err(_) => self.entry.until = self.ledger.now_millis() + millis(self.ledger.serving),
            }
            // A renewal that cannot be written is tried again in time; the end is written whatever became of it.
            let _ = self.write_turn(State::Serving).await;
        };
        let delivered = end.as_ref().is_some_and(|end| end.delivered);
        let to = if delivered { State::Delivered } else { State::Settled };
        let mut written = self.write_turn(to).await;
        for again in 1..TRIES {
            if written.is_ok() {
                break;
            }
            time::sleep(Duration::from_millis(50 << again)).await;
            written = self.write_turn(to).await;
        }
        if let Err(e) = &written {
            let reason = e.reason.as_str();
            tracing::error!(reason, delivered, "the end of a served payment could not be written");
        }
        if let Some(end) = end {
            let _ = end.written.send(written);
        }
    }

    /// Writes a state of our turn. A write whose answer was lost has moved the version on: as long as the entry is in this
    /// very turn, it is ours to write.
    async fn write_turn(&mut self, to: State) -> Result<(), Rejection> {
        let Err(lost) = self.advance(to).await else { return Ok(()) };
        let found = self.ledger.store.read::<Entry>(&self.key).await.ok().flatten();
        match found {
            Some((version, found))
                if found.state == State::Serving && found.served == self.entry.served =>
            {
                self.version = version;
                self.advance(to).await
            }
            // Written before its answer was lost, or the turn is another's by now: theirs to end.
            Some((_, found)) if found.state == to || found.served != self.entry.served => Ok(()),
            Some(_) => Err(in_flight()),
            None => Err(lost),
        }
    }

    fn paid(&self) -> Paid {
        let entry = &self.entry;
        Paid {
            receipt: entry.receipt.clone(),
            method: entry.method.clone(),
            challenge: entry.challenge.clone(),
            payer: entry.payer.clone(),
        }
    }

    /// Says that money moved, to the log and to whoever listens, whether or not anybody waits for the result.
    fn tell(&mut self) {
        let Some(receipt) = &self.entry.receipt else { return };
        tracing::info!(method = %self.entry.method, reference = %receipt.reference, "payment settled");
        self.ledger.events.send(|| Event::PaymentSuccess { receipt: receipt.clone().into() });
    }
}
