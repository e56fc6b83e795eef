//! The books: which challenges and proofs were used, and where every payment stands.
//!
//! The order of money is check, mark, settle, serve. Every step is one compare-and-swap on the payment's entry, so of two
//! who try one step one wins, and what a crash leaves behind is a state from which anyone can go on.

mod entry;
mod redeem;
mod settle;

use std::{sync::Arc, time::Duration};

use mpp_core::{
    credential::Fingerprint,
    problem::{ProblemType, Reason, Rejection},
    store::{Keep, Key, Store, StoreError, StoreExt, Version},
    time::{Clock, Timestamp},
};

pub(crate) use self::{
    entry::{Entry, FORM, State},
    settle::Order,
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
    /// How long a handler may run before another copy of the credential may run it again.
    pub(crate) serving: Duration,
}

/// A payment that is settled, and whose turn to be served is ours.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) key: Key,
    pub(crate) version: Version,
    pub(crate) entry: Entry,
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

    /// Takes the turn to serve: of a hundred copies of a paid credential shown at once, one.
    pub(crate) async fn serve(
        &self,
        key: Key,
        version: Version,
        mut entry: Entry,
    ) -> Result<Turn, Rejection> {
        entry.until = self.now_millis() + millis(self.serving);
        // A crash after this swap leaves `serving`: past its lease the same credential is served again, unpaid anew.
        match self.advance(&key, version, &mut entry, State::Serving).await? {
            Some(version) => Ok(Turn { key, version, entry }),
            None => Err(in_flight()),
        }
    }

    /// Ends a turn: delivered, or back to settled, so that the same credential can be shown again.
    pub(crate) async fn finish(&self, turn: Turn, delivered: bool) -> Result<(), Rejection> {
        let Turn { key, version, mut entry } = turn;
        let to = if delivered { State::Delivered } else { State::Settled };
        // A swap that is lost means the lease ran out and another copy has the turn: it is theirs to end.
        self.advance(&key, version, &mut entry, to).await.map(drop)
    }

    async fn advance(
        &self,
        key: &Key,
        from: Version,
        entry: &mut Entry,
        to: State,
    ) -> Result<Option<Version>, Rejection> {
        entry.state = to;
        self.store.write(key, Some(from), entry, self.keep(entry)).await.map_err(broken)
    }

    fn keep(&self, entry: &Entry) -> Keep {
        if !entry.state.is_final() {
            return Keep::Forever;
        }
        let since = self.clock.now();
        // Once its challenge has expired a forgotten entry cannot be paid into again: `admit` stands before the ledger's marks.
        let ttl = entry.expires.since(&since).saturating_add(GRACE);
        Keep::For { since, ttl }
    }

    fn now_millis(&self) -> i64 {
        self.clock.now().unix_millis()
    }

    fn lapsed(&self, entry: &Entry) -> bool {
        entry.until <= self.now_millis()
    }
}

pub(crate) fn millis(d: Duration) -> i64 {
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
    let detail = "This payment is already credited under another challenge.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::CREDITED_ELSEWHERE, detail)
}

/// A new entry, before anything is marked.
pub(crate) struct Opening {
    pub(crate) print: Fingerprint,
    pub(crate) method: mpp_core::name::MethodId,
    pub(crate) challenge: String,
    pub(crate) expires: Timestamp,
    pub(crate) spends: Option<String>,
    pub(crate) evidence: Box<serde_json::value::RawValue>,
    pub(crate) external_id: Option<String>,
}
