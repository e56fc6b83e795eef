//! The id of a challenge: one HMAC over its slots.

use hmac::{Hmac, KeyInit, Mac};
use mpp_core::{Challenge, Draft, binding::Keys};
use peer::compute_challenge_id;
use sha2::Sha256;

use crate::{
    interleaved::{Effort, calling, least},
    ours::{REALM, SECRET},
    row::Row,
};

/// Measures.
pub fn row(effort: Effort) -> Row {
    let (keys, challenge) = (crate::ours::keys(), super::parse::challenge());
    let (draft, bytes) = (challenge.to_draft(), slots(&challenge));
    let key = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).expect("any length");
    let [ours, peer, floor] = least(
        effort,
        [
            calling(effort, || ours(&keys, &draft)),
            calling(effort, || peers(&challenge)),
            calling(effort, || bare(&key, &bytes)),
        ],
    );
    Row::cost("challenge id", "ns", ours, peer).over(floor)
}

/// Seals a draft.
pub fn ours(keys: &Keys, draft: &Draft) -> Challenge {
    keys.seal(draft.clone())
}

/// Computes the id of the same challenge.
pub fn peers(c: &Challenge) -> String {
    let (expires, opaque) = (c.expires.as_ref(), c.opaque.as_ref());
    compute_challenge_id(
        SECRET,
        REALM,
        c.method.as_str(),
        c.intent.as_str(),
        c.request.as_str(),
        expires.map(|e| e.as_str()),
        None,
        opaque.map(|o| o.as_str()),
    )
}

/// HMAC-SHA256 under a key that is ready, over bytes that lie ready.
pub fn bare(key: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// What the id is computed over, in one piece.
pub fn slots(c: &Challenge) -> Vec<u8> {
    let expires = c.expires.as_ref().map_or("", |e| e.as_str());
    let opaque = c.opaque.as_ref().map_or("", |o| o.as_str());
    let (method, intent) = (c.method.as_str(), c.intent.as_str());
    [REALM, method, intent, c.request.as_str(), expires, "", opaque].join("|").into_bytes()
}
