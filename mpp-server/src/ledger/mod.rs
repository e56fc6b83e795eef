//! The books: which challenges and proofs were used, and where every payment stands.
//!
//! The order of money is check, mark, settle, serve. Every step is one compare-and-swap on the payment's entry, so of two
//! who try one step one wins, and what a crash leaves behind is a state from which anyone can go on.

mod entry;
mod keeper;
mod mark;
mod settle;

use std::{sync::Arc, time::Duration};

use mpp_core::{
    credential::Fingerprint,
    fate::Fate,
    name::MethodId,
    problem::{ProblemType, Reason, Rejection},
    store::{Keep, Key, Store, StoreError, StoreExt as _, Version},
    time::{Clock, Timestamp},
};
use serde_json::value::RawValue;

pub(crate) use self::{
    entry::{Entry, FORM, State},
    keeper::{Serving, TurnEnd},
};
use crate::{
    event::Events,
    offer::{ErasedOffer, Offer},
};

/// How long a final entry is kept past the end of its challenge: no clock we serve is further off than this.
const GRACE: Duration = Duration::from_secs(3600);

/// The books of one realm, over a store.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long one settlement may take before its outcome counts as unknown.
    pub(crate) deadline: Duration,
    /// How long a turn to serve outlives whoever held it.
    pub(crate) serving: Duration,
    /// How often one payment may be served in all, where it is not delivered.
    pub(crate) servings: u32,
    /// Who hears what happens on the books.
    pub(crate) events: Events,
}

/// A checked proof that is on no book yet.
pub(crate) struct Opening {
    pub(crate) print: Fingerprint,
    pub(crate) method: MethodId,
    /// Where it settles, as its verifier says.
    pub(crate) account: String,
    pub(crate) challenge: String,
    pub(crate) expires: Timestamp,
    /// The mark of what the proof uses up, and from when on it may be forgotten.
    pub(crate) spends: Option<(Key, Option<Timestamp>)>,
    pub(crate) evidence: Box<RawValue>,
    pub(crate) external_id: Option<String>,
}

/// What a payment is gone on from.
pub(crate) enum Start {
    /// A proof that was checked just now.
    New(Box<Opening>, Arc<dyn ErasedOffer>),
    /// An entry whose lease ran out before its outcome was known.
    Resume(Version, Entry, Arc<dyn ErasedOffer>),
    /// An entry that is settled, and served to nobody right now.
    Serve(Version, Entry),
}

impl Start {
    /// What to ask the rail through, where there may be something to ask.
    fn offer(&self) -> Option<Arc<dyn ErasedOffer>> {
        match self {
            Self::New(_, offer) | Self::Resume(_, _, offer) => Some(offer.clone()),
            Self::Serve(..) => None,
        }
    }
}

impl Ledger {
    pub(crate) fn key(challenge: &str) -> Result<Key, Rejection> {
        // An id is at most 1,024 bytes of any text on the wire, but only ids of our own making come here.
        Key::of(&["paid", challenge]).map_err(Rejection::internal)
    }

    /// Looks a payment up, so that one already on the books is looked at before the clock: a paid challenge that has
    /// expired since is redeemed, never charged anew.
    pub(crate) async fn find(&self, key: &Key) -> Result<Option<(Version, Entry)>, Rejection> {
        let found = self.store.read::<Entry>(key).await.map_err(broken)?;
        match found {
            Some((_, e)) if e.v != FORM => {
                Err(Rejection::internal("a ledger entry of a form this version cannot read"))
            }
            found => Ok(found),
        }
    }

    /// From where a credential that is on the books may go on. Nothing here takes new money: at most it finishes what was
    /// begun, by the verifier that began it or one that settles at the same place.
    pub(crate) fn redeem(
        &self,
        version: Version,
        entry: Entry,
        print: &Fingerprint,
        offers: &[Offer],
    ) -> Result<Start, Rejection> {
        let lapsed = self.lapsed(&entry);
        match entry.state {
            State::Delivered | State::Failed => Err(consumed()),
            // Another proof for a challenge that one proof answers: knowing an id is not having paid. Nor is whoever signed
            // twice told to pay again while the first may have moved money.
            _ if entry.print != *print => Err(in_flight()),
            State::Settled => Ok(Start::Serve(version, entry)),
            // Whoever was serving is gone; the swap decides who takes over.
            State::Serving if lapsed => Ok(Start::Serve(version, entry)),
            State::Serving => Err(in_flight()),
            State::Unknown if !lapsed => Err(Rejection::unknown("the rail was asked a moment ago")),
            State::Reserved | State::Settling if !lapsed => Err(in_flight()),
            State::Reserved | State::Settling | State::Unknown => {
                let same =
                    |o: &&Offer| *o.id() == entry.method && o.0.settles_at() == entry.account;
                match offers.iter().find(same) {
                    Some(offer) => Ok(Start::Resume(version, entry, offer.0.clone())),
                    None => Err(Rejection::unknown(
                        "nothing on this route settles where this payment was begun",
                    )),
                }
            }
        }
    }

    async fn within_deadline(&self, fate: impl Future<Output = Fate>) -> Fate {
        match tokio::time::timeout(self.deadline, fate).await {
            Ok(fate) => fate,
            Err(late) => Fate::unknown(late),
        }
    }

    fn keep(&self, entry: &Entry) -> Keep {
        if !entry.state.is_final() {
            return Keep::Forever;
        }
        // Once its challenge has expired a forgotten entry cannot be paid into again: expiry is judged before a new one opens.
        let since = self.clock.now();
        let ttl = entry.expires.since(&since).saturating_add(GRACE);
        Keep::For { since, ttl }
    }

    fn now_millis(&self) -> i64 {
        self.clock.now().unix_millis()
    }

    fn lapsed(&self, entry: &Entry) -> bool {
        entry.until <= self.now_millis()
    }

    /// Longer than asking and sending together, so that nobody takes over while we may still send.
    fn settling_lease(&self) -> Duration {
        self.deadline.saturating_mul(2).saturating_add(Duration::from_secs(5))
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 2)
}

/// The store did not answer. Whether a write happened is not known, so nobody is invited to pay.
fn broken(e: StoreError) -> Rejection {
    Rejection::unknown(e)
}

fn in_flight() -> Rejection {
    let detail = "This payment is being settled or served right now. Repeat the request with the same credential.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::IN_FLIGHT, detail)
        .retry_after(Duration::from_secs(1))
}

fn consumed() -> Rejection {
    Rejection::new(
        ProblemType::INVALID_CHALLENGE,
        Reason::ALREADY_USED,
        "This challenge has already been used.",
    )
}

fn elsewhere() -> Rejection {
    let detail = "This payment is already credited, or being settled, under another challenge.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::CREDITED_ELSEWHERE, detail)
}

fn too_often() -> Rejection {
    let detail =
        "This payment was served as often as this server goes along with, and never delivered.";
    Rejection::new(ProblemType::DENIED, Reason::REDEEMED_TOO_OFTEN, detail)
}
