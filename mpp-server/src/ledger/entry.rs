//! One payment on the books: its state, who may act on it, and all that going on from it needs.

use mpp_core::{
    credential::{Fingerprint, Source},
    name::MethodId,
    receipt::Receipt,
    store::{Key, StoreError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::agreed::Agreed;
use crate::answer::{Answer, Asked};

/// Where a payment stands.
///
/// ```text
/// (mark) ──► settling ──► settled ⇄ serving ──► delivered        the money first
/// (mark) ──► reserved ──► settling ──► serving ──► delivered     the handler first
///                         settling ──► failed, or unknown ⇄ settling
///                         settling, unknown ──► written-off      by an operator
/// ```
/// `reserved`, `settling` and `serving` carry a lease; past it anyone may take over. `unknown` carries the time before which
/// the rail is not asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Checked and marked; nothing was sent, and nothing will be before its handler succeeded.
    Reserved,
    /// The order may have reached the rail.
    Settling,
    /// The money moved; nobody is being served for it.
    Settled,
    /// The money moved; a handler runs for it.
    Serving,
    /// The money moved, and the last byte of a success was handed over.
    Delivered,
    /// The money did not move, and never will for this entry.
    Failed,
    /// What became of the order is not known; the rail is asked before anything is sent again.
    Unknown,
    /// What became of the order is not known, and nobody asks any more: an operator gave it up. Unlike what failed it keeps
    /// its proof's mark, for the money may have moved. Since form 2.
    #[serde(rename = "written-off")]
    WrittenOff,
}

impl State {
    /// Whether nothing more can happen to it. Only such entries may ever be forgotten.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::WrittenOff)
    }

    /// Whether an order may have reached the rail, and nobody knows yet what became of it.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Settling | Self::Unknown)
    }
}

/// The stored form, version 2. Secret at rest: the evidence is money.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The version of this form; a reader refuses one it does not know.
    pub(crate) v: u8,
    pub(crate) state: State,
    /// The end of the lease, in Unix milliseconds.
    pub(crate) until: i64,
    /// Which gate wrote it last. Since form 2.
    #[serde(default)]
    pub(crate) holder: u64,
    /// Which credential this is.
    pub(crate) print: Fingerprint,
    pub(crate) method: MethodId,
    /// Where it settles, as its verifier says: another account of the same method must not go on with it.
    pub(crate) account: String,
    pub(crate) challenge: String,
    /// When the challenge ends: the entry outlives it.
    pub(crate) expires: Timestamp,
    /// The key of the mark of what the proof uses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<String>,
    /// From when on that mark may be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark_until: Option<Timestamp>,
    /// The order to the rail, as its method wrote it.
    pub(crate) evidence: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    /// From `settled` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<Receipt>,
    /// Who paid, as the rail proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payer: Option<Source>,
    /// How often a turn to serve was taken.
    #[serde(default)]
    pub(crate) served: u32,
    /// In how many of those nothing of a success was handed over. Since form 2.
    #[serde(default)]
    pub(crate) spared: u32,
    /// The client's own name for the request it was last served for. Since form 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Asked>,
    /// What was delivered, where the client named its request. Since form 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Box<Answer>>,
    /// Whose subscription it begins, and what was agreed. Since form 2; absent from entries of other intents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agreed: Option<Box<Agreed>>,
}

/// The newest form, and the one that is written.
pub(crate) const FORM: u8 = 2;

/// What every form has.
#[derive(Deserialize)]
struct Form {
    v: u64,
}

impl Entry {
    pub(super) fn mark(&self) -> Option<Key> {
        self.mark.as_deref().map(Key::from_stored)
    }

    /// Reads a stored entry of this form or an earlier one.
    pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<Self, StoreError> {
        match serde_json::from_slice::<Self>(bytes) {
            Ok(entry) if (1..=FORM).contains(&entry.v) => Ok(entry),
            read => match serde_json::from_slice::<Form>(bytes) {
                Ok(Form { v }) if v > FORM.into() => Err(StoreError::Newer {
                    what: key.as_str().to_owned(),
                    found: v,
                    known: FORM.into(),
                }),
                _ => Err(match read {
                    Err(e) => StoreError::unreadable(key, e),
                    Ok(_) => StoreError::corrupt(key.as_str(), "no such form"),
                }),
            },
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("state", &self.state)
            .field("method", &self.method)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first form was written: these bytes never change.
    const FORM_1: &str = r#"{"v":1,"state":"settled","until":1800000035000,"print":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","method":{"method":"coupon","intent":"charge"},"account":"booth 1","challenge":"c1","expires":"2027-01-15T08:05:00Z","mark":"proof/coupon/x","evidence":"b1","receipt":{"method":"coupon","reference":"b1","status":"success","timestamp":"2027-01-15T08:00:00Z","challengeId":"c1"},"served":1}"#;

    /// As the second form is written.
    const FORM_2: &str = r#"{"v":2,"state":"delivered","until":1800000035000,"holder":7,"print":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","method":{"method":"coupon","intent":"charge"},"account":"booth 1","challenge":"c1","expires":"2027-01-15T08:05:00Z","evidence":null,"served":1,"spared":0,"asked":{"key":"k","request":"r"},"answer":{"status":200,"headers":[["content-type","text/plain"]],"body":"aGE"}}"#;

    fn key() -> Key {
        Key::of(&["paid", "c1"]).unwrap()
    }

    #[test]
    fn entries_of_every_form_are_read() {
        let one = Entry::read(&key(), FORM_1.as_bytes()).unwrap();
        assert_eq!((one.state, one.served, one.holder), (State::Settled, 1, 0));
        assert_eq!(one.receipt.unwrap().reference, "b1");
        let two = Entry::read(&key(), FORM_2.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&two).unwrap(), FORM_2);
        let given_up = FORM_2.replace("delivered", "written-off");
        let read = Entry::read(&key(), given_up.as_bytes()).unwrap();
        assert_eq!((read.state, read.state.is_final()), (State::WrittenOff, true));
        assert_eq!(serde_json::to_string(&read).unwrap(), given_up);
    }

    #[test]
    fn a_newer_form_and_a_damaged_entry_are_told_by_name() {
        let newer = Entry::read(&key(), br#"{"v":3,"state":"haunted"}"#).unwrap_err();
        assert!(matches!(newer, StoreError::Newer { found: 3, known: 2, .. }), "{newer}");
        for bad in [&b""[..], b"{", b"null", br#"{"v":0}"#, &FORM_1.as_bytes()[..300]] {
            let e = Entry::read(&key(), bad).unwrap_err();
            assert!(matches!(&e, StoreError::Corrupt { what, .. } if what == "paid/c1"), "{e}");
        }
    }
}
