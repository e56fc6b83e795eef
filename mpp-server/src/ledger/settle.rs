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

impl Ledger {
    /// Opens the entry, marks the proof, and settles.
    pub(super) async fn open(
        &self,
        key: &Key,
        opening: Opening,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<(Version, Entry), Rejection> {
        let Opening { print, method, account, challenge, expires, spends, evidence, external_id } =
            opening;
        // A check may take its time; what expired meanwhile takes no money (S5).
        if expires.expired_at(&self.clock.now()) {
            let detail = format!("Payment expired at {expires}.");
            return Err(Rejection::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail));
        }
        // Without a proof to mark there is nothing between reserving and settling.
        let state = if spends.is_some() { State::Reserved } else { State::Settling };
        let (mark, mark_until) = spends.map_or((None, None), |(mark, until)| (Some(mark), until));
        let began = Instant::now();
        let mut entry = Entry {
            v: FORM,
            state,
            until: self.now_millis() + millis(self.settling_lease()),
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
        };
        let opened = self.store.write(key, None, &entry, Keep::Forever).await.map_err(broken)?;
        // Absent a moment ago and present now: another copy of this credential, or another answer to this challenge.
        let Some(version) = opened else { return Err(in_flight()) };
        if state == State::Settling {
            return self.send(key, version, entry, offer, began).await;
        }
        // A crash here leaves `reserved`: nothing was sent, and the same credential goes on from it after the lease.
        if self.mark(key, &entry).await? != Marked::Fresh {
            // A mark of our own name, for an entry that was not there, is of a payment whose entry was forgotten: it is as much
            // used up as another's. The entry goes, so that asking again gets the same answer and no invitation.
            let _ = self.store.swap(key, Some(version), None, Keep::Forever).await;
            return Err(elsewhere());
        }
        // A crash here leaves `reserved` and a mark that names it: going on finds its own mark.
        let (version, began) = self.start_settling(key, version, &mut entry).await?;
        self.send(key, version, entry, offer, began).await
    }

    /// Goes on from an entry whose lease ran out: asks the rail first, sends only what the rail never saw.
    pub(super) async fn resume(
        &self,
        key: &Key,
        version: Version,
        mut entry: Entry,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<(Version, Entry), Rejection> {
        let unsent = entry.state == State::Reserved;
        let mut version = version;
        if unsent {
            entry.until = self.now_millis() + millis(self.settling_lease());
            version = self
                .advance(key, version, &mut entry, State::Reserved)
                .await?
                .ok_or_else(in_flight)?;
            if self.mark(key, &entry).await? == Marked::Others {
                let _ = self.store.swap(key, Some(version), None, Keep::Forever).await;
                return Err(elsewhere());
            }
        }
        let (version, began) = self.start_settling(key, version, &mut entry).await?;
        match self.within_deadline(offer.clone().reconcile(entry.evidence.clone())).await {
            // The rail never saw it: sending is safe, and still ours alone to do, under the lease.
            Fate::Absent => self.send(key, version, entry, offer, began).await,
            fate => self.close(key, version, entry, fate).await,
        }
    }

    /// Takes the lease under which something may be sent, and notes when by a clock that nobody sets.
    async fn start_settling(
        &self,
        key: &Key,
        version: Version,
        entry: &mut Entry,
    ) -> Result<(Version, Instant), Rejection> {
        let began = Instant::now();
        entry.until = self.now_millis() + millis(self.settling_lease());
        let version =
            self.advance(key, version, entry, State::Settling).await?.ok_or_else(in_flight)?;
        Ok((version, began))
    }

    async fn send(
        &self,
        key: &Key,
        version: Version,
        entry: Entry,
        offer: Arc<dyn ErasedOffer>,
        began: Instant,
    ) -> Result<(Version, Entry), Rejection> {
        // A store that took its time, or a machine that slept, used the lease up: another may be sending by now.
        if began.elapsed() >= self.settling_lease() - self.deadline {
            return self
                .close(
                    key,
                    version,
                    entry,
                    Fate::unknown("the lease was used up before anything was sent"),
                )
                .await;
        }
        // A crash from here on leaves `settling`: the rail is asked before anything is sent again.
        let fate = self.within_deadline(offer.settle(entry.evidence.clone())).await;
        self.close(key, version, entry, fate).await
    }

    async fn close(
        &self,
        key: &Key,
        version: Version,
        mut entry: Entry,
        fate: Fate,
    ) -> Result<(Version, Entry), Rejection> {
        match fate {
            Fate::Settled(settlement) => {
                let now = self.clock.now();
                entry.payer = settlement.payer.clone();
                entry.receipt = Some(receipt(&entry, settlement, now));
                // The money moved. A crash or a broken store before this swap leaves `settling`: the rail is asked again.
                let settled = self.advance(key, version, &mut entry, State::Settled).await?;
                settled.map(|version| (version, entry)).ok_or_else(in_flight)
            }
            Fate::Failed(rejection) => {
                // Lost: somebody took over, and what becomes of it is theirs to say. No one is told to pay again.
                self.advance(key, version, &mut entry, State::Failed)
                    .await?
                    .ok_or_else(in_flight)?;
                self.unmark(key, &entry).await;
                Err(rejection)
            }
            Fate::Unknown(cause) => self.leave_unknown(key, version, entry, cause).await,
            // An order that was sent and that the rail does not know is not yet a failure: it may be on its way.
            _ => {
                self.leave_unknown(
                    key,
                    version,
                    entry,
                    "the rail does not know the order yet".into(),
                )
                .await
            }
        }
    }

    async fn leave_unknown(
        &self,
        key: &Key,
        version: Version,
        mut entry: Entry,
        cause: Box<dyn std::error::Error + Send + Sync>,
    ) -> Result<(Version, Entry), Rejection> {
        entry.until = self.now_millis() + PATIENCE_MILLIS;
        self.advance(key, version, &mut entry, State::Unknown).await?;
        Err(Rejection::unknown(cause))
    }

    async fn within_deadline(&self, fate: impl Future<Output = Fate>) -> Fate {
        match tokio::time::timeout(self.deadline, fate).await {
            Ok(fate) => fate,
            Err(late) => Fate::unknown(late),
        }
    }
}

fn receipt(entry: &Entry, settlement: Settlement, timestamp: mpp_core::Timestamp) -> Receipt {
    let Settlement { reference, mut extra, .. } = settlement;
    extra.insert("challengeId".into(), entry.challenge.clone().into());
    Receipt {
        method: entry.method.method.clone(),
        reference,
        status: Status::Success,
        timestamp,
        external_id: entry.external_id.clone(),
        extra,
    }
}
