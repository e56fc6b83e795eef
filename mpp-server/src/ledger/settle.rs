//! From a checked proof to money that moved, in a task of its own: who asked may go away.

use std::sync::Arc;

use mpp_core::{
    fate::{Fate, Settlement},
    problem::Rejection,
    receipt::{Receipt, Status},
    store::{Keep, Key, StoreExt, Version},
};

use super::{Entry, FORM, Ledger, Opening, State, broken, elsewhere, in_flight, millis};
use crate::offer::ErasedOffer;

/// Between asking the rail about an unknown outcome and asking it again.
const PATIENCE_MILLIS: i64 = 2_000;

/// What a settling task starts from.
pub(crate) enum Order {
    /// A proof that was checked just now, and is on no book.
    New(Box<Opening>),
    /// An entry whose lease ran out, to be gone on from.
    Resume(Box<(Version, Entry)>),
}

/// A payment on the books as settled, with the version that says so.
pub(crate) type Settled = (Version, Entry);

impl Ledger {
    /// Settles in a task of its own. A caller that is dropped meanwhile changes nothing.
    pub(crate) async fn settle(
        &self,
        key: Key,
        order: Order,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<Settled, Rejection> {
        let me = self.clone();
        let task = tokio::spawn(async move {
            match order {
                Order::New(opening) => me.open(key, *opening, offer).await,
                Order::Resume(found) => me.resume(key, found.0, found.1, offer).await,
            }
        });
        // A panic in a method's code leaves the entry in its state; past the lease the rail is asked.
        task.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    async fn open(
        &self,
        key: Key,
        opening: Opening,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<Settled, Rejection> {
        let Opening { print, method, challenge, expires, spends, evidence, external_id } = opening;
        // Without a proof to mark there is nothing between reserving and settling.
        let state = if spends.is_some() { State::Reserved } else { State::Settling };
        let until = self.now_millis() + self.settling_lease();
        let mut entry = Entry {
            v: FORM,
            state,
            until,
            print,
            method,
            challenge,
            expires,
            spends,
            evidence,
            external_id,
            receipt: None,
            payer: None,
        };
        let opened = self.store.write(&key, None, &entry, Keep::Forever).await.map_err(broken)?;
        // Absent a moment ago and present now: another copy of this credential, or another answer to this challenge.
        let Some(mut version) = opened else { return Err(in_flight()) };
        // A crash here leaves `reserved`: nothing was sent, and the same credential goes on from it after the lease.
        if entry.spends.is_some() {
            version = self.mark(&key, version, &mut entry).await?;
        }
        // A crash from here on leaves `settling`: the rail is asked before anything is sent again.
        let fate = self.within_deadline(offer.settle(entry.evidence.clone())).await;
        self.close(key, version, entry, fate).await
    }

    /// Goes on from an entry whose lease ran out: asks the rail first, sends only what the rail never saw.
    async fn resume(
        &self,
        key: Key,
        version: Version,
        mut entry: Entry,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<Settled, Rejection> {
        let unsent = entry.state == State::Reserved;
        entry.until = self.now_millis() + self.settling_lease();
        let taken = match unsent {
            true => self.advance(&key, version, &mut entry, State::Reserved).await?,
            false => self.advance(&key, version, &mut entry, State::Settling).await?,
        };
        let Some(mut version) = taken else { return Err(in_flight()) };
        if unsent && entry.spends.is_some() {
            // The mark names its owner, so a payment that marked and then crashed knows its own mark.
            version = self.mark(&key, version, &mut entry).await?;
        }
        let fate = match self.within_deadline(offer.clone().reconcile(entry.evidence.clone())).await
        {
            // The rail never saw it: sending is safe, and still ours alone to do, under the lease.
            Fate::Absent => self.within_deadline(offer.settle(entry.evidence.clone())).await,
            fate => fate,
        };
        self.close(key, version, entry, fate).await
    }

    /// Marks the proof as used by this payment, and moves on to `settling`.
    async fn mark(
        &self,
        key: &Key,
        version: Version,
        entry: &mut Entry,
    ) -> Result<Version, Rejection> {
        let proof = entry.spends.clone().unwrap_or_default();
        let mark = Key::of(&["proof", entry.method.method.as_str(), &proof])
            .map_err(Rejection::internal)?;
        if !self.store.take_once(&mark, key.as_str(), Keep::Forever).await.map_err(broken)? {
            // Nothing was sent for this entry. A crash before this swap repeats the refusal.
            self.advance(key, version, entry, State::Failed).await?;
            return Err(elsewhere());
        }
        // A crash here leaves `reserved` and a mark that names it: resuming finds its own mark and goes on.
        self.advance(key, version, entry, State::Settling).await?.ok_or_else(in_flight)
    }

    async fn close(
        &self,
        key: Key,
        version: Version,
        mut entry: Entry,
        fate: Fate,
    ) -> Result<Settled, Rejection> {
        match fate {
            Fate::Settled(settlement) => {
                let now = self.clock.now();
                entry.payer = settlement.payer.clone();
                entry.receipt = Some(receipt(&entry, settlement, now));
                // The money moved. A crash or a broken store before this swap leaves `settling`: the rail is asked again.
                let settled = self.advance(&key, version, &mut entry, State::Settled).await?;
                settled.map(|version| (version, entry)).ok_or_else(in_flight)
            }
            Fate::Failed(rejection) => {
                // Lost: somebody took over, and what becomes of it is theirs to say. No one is told to pay again.
                self.advance(&key, version, &mut entry, State::Failed)
                    .await?
                    .ok_or_else(in_flight)?;
                Err(rejection)
            }
            Fate::Unknown(cause) => {
                entry.until = self.now_millis() + PATIENCE_MILLIS;
                self.advance(&key, version, &mut entry, State::Unknown).await?;
                Err(Rejection::unknown(cause))
            }
            // An order that was sent and that the rail does not know is not yet a failure: it may be on its way.
            _ => {
                entry.until = self.now_millis() + PATIENCE_MILLIS;
                self.advance(&key, version, &mut entry, State::Unknown).await?;
                Err(Rejection::unknown("the rail does not know the order yet"))
            }
        }
    }

    async fn within_deadline(&self, fate: impl Future<Output = Fate>) -> Fate {
        match tokio::time::timeout(self.deadline, fate).await {
            Ok(fate) => fate,
            Err(late) => Fate::unknown(late),
        }
    }

    /// Longer than asking and sending together, so that nobody takes over while we may still send.
    fn settling_lease(&self) -> i64 {
        2 * millis(self.deadline) + 5_000
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
