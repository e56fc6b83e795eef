//! The task that owns a payment from its first swap to its last: settling, the turn to serve, and its end.
//!
//! Whoever asked holds one end of a channel and may go away at any moment; what was paid is then served to the same
//! credential again.

use std::time::Duration;

use mpp_core::{
    problem::{Reason, Rejection},
    store::Key,
};
use tokio::{sync::oneshot, time};

use super::{
    Ledger, Manner, Serving, Start, State, Turn, hold::Hold, in_flight, refusal::too_often,
    settle::Payment,
};
use crate::{event::Event, permit::Paid, rail::Rail, route::Order};

/// How often an unknown outcome is asked after with nobody waiting, each time after twice as long: two minutes in all.
const ASKED_AFTER: u32 = 6;

impl Ledger {
    /// Goes on with a payment in a task of its own, until its turn to be served has come.
    pub(crate) async fn go_on(
        &self,
        key: Key,
        start: Start,
        manner: Manner,
        hold: Hold,
    ) -> Result<Serving, Rejection> {
        let me = self.clone();
        let (hand, taken) = oneshot::channel();
        // Boxed: a task's future is moved several times on its way to the runtime, and this one has room for a payment.
        tokio::spawn(Box::pin(me.keep_going(key, start, manner, hold, hand)));
        // A panic in a method's code drops the sender and leaves the entry in its state: the rail is asked.
        taken.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    async fn keep_going(
        self,
        key: Key,
        start: Start,
        manner: Manner,
        hold: Hold,
        hand: oneshot::Sender<Result<Serving, Rejection>>,
    ) {
        let rail = match &start {
            Start::New(opening) => Some(opening.rail.clone()),
            Start::Resume(_, _, rail) => Some(rail.clone()),
            Start::Serve(..) => None,
        };
        let asked_for = || !hand.is_closed();
        let ready = self.ready(key.clone(), start, &manner, asked_for).await;
        // Too late to be served is left to its lease, which is over.
        let in_time = |payment: Payment| payment.is_in_time().then_some(payment);
        let payment = match ready.and_then(|payment| in_time(payment).ok_or_else(in_flight)) {
            Ok(payment) => payment,
            Err(rejection) => {
                drop(hold);
                let open = rejection.reason == Reason::OUTCOME_UNKNOWN;
                let _ = hand.send(Err(rejection));
                if let Some(rail) = rail.filter(|_| open) {
                    Box::pin(self.ask_after(key, rail)).await;
                }
                return;
            }
        };
        let (turn, words) = Turn::new();
        let keep =
            (manner.asked.is_some() && self.longest_answer > 0).then_some(self.longest_answer);
        // Nobody there to take it: the turn is dropped, which ends it as not delivered.
        let _ = hand.send(Ok(Serving { paid: payment.paid(), turn, keep }));
        if let Some(rail) = payment.serve(words, rail, hold).await {
            Box::pin(self.ask_after(key, rail)).await;
        }
    }

    /// Brings a payment to its turn: `serving`, or `reserved` where the handler runs first.
    async fn ready(
        &self,
        key: Key,
        start: Start,
        manner: &Manner,
        asked_for: impl Fn() -> bool,
    ) -> Result<Payment, Rejection> {
        let mut payment = match start {
            Start::New(opening) => {
                let rail = opening.rail.clone();
                // What has moved is booked first: no handler can hold it back.
                let order = if opening.moved { Order::SettleFirst } else { manner.order };
                let manner = Manner { order, ..manner.clone() };
                let mut payment = Payment::open(self.clone(), key, *opening, manner).await?;
                if order == Order::ServeFirst {
                    return Ok(payment);
                }
                payment.settle(&rail, asked_for).await?;
                payment
            }
            Start::Resume(version, entry, rail) => {
                let reserved = entry.state == State::Reserved;
                let mut payment = Payment::found(self.clone(), key, version, entry);
                payment.entry.asked = manner.asked.clone();
                if reserved {
                    payment.refuse_expired().await?;
                }
                if reserved && manner.order == Order::ServeFirst {
                    // Nothing was sent, whatever the handler did: it runs again.
                    payment.reserve_again().await?;
                    return Ok(payment);
                }
                Box::pin(payment.resume(&rail, asked_for)).await?;
                payment
            }
            Start::Serve(version, entry) => {
                let mut payment = Payment::found(self.clone(), key, version, entry);
                payment.entry.asked = manner.asked.clone();
                payment.take_turn().await?;
                return Ok(payment);
            }
        };
        payment.tell();
        if payment.entry.state != State::Serving {
            payment.take_turn().await?;
        }
        // A crash from here on leaves `serving`: past its lease the same credential is served again, unpaid anew.
        Ok(payment)
    }

    /// Settles an open payment for which nobody waits, and leaves it to be redeemed.
    pub(super) async fn settle_alone(
        &self,
        payment: &mut Payment,
        rail: &Rail,
    ) -> Result<(), Rejection> {
        payment.resume(rail, || false).await?;
        payment.tell();
        Ok(())
    }

    /// Asks the rail after an outcome that nobody waits for any more, so that the books say in time what became of it.
    async fn ask_after(&self, key: Key, rail: Rail) {
        for again in 0..ASKED_AFTER {
            time::sleep(Duration::from_secs(2 << again)).await;
            let Ok(Some((version, entry))) = self.find(&key).await else { continue };
            // Not for us any more: its payer came back, or it is decided.
            if !matches!(entry.state, State::Unknown | State::Settling) {
                return;
            }
            // Another gate may be asking, or sending, right now, or has just asked.
            let asked = entry.state == State::Unknown && !self.lapsed(&entry);
            if asked || !self.is_free(&entry) {
                continue;
            }
            let Some(_hold) = self.holds.take(&key) else { return };
            let mut payment = Payment::found(self.clone(), key.clone(), version, entry);
            match self.settle_alone(&mut payment, &rail).await {
                Err(e) if e.reason == Reason::OUTCOME_UNKNOWN => {}
                _ => return,
            }
        }
    }
}

impl Payment {
    /// Takes the turn to serve: of a hundred copies of a paid credential shown at once, one.
    pub(super) async fn take_turn(&mut self) -> Result<(), Rejection> {
        if self.entry.served.saturating_sub(self.entry.spared) >= self.ledger.servings {
            return Err(too_often());
        }
        self.entry.served += 1;
        self.advance(State::Serving).await
    }

    /// Takes the turn to run the handler of what is charged on success.
    async fn reserve_again(&mut self) -> Result<(), Rejection> {
        self.ledger.mark(&self.key, &self.entry).await?;
        self.advance(State::Reserved).await
    }

    pub(super) fn paid(&self) -> Paid {
        let entry = &self.entry;
        Paid {
            receipt: entry.receipt.clone(),
            method: entry.method.clone(),
            challenge: entry.challenge.clone(),
            payer: entry.payer.clone(),
        }
    }

    /// Says that money moved, to the log and to whoever listens, whether or not anybody waits for the result.
    pub(super) fn tell(&self) {
        let Some(receipt) = &self.entry.receipt else { return };
        tracing::info!(method = %self.entry.method, reference = %receipt.reference, "payment settled");
        self.ledger.events.send(|| Event::PaymentSuccess { receipt: receipt.clone().into() });
    }
}
