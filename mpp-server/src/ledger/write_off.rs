//! Payments whose outcome is not known, for an operator to look at, and to give up where it never will be.

use mpp_core::{
    name::MethodId,
    problem::{Reason, Rejection},
    store::{Key, StoreError},
    time::Timestamp,
};

use super::{Entry, Ledger, State, settle::Payment};
use crate::event::Event;

/// Entries read at a time: each may hold an answer that is kept.
const PAGE: usize = 64;

/// A payment whose outcome is not known: its order may have reached the rail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The challenge it answers, by which it is given up ([`Gate::write_off`](crate::Gate::write_off)).
    pub challenge: String,
    /// The method and intent.
    pub method: MethodId,
    /// Where it settles, as its verifier says.
    pub settles_at: String,
    /// When its challenge ends. One that ended long ago is one that its rail cannot tell of.
    pub expires: Timestamp,
    /// The server's own name for it.
    pub external_id: Option<String>,
    /// Somebody settles it right now, or did until a crash whose lease is not over: it is left alone.
    pub in_hand: bool,
}

/// Why a payment is not given up. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotWrittenOff {
    /// No payment of this challenge or subscriber is on the books: it never was, or was forgotten.
    #[error("no such payment is on the books")]
    NotFound,
    /// A task of this gate or of another has it in hand, or its lease is not over.
    #[error("the payment is in hand right now")]
    InHand,
    /// What became of it is known: it is paid, or it failed; or nothing was sent for it.
    #[error("the payment's outcome is known, or nothing was sent for it")]
    NotOpen,
    /// The books do not answer, or the entry cannot be read. It may be written off all the same: try again.
    #[error("the books do not answer")]
    Books(#[source] Box<Rejection>),
}

impl From<Rejection> for NotWrittenOff {
    fn from(refusal: Rejection) -> Self {
        match refusal.reason {
            Reason::IN_FLIGHT => Self::InHand,
            _ => Self::Books(Box::new(refusal)),
        }
    }
}

impl Ledger {
    /// Every payment whose outcome is not known. What cannot be read is named in the log.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let prefix = Key::from_stored("paid");
        let (mut open, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(open) };
            after = Some(last.clone());
            for (key, found) in page {
                match Entry::read(&key, &found.value) {
                    Ok(entry) if entry.state.is_open() => open.push(self.described(&key, entry)),
                    Ok(_) => {}
                    Err(e) => {
                        tracing::error!(key = key.as_str(), cause = %e, "a ledger entry cannot be read");
                    }
                }
            }
        }
    }

    fn described(&self, key: &Key, entry: Entry) -> Unfinished {
        let in_hand = self.holds.has(key) || !self.can_be_given_up(&entry);
        let Entry { challenge, method, account, expires, external_id, .. } = entry;
        Unfinished { challenge, method, settles_at: account, expires, external_id, in_hand }
    }

    /// Whether nobody, here or elsewhere, may be sending: nobody holds what is unknown, and a lease tells of what settles.
    fn can_be_given_up(&self, entry: &Entry) -> bool {
        entry.state == State::Unknown || (entry.state == State::Settling && self.is_free(entry))
    }

    /// Ends a payment whose outcome is not known. Its proof stays marked, and so buys nothing.
    pub(crate) async fn write_off(&self, challenge: &str) -> Result<(), NotWrittenOff> {
        let key = Self::key(challenge).map_err(|_| NotWrittenOff::NotFound)?;
        let _hold = self.holds.take(&key).ok_or(NotWrittenOff::InHand)?;
        let (version, entry) = self.find(&key).await?.ok_or(NotWrittenOff::NotFound)?;
        match entry.state {
            // By an earlier call, whose answer was lost.
            State::WrittenOff => return Ok(()),
            state if !state.is_open() => return Err(NotWrittenOff::NotOpen),
            _ if !self.can_be_given_up(&entry) => return Err(NotWrittenOff::InHand),
            _ => {}
        }
        // Marked anew: what a crash before its first sending left open may have lost its mark. One that is another's pays there.
        match self.mark(&key, &entry).await {
            Err(e) if e.reason != Reason::CREDITED_ELSEWHERE => return Err(e.into()),
            _ => {}
        }
        let mut payment = Payment::found(self.clone(), key, version, entry);
        // A crash before this leaves it as open as it was. Whoever took it in hand meanwhile wins.
        payment.advance(State::WrittenOff).await?;
        let method = &payment.entry.method;
        tracing::warn!(challenge, %method, "a payment was written off: it may have moved money");
        self.events.send(|| Event::WrittenOff { challenge: challenge.to_owned() });
        Ok(())
    }
}
