//! The task that owns a payment from its first swap to its last: settling, the turn to serve, and its end.
//!
//! Whoever asked holds one end of a channel and may go away at any moment; what was paid is then served to the same
//! credential again.

use std::time::Duration;

use mpp_core::{
    problem::Rejection,
    store::{Key, Version},
};
use tokio::sync::oneshot;

use super::{Entry, Ledger, Start, State, in_flight, millis, too_often};

/// How often the last write of a payment is tried: a delivery that is not written down is served again.
const TRIES: u32 = 5;

/// A turn to serve a settled payment. Dropped without [`Serving::end`], it counts as not delivered.
pub(crate) struct Serving {
    pub(crate) entry: Entry,
    end: oneshot::Sender<End>,
}

struct End {
    delivered: bool,
    written: oneshot::Sender<Result<(), Rejection>>,
}

impl Serving {
    /// Says how it ended, and waits until that is written down. A caller that is dropped meanwhile changes nothing.
    pub(crate) fn end(
        self,
        delivered: bool,
    ) -> impl Future<Output = Result<(), Rejection>> + Send + use<> {
        let (written, heard) = oneshot::channel();
        let _ = self.end.send(End { delivered, written });
        async move { heard.await.unwrap_or_else(|e| Err(Rejection::unknown(e))) }
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Goes on with a payment in a task of its own, until its turn to be served has come.
    pub(crate) async fn go_on(&self, key: Key, start: Start) -> Result<Serving, Rejection> {
        let me = self.clone();
        let (hand, taken) = oneshot::channel();
        tokio::spawn(async move { me.keep_going(key, start, hand).await });
        // A panic in a method's code drops the sender and leaves the entry in its state; past the lease the rail is asked.
        taken.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    async fn keep_going(
        self,
        key: Key,
        start: Start,
        hand: oneshot::Sender<Result<Serving, Rejection>>,
    ) {
        let (mut version, mut entry) = match self.settled(&key, start).await {
            Ok(settled) => settled,
            Err(rejection) => return drop(hand.send(Err(rejection))),
        };
        match self.take_turn(&key, version, &mut entry).await {
            Ok(serving) => version = serving,
            Err(rejection) => return drop(hand.send(Err(rejection))),
        }
        // A crash from here on leaves `serving`: past its lease the same credential is served again, unpaid anew.
        let (end, mut ended) = oneshot::channel();
        // Nobody there to take it: the turn is dropped, which ends it as not delivered.
        let _ = hand.send(Ok(Serving { entry: entry.clone(), end }));
        let lease = self.serving / 3;
        let end = loop {
            match tokio::time::timeout(lease, &mut ended).await {
                Ok(end) => break end.ok(),
                // Still being served: the lease is for those who died, not for those who are slow.
                Err(_) => match self.renew(&key, version, &mut entry).await {
                    Ok(Some(renewed)) => version = renewed,
                    // Lost to another, who thought us dead: it is theirs to end.
                    Ok(None) => return,
                    Err(e) => {
                        tracing::warn!(reason = e.reason.as_str(), "a lease could not be renewed")
                    }
                },
            }
        };
        let delivered = end.as_ref().is_some_and(|end| end.delivered);
        let written = self.end_turn(&key, version, &mut entry, delivered).await;
        if let Err(e) = &written {
            tracing::error!(
                reason = e.reason.as_str(),
                delivered,
                "the end of a served payment could not be written"
            );
        }
        if let Some(end) = end {
            let _ = end.written.send(written);
        }
    }

    async fn settled(&self, key: &Key, start: Start) -> Result<(Version, Entry), Rejection> {
        match start {
            Start::New(opening, offer) => {
                let settled = self.open(key, *opening, offer).await?;
                if let Some(receipt) = &settled.1.receipt {
                    tracing::info!(method = %settled.1.method, reference = %receipt.reference, "payment settled");
                }
                Ok(settled)
            }
            Start::Resume(version, entry, offer) => self.resume(key, version, entry, offer).await,
            Start::Serve(version, entry) => Ok((version, entry)),
        }
    }

    /// Takes the turn to serve: of a hundred copies of a paid credential shown at once, one.
    async fn take_turn(
        &self,
        key: &Key,
        version: Version,
        entry: &mut Entry,
    ) -> Result<Version, Rejection> {
        if entry.served >= self.servings {
            return Err(too_often());
        }
        entry.served += 1;
        entry.until = self.now_millis() + millis(self.serving);
        self.advance(key, version, entry, State::Serving).await?.ok_or_else(in_flight)
    }

    async fn renew(
        &self,
        key: &Key,
        version: Version,
        entry: &mut Entry,
    ) -> Result<Option<Version>, Rejection> {
        entry.until = self.now_millis() + millis(self.serving);
        self.advance(key, version, entry, State::Serving).await
    }

    /// Delivered, or back to settled, so that the same credential can be shown again.
    async fn end_turn(
        &self,
        key: &Key,
        version: Version,
        entry: &mut Entry,
        delivered: bool,
    ) -> Result<(), Rejection> {
        let to = if delivered { State::Delivered } else { State::Settled };
        let mut tries = 0;
        loop {
            tries += 1;
            // Lost means that the lease ran out and another copy has the turn: it is theirs to end.
            match self.advance(key, version, entry, to).await {
                Ok(_) => return Ok(()),
                Err(e) if tries == TRIES => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(50 << tries)).await,
            }
        }
    }
}
