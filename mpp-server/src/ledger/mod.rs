//! The books: which challenges and proofs were used, and where every payment stands.
//!
//! The order of money is check, mark, settle, serve. Every step is one compare-and-swap on the payment's entry, so of two
//! who try one step one wins, and what a crash leaves behind is a state from which anyone can go on.

mod agreed;
mod entry;
mod hold;
mod keeper;
mod mark;
mod recover;
mod refusal;
mod serve;
mod settle;
mod turn;
mod write_off;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mpp_core::{
    Challenge,
    binding::LATE,
    credential::Fingerprint,
    fate::Fate,
    problem::Rejection,
    store::{Keep, Key, Store, StoreError, Version},
    time::{Clock, Timestamp},
};
use serde_json::value::RawValue;

use self::refusal::{given_up, too_little};
pub(crate) use self::{
    agreed::{Agreed, Blocked},
    entry::{Entry, State},
    hold::{Hold, Holds},
    refusal::{broken, consumed, in_flight, key_reused},
    settle::receipt,
    turn::{Serving, Turn},
};
pub use self::{
    recover::Recovered,
    write_off::{NotWrittenOff, Unfinished},
};
use crate::{
    answer::{Answer, Asked},
    event::Events,
    offer::Offer,
    rail::Rail,
    route::{Order, Route},
};

/// How long a final entry is kept past the end of its challenge.
const GRACE: Duration = Duration::from_secs(3600);

/// What was used is remembered for longer than it is looked at, by more than any two clocks that we serve are apart.
const _: () = assert!(GRACE.as_secs() >= 2 * LATE.as_secs());

/// The books of one realm, over a store.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long one settlement may take before its outcome counts as unknown.
    pub(crate) deadline: Duration,
    /// How long challenges live: a clock that was ahead when something ended must not make it forgotten before that.
    pub(crate) lifetime: Duration,
    /// How long a turn to serve outlives whoever held it.
    pub(crate) serving: Duration,
    /// How often one payment may be served in all, where it is not delivered.
    pub(crate) servings: u32,
    /// The longest answer that is kept to be given again, in bytes of its body.
    pub(crate) longest_answer: usize,
    /// Which gate this is, among all that ever wrote to the store.
    pub(crate) me: u64,
    /// No other process shares the store: whatever another holds was held by the dead.
    pub(crate) alone: bool,
    /// What this gate has in hand.
    pub(crate) holds: Holds,
    /// Where payments of this gate's routes settle.
    pub(crate) rails: Rails,
    /// Who hears what happens on the books.
    pub(crate) events: Events,
}

/// Where payments settle that recovery may go on with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rails(Arc<Mutex<Vec<Rail>>>);

impl Rails {
    pub(crate) fn add(&self, rail: &Rail) {
        let mut rails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !rails.iter().any(|known| known.is_of(rail.id(), rail.settles_at())) {
            rails.push(rail.clone());
        }
    }

    fn of(&self, entry: &Entry) -> Option<Rail> {
        let rails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rails.iter().find(|rail| rail.is_of(&entry.method, &entry.account)).cloned()
    }
}

/// A checked proof that is on no book yet.
pub(crate) struct Opening {
    pub(crate) print: Fingerprint,
    pub(crate) challenge: String,
    pub(crate) expires: Timestamp,
    /// The mark of what the proof uses up, and from when on it may be forgotten.
    pub(crate) spends: Option<(Key, Option<Timestamp>)>,
    pub(crate) evidence: Box<RawValue>,
    pub(crate) external_id: Option<String>,
    /// The money moved before the proof was shown.
    pub(crate) moved: bool,
    pub(crate) rail: Rail,
    /// Whose subscription it begins, and at what terms.
    pub(crate) agreed: Option<Box<Agreed>>,
}

impl Opening {
    /// Whether it takes no money any more (S5). A check may take its time: what was an order expired meanwhile; money that
    /// had moved is booked for as long as anybody would look at it.
    fn refuse_expired(&self, now: &Timestamp) -> Result<(), Rejection> {
        let grace = if self.moved { LATE } else { Duration::ZERO };
        let over = self.expires.expired_at(now) && self.expires.plus(grace).expired_at(now);
        if over { Err(Rejection::expired(&self.expires)) } else { Ok(()) }
    }
}

/// How a call wants to be served.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) order: Order,
    /// By what name its answer may be asked for again.
    pub(crate) asked: Option<Asked>,
}

/// What a payment is gone on from.
pub(crate) enum Start {
    /// A proof that was checked just now.
    New(Box<Opening>),
    /// An entry that nobody has in hand, and of which nothing was handed out: what became of it is asked first.
    Resume(Version, Entry, Rail),
    /// An entry that is settled, and served to nobody right now.
    Serve(Version, Entry),
}

/// What the books say to a credential that is on them.
pub(crate) enum Found {
    /// It may go on.
    Start(Box<Start>),
    /// It was delivered to whoever names the same request again: here is what.
    Delivered(Box<Entry>, Box<Answer>),
}

impl Ledger {
    pub(crate) fn key(challenge: &str) -> Result<Key, Rejection> {
        // An id is at most 1,024 bytes of any text on the wire, but only ids of our own making come here.
        Key::of(&["paid", challenge]).map_err(Rejection::internal)
    }

    /// Looks a payment up, so that one already on the books is looked at before the clock: a paid challenge that has
    /// expired since is redeemed, never charged anew.
    pub(crate) async fn find(&self, key: &Key) -> Result<Option<(Version, Entry)>, Rejection> {
        self.read(key).await.map_err(broken)
    }

    async fn read(&self, key: &Key) -> Result<Option<(Version, Entry)>, StoreError> {
        let Some(found) = self.store.get(key).await? else { return Ok(None) };
        Ok(Some((found.version, Entry::read(key, &found.value)?)))
    }

    /// From where a credential that is on the books may go on. Nothing here takes new money: at most it finishes what was
    /// begun, by the verifier that began it or one that settles at the same place.
    pub(crate) fn redeem(
        &self,
        (version, entry): (Version, Entry),
        print: &Fingerprint,
        manner: &Manner,
        (route, challenge): (&Route, &Challenge),
    ) -> Result<Found, Rejection> {
        let ours = entry.print == *print;
        let free = self.is_free(&entry);
        match entry.state {
            State::Delivered if ours && entry.asked.is_some() && entry.asked == manner.asked => {
                let mut entry = Box::new(entry);
                let answer = entry.answer.take().ok_or_else(consumed)?;
                Ok(Found::Delivered(entry, answer))
            }
            State::WrittenOff if ours => Err(given_up()),
            State::Delivered | State::Failed | State::WrittenOff => Err(consumed()),
            // Another proof for a challenge that one proof answers: knowing an id is not having paid. Nor is whoever signed
            // twice told to pay again while the first may have moved money.
            _ if !ours => Err(in_flight()),
            // Paid for at this address, and not as much as this request costs (S2).
            _ if route.per_request && !covered(&entry, &route.offers, challenge) => {
                Err(too_little())
            }
            State::Settled => Ok(Found::Start(Box::new(Start::Serve(version, entry)))),
            // Whoever was serving is gone; the swap decides who takes over.
            State::Serving if free => Ok(Found::Start(Box::new(Start::Serve(version, entry)))),
            State::Serving => Err(in_flight()),
            State::Unknown if !self.lapsed(&entry) => {
                Err(Rejection::unknown("the rail was asked a moment ago"))
            }
            State::Reserved | State::Settling if !free => Err(in_flight()),
            State::Reserved | State::Settling | State::Unknown => {
                let rail = self.rail_of(&entry, &route.offers).ok_or_else(|| {
                    Rejection::unknown("nothing at this gate settles where this payment was begun")
                })?;
                Ok(Found::Start(Box::new(Start::Resume(version, entry, rail))))
            }
        }
    }

    fn rail_of(&self, entry: &Entry, offers: &[Offer]) -> Option<Rail> {
        let mut offered = offers.iter().filter_map(Offer::once).map(|offer| offer.rail());
        let same = offered.find(|rail| rail.is_of(&entry.method, &entry.account));
        same.cloned().or_else(|| self.rails.of(entry))
    }

    pub(crate) async fn within_deadline(&self, fate: impl Future<Output = Fate>) -> Fate {
        match tokio::time::timeout(self.deadline, fate).await {
            Ok(fate) => fate,
            Err(late) => Fate::unknown(late),
        }
    }

    fn keep(&self, entry: &Entry) -> Keep {
        if !entry.state.is_final() {
            return Keep::Forever;
        }
        // What is forgotten cannot be paid into again: nothing is opened later than `LATE` after the end of its challenge, not
        // even by money that had moved.
        let since = self.clock.now();
        let ttl = entry.expires.since(&since).max(self.lifetime).saturating_add(GRACE);
        Keep::For { since, ttl }
    }

    fn now_millis(&self) -> i64 {
        self.clock.now().unix_millis()
    }

    /// Whether nobody works on an entry. Of this gate's own that is known; of another's the lease tells, unless there can
    /// be no other.
    fn is_free(&self, entry: &Entry) -> bool {
        entry.holder == self.me || self.alone || self.lapsed(entry)
    }

    fn lapsed(&self, entry: &Entry) -> bool {
        let now = self.now_millis();
        // Nobody holds what is unknown, and it is asked after within seconds: a later time is of a clock that was ahead.
        let ahead = entry.state == State::Unknown && entry.until > now.saturating_add(60_000);
        entry.until <= now || ahead
    }

    /// The end of a lease on asking and sending together, so that nobody takes over while we may still send.
    fn settling_lease(&self) -> Duration {
        self.deadline.saturating_mul(2).saturating_add(Duration::from_secs(5))
    }

    fn lease(&self, state: State) -> i64 {
        let lease = match state {
            State::Settling => self.settling_lease(),
            _ => self.serving,
        };
        self.now_millis().saturating_add(millis(lease))
    }
}

/// Whether a payment is enough for a route whose price was made for this request.
fn covered(entry: &Entry, offers: &[Offer], challenge: &Challenge) -> bool {
    let same = |o: &&Offer| *o.id() == entry.method && o.settles_at() == entry.account;
    offers
        .iter()
        .filter(same)
        .filter_map(Offer::once)
        .any(|offer| offer.is_covered_by(&challenge.request))
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 2)
}
