//! From a checked proof to money that moved.

use mpp_core::{
    fate::{Fate, Settlement},
    name::MethodId,
    problem::{Reason, Rejection},
    receipt::{Receipt, Status},
    store::{Keep, Key, StoreExt, Version},
    time::Timestamp,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Entry, Ledger, Manner, Opening, State, broken, entry::FORM, in_flight, mark::Marked};
use crate::{rail::Rail, route::Order};

/// Between asking the rail about an unknown outcome and asking it again.
const PATIENCE_MILLIS: i64 = 2_000;

/// How often a step is tried over a write of our own whose answer was lost.
const OVERTAKES: u32 = 3;

/// A payment on the books, in the hands of the one task that may move it.
pub(super) struct Payment {
    pub(super) ledger: Ledger,
    pub(super) key: Key,
    pub(super) version: Version,
    /// Boxed: it moves through every step.
    pub(super) entry: Box<Entry>,
    /// When the lease that is held was asked for, by a clock that nobody sets.
    began: Instant,
    /// A write of ours went unanswered: what is found in our name may be newer than what we know.
    doubt: bool,
}

impl Payment {
    /// Marks what a checked proof uses up and puts it on the books: as `settling`, or as `reserved` where its handler runs
    /// first.
    pub(super) async fn open(
        ledger: Ledger,
        key: Key,
        opening: Opening,
        manner: Manner,
    ) -> Result<Self, Rejection> {
        opening.refuse_expired(&ledger.clock.now())?;
        let Opening {
            print, challenge, expires, spends, evidence, external_id, rail, agreed, ..
        } = opening;
        let (mark, mark_until) = spends.map_or((None, None), |(mark, until)| (Some(mark), until));
        let state = match manner.order {
            Order::SettleFirst => State::Settling,
            Order::ServeFirst => State::Reserved,
        };
        let began = Instant::now();
        let entry = Box::new(Entry {
            v: FORM,
            state,
            until: ledger.lease(state),
            holder: ledger.me,
            print,
            method: rail.id().clone(),
            account: rail.settles_at().to_owned(),
            challenge,
            expires,
            mark: mark.map(|m| m.as_str().to_owned()),
            mark_until,
            evidence,
            external_id,
            receipt: None,
            payer: None,
            served: 0,
            spared: 0,
            asked: manner.asked,
            answer: None,
            agreed,
        });
        // A crash here leaves nothing.
        let marked = ledger.mark(&key, &entry).await?;
        // A crash here leaves a mark of this name and no entry: the same credential finds its own mark and goes on.
        let opened = ledger.store.write(&key, None, &entry, Keep::Forever).await.map_err(broken)?;
        let Some(version) = opened else {
            // Absent a moment ago and present now: another copy of this credential, or another answer to this challenge, in
            // which case the proof was not used.
            let found = ledger.find(&key).await?;
            if marked == Marked::Fresh && found.is_some_and(|(_, found)| found.print != entry.print)
            {
                let marked = ledger.marked(&key, &entry).await;
                ledger.unmark(marked).await;
            }
            return Err(in_flight());
        };
        let mut payment = Self { ledger, key, version, entry, began, doubt: false };
        if marked == Marked::Before {
            payment.mark_again().await?;
        }
        Ok(payment)
    }

    /// Marks the proof anew now that its payment is on the books: a mark that was there before may have been freed by
    /// whoever took the same payment off them. A crash before this leaves an open payment that is marked before it sends.
    async fn mark_again(&mut self) -> Result<(), Rejection> {
        match self.ledger.mark(&self.key, &self.entry).await {
            Err(e) if e.reason == Reason::CREDITED_ELSEWHERE => {
                self.withdraw().await?;
                Err(e)
            }
            marked => marked.map(drop),
        }
    }

    /// Takes hold of an entry that is on the books.
    pub(super) fn found(ledger: Ledger, key: Key, version: Version, entry: Entry) -> Self {
        Self { ledger, key, version, entry: Box::new(entry), began: Instant::now(), doubt: false }
    }

    /// Settles what was opened just now.
    pub(super) async fn settle(
        &mut self,
        rail: &Rail,
        asked_for: impl Fn() -> bool,
    ) -> Result<(), Rejection> {
        let fate = self.send(rail).await;
        self.close(fate, asked_for).await
    }

    /// Settles what was reserved while its handler ran.
    pub(super) async fn charge(&mut self, rail: &Rail) -> Result<(), Rejection> {
        self.refuse_expired().await?;
        self.start_settling().await?;
        self.settle(rail, || true).await
    }

    /// Takes what is reserved off the books where its challenge is over: its handler may have taken its time, or a crash
    /// come between; what has expired takes no money (S5).
    pub(super) async fn refuse_expired(&mut self) -> Result<(), Rejection> {
        if !self.entry.expires.expired_at(&self.ledger.clock.now()) {
            return Ok(());
        }
        self.withdraw().await?;
        Err(Rejection::expired(&self.entry.expires))
    }

    /// Goes on from an open outcome: asks the rail first, sends only what the rail never saw.
    pub(super) async fn resume(
        &mut self,
        rail: &Rail,
        asked_for: impl Fn() -> bool,
    ) -> Result<(), Rejection> {
        self.start_settling().await?;
        // A crash here leaves `settling`, and a mark that is this payment's or nobody's.
        let fate = match self.ledger.mark(&self.key, &self.entry).await {
            Ok(_) => self.ask_and_send(rail).await,
            // Marks are taken before anything is sent, so nothing ever was for this one.
            Err(e) if e.reason == Reason::CREDITED_ELSEWHERE => Fate::Failed(e),
            Err(_) => Fate::unknown("the proof could not be marked"),
        };
        self.close(fate, asked_for).await
    }

    /// Takes the lease under which something may be sent.
    async fn start_settling(&mut self) -> Result<(), Rejection> {
        // A crash after this leaves `settling`, whether or not anything was sent: the rail is asked.
        self.advance(State::Settling).await
    }

    async fn ask_and_send(&self, rail: &Rail) -> Fate {
        let known = rail.reconcile(self.entry.evidence.clone());
        match self.ledger.within_deadline(known).await {
            // The rail never saw it: sending is safe, and still ours alone to do, under the lease.
            Fate::Absent => self.send(rail).await,
            fate => fate,
        }
    }

    async fn send(&self, rail: &Rail) -> Fate {
        // A store that took its time, or a machine that slept, used the lease up: another may be sending by now.
        if self.began.elapsed() >= self.ledger.settling_lease() - self.ledger.deadline {
            return Fate::unknown("the lease was used up before anything was sent");
        }
        // A crash from here on leaves `settling`: the rail is asked before anything is sent again.
        self.ledger.within_deadline(rail.settle(self.entry.evidence.clone())).await
    }

    /// Writes down what became of the order. `asked_for` tells whether anybody still waits: then the turn to serve is taken
    /// in the same swap.
    async fn close(&mut self, fate: Fate, asked_for: impl Fn() -> bool) -> Result<(), Rejection> {
        match fate {
            Fate::Settled(settlement) => {
                self.entry.payer = settlement.payer.clone();
                if let Some(agreed) = &mut self.entry.agreed {
                    agreed.began = settlement.began.clone();
                }
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
                let marked = self.ledger.marked(&self.key, &self.entry).await;
                self.ledger.unmark(marked).await;
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
        self.advance(State::Unknown).await?;
        Ok(Rejection::unknown(cause))
    }

    /// Takes a payment off the books for which nothing was sent: the same credential may come again.
    pub(super) async fn withdraw(&mut self) -> Result<(), Rejection> {
        let marked = self.ledger.marked(&self.key, &self.entry).await;
        for _ in 0..OVERTAKES {
            let (store, expect) = (&self.ledger.store, Some(self.version));
            let removed = store.swap(&self.key, expect, None, Keep::Forever).await;
            self.doubt |= removed.is_err();
            let mut gone = removed.map_err(broken)?.is_some();
            if !gone {
                // Another's, or gone or renewed by an earlier write of our own whose answer was lost.
                match self.ledger.find(&self.key).await? {
                    _ if !self.doubt => return Err(in_flight()),
                    Some((_, found)) if found.holder != self.ledger.me => return Err(in_flight()),
                    Some((_, found)) if found.state != self.entry.state => return Err(in_flight()),
                    Some((version, _)) => self.version = version,
                    None => gone = true,
                }
            }
            if gone {
                // A crash here leaves a mark of this name and no entry: the same credential finds its own mark.
                self.ledger.unmark(marked).await;
                return Ok(());
            }
        }
        Err(in_flight())
    }

    fn receipt(&self, settlement: Settlement) -> Receipt {
        let Entry { method, challenge, external_id, .. } = &*self.entry;
        receipt(settlement, method, challenge, external_id.clone(), self.ledger.clock.now())
    }

    /// Whether the lease to serve lasts still. Where the store took its time, another may be serving by now.
    pub(super) fn is_in_time(&self) -> bool {
        self.began.elapsed() < self.ledger.serving
    }

    /// Moves on to a state, under a new lease; refused as in flight where somebody else moved first.
    pub(super) async fn advance(&mut self, to: State) -> Result<(), Rejection> {
        self.began = Instant::now();
        self.entry.v = FORM;
        self.entry.state = to;
        self.entry.holder = self.ledger.me;
        self.entry.until = match to {
            State::Unknown => self.ledger.now_millis() + PATIENCE_MILLIS,
            to => self.ledger.lease(to),
        };
        if to.is_final() {
            // Nothing can be settled from it any more, so what is worth money need not lie there.
            self.entry.evidence = RawValue::NULL.to_owned();
            if let Some(agreed) = &mut self.entry.agreed {
                agreed.began = None;
            }
        }
        let keep = self.ledger.keep(&self.entry);
        for _ in 0..OVERTAKES {
            let (store, expect) = (&self.ledger.store, Some(self.version));
            let written = store.write(&self.key, expect, &self.entry, keep.clone()).await;
            self.doubt |= written.is_err();
            if let Some(version) = written.map_err(broken)? {
                self.version = version;
                return Ok(());
            }
            // Another's, or an earlier one of our own whose answer was lost: this gate has a payment in one task's hand.
            match self.ledger.find(&self.key).await? {
                _ if !self.doubt => return Err(in_flight()),
                Some((_, found)) if found.holder != self.ledger.me => return Err(in_flight()),
                Some((_, found)) if found.state.is_final() => {
                    return if found.state == to { Ok(()) } else { Err(in_flight()) };
                }
                Some((version, _)) => self.version = version,
                None => return Err(in_flight()),
            }
        }
        Err(in_flight())
    }
}

/// What a settlement is told to the payer as.
pub(crate) fn receipt(
    settlement: Settlement,
    method: &MethodId,
    challenge: &str,
    external_id: Option<String>,
    timestamp: Timestamp,
) -> Receipt {
    let Settlement { reference, mut extra, .. } = settlement;
    extra.insert("challengeId".into(), challenge.into());
    let (method, status) = (method.method.clone(), Status::Success);
    Receipt { method, reference, status, timestamp, external_id, extra }
}

impl std::fmt::Debug for Payment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payment").field("entry", &self.entry).finish_non_exhaustive()
    }
}
