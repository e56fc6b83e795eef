//! One payment on the books: its state, who may act on it, and all that going on from it needs.

use mpp_core::{
    credential::{Fingerprint, Source},
    name::MethodId,
    receipt::Receipt,
    store::Key,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a payment stands.
///
/// ```text
/// reserved → settling → settled → serving → delivered
///     └──────────┴→ failed   unknown ↺ settling
/// ```
/// `reserved`, `settling` and `serving` carry a lease; past it anyone may take over. `unknown` carries the time before which
/// the rail is not asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Nothing was sent; the proof is being marked.
    Reserved,
    /// The order may have reached the rail.
    Settling,
    /// The money moved; nobody has been served for it.
    Settled,
    /// The money moved; a handler runs for it.
    Serving,
    /// The money moved, and the last byte of a success was handed over.
    Delivered,
    /// The money did not move, and never will for this entry.
    Failed,
    /// What became of the order is not known; the rail is asked before anything is sent again.
    Unknown,
}

impl State {
    /// Whether nothing more can happen to it. Only such entries may ever be forgotten.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed)
    }
}

/// The stored form, version 1. Secret at rest: the evidence is money.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The version of this form; a reader refuses one it does not know.
    pub(crate) v: u8,
    pub(crate) state: State,
    /// The end of the lease, in Unix milliseconds.
    pub(crate) until: i64,
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
}

impl Entry {
    pub(super) fn mark(&self) -> Option<Key> {
        self.mark.as_deref().map(Key::from_stored)
    }
}

pub(crate) const FORM: u8 = 1;

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("state", &self.state)
            .field("method", &self.method)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
