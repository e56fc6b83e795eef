//! The task that owns a payment from its first swap to its last: settling, the turn to serve, and its end.
//!
//! Whoever asked holds one end of a channel and may go away at any moment; what was paid is then served to the same
//! credential again.

use std::time::Duration;

use mpp_core::{
    problem::{Reason, Rejection},
    store::Key,
};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::{
    Ledger, Manner, Serving, Start, State, Turn,
    hold::Hold,
    in_flight,
    refusal::too_often,
    settle::Payment,
    turn::{End, Word},
};
use crate::{event::Event, permit::Paid, rail::Rail, route::Order};

/// How often the last write of a payment is tried: a delivery that is not written down is served again.
const TRIES: u32 = 5;
/// How often an unknown outcome is asked after with nobody waiting, each time after twice as long: two minutes in all.
const ASKED_AFTER: u32 = 6;

impl Ledger {
    /// Goes on with a payment in a task of its own, until its turn to be served has come.
    pub(crate) async fn go_on(
        &self,
        key: Key,
        start: Start,
        manner: Manner,
    ) -> Result<Serving, Rejection> {
        // Of a thousand copies one goes on; the others are told without a word to the store.
        let hold = self.holds.take(&key).ok_or_else(in_flight)?;
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
                let mut payment =
                    Payment::open(self.clone(), key, *opening, manner.clone()).await?;
                if manner.order == Order::ServeFirst {
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
            // Another gate may be asking, or sending, right now.
            if !self.is_free(&entry) {
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
        if self.entry.served >= self.ledger.servings {
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

    /// Keeps the turn while it is being served, and writes down how it ended. Returns the rail to ask after where the money
    /// was to be taken and nobody knows whether it was.
    async fn serve(
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
                    Err(rejection) => {
                        drop(hold);
                        let open = rejection.reason == Reason::OUTCOME_UNKNOWN;
                        let _ = reply.send(Err(rejection));
                        return rail.filter(|_| open);
                    }
                },
                // A driver that handed the response over before it took the money; better late than given away.
                Ok(Some(Word::End(end))) if end.delivered => {
                    let Err(rejection) = self.charge_once(rail.as_ref()).await else {
                        break Some(end);
                    };
                    drop(hold);
                    let open = rejection.reason == Reason::OUTCOME_UNKNOWN;
                    let _ = end.written.send(Err(rejection));
                    return rail.filter(|_| open);
                }
                Ok(Some(Word::End(end))) => break Some(end),
                Ok(None) => break None,
            }
        };
        let (delivered, answer, told) = match end {
            Some(End { delivered, answer, written }) => (delivered, answer, Some(written)),
            None => (false, None, None),
        };
        self.entry.answer = answer.filter(|_| delivered);
        let mut written = self.end(delivered).await;
        for again in 1..TRIES {
            if written.is_ok() {
                break;
            }
            time::sleep(Duration::from_millis(50 << again)).await;
            written = self.end(delivered).await;
        }
        if let Err(e) = &written {
            let reason = e.reason.as_str();
            tracing::error!(reason, delivered, "the end of a served payment could not be written");
        }
        drop(hold);
        if let Some(told) = told {
            let _ = told.send(written);
        }
        None
    }

    async fn end(&mut self, delivered: bool) -> Result<(), Rejection> {
        match (delivered, self.entry.state) {
            // Nothing was sent, and nothing will be: the handler did not succeed.
            (false, State::Reserved) => self.withdraw().await,
            (false, _) => self.advance(State::Settled).await,
            (true, _) => self.advance(State::Delivered).await,
        }
    }

    /// Takes the money of what was reserved; of anything else it is taken already.
    async fn charge_once(&mut self, rail: Option<&Rail>) -> Result<(), Rejection> {
        let (State::Reserved, Some(rail)) = (self.entry.state, rail) else { return Ok(()) };
        self.charge(rail).await?;
        self.tell();
        Ok(())
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
