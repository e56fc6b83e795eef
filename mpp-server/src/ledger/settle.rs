//! From a checked proof to money that moved.

use std::{sync::Arc, time::Instant};

use mpp_core::{
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
    receipt::{Receipt, Status},
    store::{Keep, Key, StoreExt, Version},
};

use super::{
    Entry, FORM, Ledger, Opening, State, broken, elsewhere, in_flight, mark::Marked, millis,
};
use crate::offer::ErasedOffer;

/// Between asking the rail about an unknown outcome and asking it again.
const PATIENCE_MILLIS: i64 = 2_000;

/// A payment on the books, in the hands of the one task that may move it.
pub(super) struct Payment {
    pub(super) ledger: Ledger,
    pub(super) key: Key,
    pub(super) version: Version,
    /// Boxed: it moves through every step.
    pub(super) entry: Box<Entry>,
}

impl Payment {
    /// Puts a checked proof on the books and marks what it uses up.
    pub(super) async fn open(
        ledger: Ledger,
        key: Key,
        opening: Opening,
    ) -> Result<Self, Rejection> {
        let Opening { print, method, account, challenge, expires, spends, evidence, external_id } =
            opening;
        // A check may take its time; what expired meanwhile takes no money (S5).
        if expires.expired_at(&ledger.clock.now()) {
            let detail = format!("Payment expired at {expires}.");
            return Err(Rejection::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail));
        }
        let (mark, mark_until) = spends.map_or((None, None), |(mark, until)| (Some(mark), until));
        let entry = Box::new(Entry {
            v: FORM,
            state: State::Reserved,
            until: ledger.now_millis() + millis(ledger.settling_lease()),
            print,
            method,
            account,
            challenge,
            expires,
            mark: mark.map(|m| m.as_str().to_owned()),
            mark_until,
            evidence,
            external_id,
            receipt: None,
            payer: None,
            served: 0,
        });
        let opened = ledger.store.write(&key, None, &entry, Keep::Forever).await.map_err(broken)?;
        // Absent a moment ago and present now: another copy of this credential, or another answer to this challenge.
        let version = opened.ok_or_else(in_flight)?;
        let me = Self { ledger, key, version, entry };
        // A crash here leaves `reserved`: nothing was sent, and the same credential goes on from it after the lease.
        match me.ledger.mark(&me.key, &me.entry).await? {
            // A crash here leaves `reserved` and a mark that names it: going on finds its own mark.
            Marked::Fresh => Ok(me),
            // A mark of our own name, for an entry that was not there, is of a payment whose entry was forgotten: it is as
            // much used up as another's.
            Marked::Ours | Marked::Others => Err(me.withdraw().await),
        }
    }

    /// Takes an entry over whose lease ran out.
    pub(super) async fn take_over(
        ledger: Ledger,
        key: Key,
        version: Version,
        entry: Entry,
    ) -> Result<Self, Rejection> {
        let mut me = Self { ledger, key, version, entry: Box::new(entry) };
        if me.entry.state == State::Reserved {
            me.entry.until = me.ledger.now_millis() + millis(me.ledger.settling_lease());
            me.advance(State::Reserved).await?;
            if me.ledger.mark(&me.key, &me.entry).await? == Marked::Others {
                return Err(me.withdraw().await);
            }
        }
        Ok(me)
    }

    /// The entry goes, so that asking again gets the same answer and no invitation. Nothing was sent for it.
    async fn withdraw(self) -> Rejection {
        let _ = self.ledger.store.swap(&self.key, Some(self.version), None, Keep::Forever).await;
        elsewhere()
    }

    /// Settles. `asked_for` tells whether anybody still waits: then the turn to serve is taken in the same swap.
    pub(super) async fn settle(
        &mut self,
        offer: Arc<dyn ErasedOffer>,
        asked_for: impl Fn() -> bool,
    ) -> Result<(), Rejection> {
        let began = self.start_settling().await?;
        let fate = self.send(offer, began).await;
        self.close(fate, asked_for).await
    }

    /// Goes on from an open outcome: asks the rail first, sends only what the rail never saw.
    pub(super) async fn resume(
        &mut self,
        offer: Arc<dyn ErasedOffer>,
        asked_for: impl Fn() -> bool,
    ) -> Result<(), Rejection> {
        let began = self.start_settling().await?;
        let known = offer.clone().reconcile(self.entry.evidence.clone());
        let fate = match self.ledger.within_deadline(known).await {
            // The rail never saw it: sending is safe, and still ours alone to do, under the lease.
            Fate::Absent => self.send(offer, began).await,
            fate => fate,
        };
        self.close(fate, asked_for).await
    }

    /// Takes the lease under which something may be sent, and notes when by a clock that nobody sets.
    async fn start_settling(&mut self) -> Result<Instant, Rejection> {
        let began = Instant::now();
        self.entry.until = self.ledger.now_millis() + millis(self.ledger.settling_lease());
        self.advance(State::Settling).await?;
        Ok(began)
    }

    async fn send(&self, offer: Arc<dyn ErasedOffer>, began: Instant) -> Fate {
        // A store that took its time, or a machine that slept, used the lease up: another may be sending by now.
        if began.elapsed() >= self.ledger.settling_lease() - self.ledger.deadline {
            return Fate::unknown("the lease was used up before anything was sent");
        }
        // A crash from here on leaves `settling`: the rail is asked before anything is sent again.
        self.ledger.within_deadline(offer.settle(self.entry.evidence.clone())).await
    }

    async fn close(&mut self, fate: Fate, asked_for: impl Fn() -> bool) -> Result<(), Rejection> {
        match fate {
            Fate::Settled(settlement) => {
                self.entry.payer = settlement.payer.clone();
                self.entry.receipt = Some(self.receipt(settlement));
                // The money moved. A crash or a broken store before this swap leaves `settling`: the rail is asked again.
                match asked_for() {
                    true => self.take_turn().await,
                    false => self.advance(State::Settled).await,
                }
            }
            Fate::Failed(rejection) => {
                // Lost: somebody took over, and what becomes of it is theirs to say. No one is told to pay again.
                self.advance(State::Failed).await?;
                self.ledger.unmark(&self.key, &self.entry).await;
                Err(rejection)
            }
            Fate::Unknown(cause) => Err(self.leave_unknown(cause).await?),
            // An order that was sent and that the rail does not know is not yet a failure: it may be on its way.
            _ => Err(self.leave_unknown("the rail does not know the order yet".into()).await?),
        }
    }

    async fn leave_unknown(
        &mut self,
        cause: Box<dyn std::error::Error + Send + Sync>,
    ) -> Result<Rejection, Rejection> {
        self.entry.until = self.ledger.now_millis() + PATIENCE_MILLIS;
        self.advance(State::Unknown).await?;
        Ok(Rejection::unknown(cause))
    }

    fn receipt(&self, settlement: Settlement) -> Receipt {
        let Settlement { reference, mut extra, .. } = settlement;
        extra.insert("challengeId".into(), self.entry.challenge.clone().into());
        Receipt {
            method: self.entry.method.method.clone(),
            reference,
            status: Status::Success,
            timestamp: self.ledger.clock.now(),
            external_id: self.entry.external_id.clone(),
            extra,
        }
    }

    /// Moves on to a state; refused as in flight where somebody else moved first.
    pub(super) async fn advance(&mut self, to: State) -> Result<(), Rejection> {
        self.entry.state = to;
        if to.is_final() {
            // Nothing can be settled from it any more, so what is worth money need not lie there.
            self.entry.evidence = serde_json::value::RawValue::NULL.to_owned();
        }
        let keep = self.ledger.keep(&self.entry);
        let written =
            self.ledger.store.write(&self.key, Some(self.version), &self.entry, keep).await;
        self.version = written.map_err(broken)?.ok_or_else(in_flight)?;
        Ok(())
    }
}
