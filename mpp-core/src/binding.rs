//! Whose challenge is it? Ids are MACs over the challenge; only a ring of keys makes them and tells its own.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    Method, Realm, Request,
    challenge::{Challenge, ChallengeId, Draft},
    credential::{Credential, Fingerprint, Source},
    digest::Digest,
    encoded::{self, Encoded},
    error::Error,
    name::{IntentName, MethodName},
    problem::{ProblemType, Reason, Rejection},
    secret::Tag,
    time::Timestamp,
    transport::Resource,
};

/// The secrets that seal challenges: one that seals, and earlier ones whose challenges have not yet expired (C-26).
#[derive(Clone)]
pub struct Keys {
    current: Hmac<Sha256>,
    previous: Vec<Hmac<Sha256>>,
}

impl Keys {
    /// Takes a secret of at least 32 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        Ok(Self { current: prepared(checked(secret.as_ref())?), previous: Vec::new() })
    }

    /// Adds a secret of before: what it sealed is still recognised, nothing is sealed with it.
    pub fn and_previous(mut self, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.previous.push(prepared(checked(secret.as_ref())?));
        Ok(self)
    }

    /// Gives a draft its id. From here on nothing in it can change.
    pub fn seal(&self, draft: Draft) -> Challenge {
        let id = ChallengeId::of_mac(mac(&self.current, &draft).bytes());
        Challenge::received(id, draft)
    }

    /// Tells whether a credential answers a challenge of ours, made for `realm`. It may be long expired.
    ///
    /// The id is matched in constant time, over the text that was echoed and, failing that, over the canonical form of
    /// the request, since deployed peers decode before they hash (D-03).
    ///
    /// # Errors
    /// `invalid-challenge`, where it is not.
    pub fn recognise(
        &self,
        credential: Credential,
        realm: &Realm,
    ) -> Result<Recognised, Rejection> {
        let refuse =
            |reason, detail| Err(Rejection::new(ProblemType::INVALID_CHALLENGE, reason, detail));
        let Some(written) = self.written(&credential.challenge) else {
            return refuse(Reason::NOT_OURS, "This challenge was not issued by this server.");
        };
        if credential.challenge.realm != *realm {
            return refuse(Reason::WRONG_REALM, "This challenge was issued for another realm.");
        }
        Ok(Recognised(match written {
            Written::AsEchoed => credential,
            Written::Canonical(request) => credential.with_request(request),
        }))
    }

    /// Whether one of these keys made the id of this challenge.
    pub fn sealed(&self, challenge: &Challenge) -> bool {
        self.written(challenge).is_some()
    }

    /// The request as this challenge was made with it, if one of these keys made it.
    fn written(&self, challenge: &Challenge) -> Option<Written> {
        let claimed = encoded::decode_strict(challenge.id().as_str()).ok()?;
        // The separator inside a slot could move text from one slot to its neighbour under one MAC.
        if ambiguous(challenge) {
            return None;
        }
        let ours = |draft: &Draft| {
            let mut keys = std::iter::once(&self.current).chain(&self.previous);
            keys.any(|key| mac(key, draft).matches(&claimed))
        };
        if ours(challenge) {
            return Some(Written::AsEchoed);
        }
        let canonical = challenge.request.canonical().ok().filter(|c| *c != challenge.request)?;
        let draft = Draft { request: canonical.clone(), ..challenge.to_draft() };
        ours(&draft).then_some(Written::Canonical(canonical))
    }
}

/// How the request of a challenge of ours stood when it was sealed.
enum Written {
    AsEchoed,
    /// Deployed peers decode and encode anew; this is what we wrote (D-03).
    Canonical(Encoded),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("previous", &self.previous.len()).finish_non_exhaustive()
    }
}

/// Computes the id that a secret of any length gives a draft: for vectors and tools, which know short secrets.
///
/// Seven slots joined by `|`: realm, method, intent, request, expires, digest, opaque; where the credential belongs in
/// another header than `Authorization`, its name is an eighth, before opaque (C-25).
pub fn challenge_id(secret: &[u8], draft: &Draft) -> ChallengeId {
    ChallengeId::of_mac(mac(&prepared(secret), draft).bytes())
}

fn checked(secret: &[u8]) -> Result<&[u8], Error> {
    if secret.len() < 32 { Err(Error::ShortSecret(secret.len())) } else { Ok(secret) }
}

fn prepared(secret: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length")
}

/// The hash of what all challenges of one offer share, begun once: realm, method, intent and request.
#[derive(Clone)]
pub struct Stem {
    key: Hmac<Sha256>,
    begun: Hmac<Sha256>,
    realm: Realm,
    method: MethodName,
    intent: IntentName,
    request: Encoded,
}

impl Keys {
    /// Begins the hash of every challenge that shares the first four slots of this draft.
    pub fn stem(&self, of: &Draft) -> Stem {
        Stem {
            key: self.current.clone(),
            begun: begin(&self.current, of),
            realm: of.realm.clone(),
            method: of.method.clone(),
            intent: of.intent.clone(),
            request: of.request.clone(),
        }
    }
}

impl Stem {
    /// As [`Keys::seal`], with the keys it came from; from the start where the draft shares less than it was begun for.
    pub fn seal(&self, draft: Draft) -> Challenge {
        let shared = self.request == draft.request
            && self.realm == draft.realm
            && self.method == draft.method
            && self.intent == draft.intent;
        let tag = if shared { end(self.begun.clone(), &draft) } else { mac(&self.key, &draft) };
        Challenge::received(ChallengeId::of_mac(tag.bytes()), draft)
    }
}

impl std::fmt::Debug for Stem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stem").field("method", &self.method).finish_non_exhaustive()
    }
}

fn mac(key: &Hmac<Sha256>, d: &Draft) -> Tag {
    end(begin(key, d), d)
}

fn begin(key: &Hmac<Sha256>, d: &Draft) -> Hmac<Sha256> {
    let mut mac = key.clone();
    // In one piece: many short updates cost more than the one they become.
    let mut text = String::with_capacity(512);
    for slot in [d.realm.as_str(), d.method.as_str(), d.intent.as_str(), d.request.as_str()] {
        text.push_str(slot);
        text.push('|');
    }
    mac.update(text.as_bytes());
    mac
}

fn end(mut mac: Hmac<Sha256>, d: &Draft) -> Tag {
    let mut text = String::with_capacity(256);
    let mut slot = |slot: &str, last: bool| {
        text.push_str(slot);
        if !last {
            text.push('|');
        }
    };
    slot(d.expires.as_ref().map_or("", Timestamp::as_str), false);
    slot(d.digest.as_ref().map_or("", Digest::as_str), false);
    if let Some(header) = d.header.as_ref().filter(|h| !h.is_default()) {
        slot(header.as_str(), false);
    }
    slot(d.opaque.as_ref().map_or("", |o| o.as_str()), true);
    mac.update(text.as_bytes());
    Tag::new(mac.finalize().into_bytes().into())
}

fn ambiguous(d: &Draft) -> bool {
    let pipe = |text: &str| text.contains('|');
    d.digest.as_ref().is_some_and(|x| pipe(x.as_str()))
        || d.header.as_ref().is_some_and(|x| pipe(x.as_str()))
        || d.opaque.as_ref().is_some_and(|x| pipe(x.as_str()))
}

/// A credential whose challenge is ours: enough to look a payment up, not to take a new one.
#[derive(Debug)]
pub struct Recognised(Credential);

impl Recognised {
    /// The challenge that was answered.
    pub fn challenge(&self) -> &Challenge {
        &self.0.challenge
    }

    /// Tells this credential from every other.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// Who says to have paid.
    pub fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// Holds the challenge against the route and the body it is shown with (S2, C-27).
    ///
    /// # Errors
    /// `invalid-challenge`, where it was made for another scope or another body.
    pub fn fits(&self, at: &Resource) -> Result<(), Rejection> {
        let refuse =
            |reason, detail| Err(Rejection::new(ProblemType::INVALID_CHALLENGE, reason, detail));
        if !self.challenge().opaque.as_ref().is_some_and(|o| o.binds(&at.scope)) {
            return refuse(Reason::WRONG_SCOPE, "This challenge was issued for another resource.");
        }
        match (&self.challenge().digest, &at.digest) {
            (None, None) => Ok(()),
            (Some(bound), Some(shown)) if bound.same(shown) => Ok(()),
            _ => refuse(Reason::WRONG_BODY, "This challenge was issued for another request body."),
        }
    }

    /// As [`fits`](Self::fits), for a challenge that is answered again and again: it is bound to a place, whatever the HTTP
    /// method, the query and the body of one request there.
    ///
    /// # Errors
    /// `invalid-challenge`, where it was made for another place.
    pub fn fits_place(&self, at: &Resource) -> Result<(), Rejection> {
        if self.challenge().opaque.as_ref().is_some_and(|o| o.binds(at.place())) {
            return Ok(());
        }
        let detail = "This challenge was issued for another resource.";
        Err(Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_SCOPE, detail))
    }

    /// The door of metered accounts: what was signed under a challenge stands when the challenge ends, so it passes however
    /// late, and [says so](Admitted::is_late). The engine takes no new money of a late one.
    ///
    /// # Errors
    /// `invalid-challenge`, where no end is named.
    pub fn admit_metered(self, now: &Timestamp) -> Result<Admitted, Rejection> {
        self.admit_past_end(now, Duration::MAX)
    }

    /// The door to new money: the challenge must name its end, and not be past it (S5).
    ///
    /// # Errors
    /// `payment-expired`, or `invalid-challenge` where no end is named.
    pub fn admit(self, now: &Timestamp) -> Result<Admitted, Rejection> {
        self.admit_past_end(now, Duration::ZERO)
    }

    /// As [`admit`](Self::admit), and for [`LATE`] after the end too: what is shown then [is late](Admitted::is_late), and
    /// good only for money that had moved before the end.
    ///
    /// # Errors
    /// As for [`admit`](Self::admit).
    pub fn admit_late(self, now: &Timestamp) -> Result<Admitted, Rejection> {
        self.admit_past_end(now, LATE)
    }

    fn admit_past_end(self, now: &Timestamp, by: Duration) -> Result<Admitted, Rejection> {
        let Some(end) = &self.challenge().expires else {
            let detail = "This challenge names no expiry, which is required.";
            return Err(Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::NO_EXPIRY, detail));
        };
        let late = end.expired_at(now);
        if late && by < Duration::MAX && (by.is_zero() || end.plus(by).expired_at(now)) {
            return Err(Rejection::expired(end));
        }
        Ok(Admitted { credential: self.0, late })
    }
}

/// How long after its end a challenge may still be answered, by money that had moved before the end and by nothing else:
/// whoever paid and was held up on the way to say so is not asked to pay again.
///
/// Half as long as a ledger remembers what ended after the end of its challenge.
pub const LATE: Duration = Duration::from_secs(30 * 60);

/// A credential that may be money: ours, fitting, in time; or late, and then only where the money had moved before.
#[derive(Clone, Debug)]
pub struct Admitted {
    credential: Credential,
    late: bool,
}

impl Admitted {
    /// The challenge that was answered.
    pub fn challenge(&self) -> &Challenge {
        &self.credential.challenge
    }

    /// Whether it is shown after the challenge's end.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Reads it as method `M` does. There is no other way to a [`Claim`].
    ///
    /// # Errors
    /// `invalid-challenge` for a request of another shape, `invalid-payload` for such a payload.
    pub fn claim<M: Method>(self) -> Result<Claim<M>, Rejection> {
        let unreadable = "The request of this challenge cannot be read.";
        // Ours, and so canonical: it names no member twice.
        let Self { credential, late } = self;
        let request = credential.challenge.request_of::<M>().map_err(|e| {
            Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::UNREADABLE, unreadable)
                .because(e)
        })?;
        let payload = credential.payload_as().map_err(|e| {
            let detail = "Credential payload is invalid.";
            Rejection::new(ProblemType::INVALID_PAYLOAD, Reason::UNREADABLE, detail).because(e)
        })?;
        let Credential { challenge, source, .. } = credential;
        Ok(Claim { challenge, request, payload, source, late })
    }
}

/// An admitted credential as method `M` understands it: what a verifier checks.
///
/// Owned, since it crosses into tasks. Its payload is in no `Debug`.
pub struct Claim<M: Method> {
    /// The challenge that was answered.
    pub challenge: Challenge,
    /// Its request, as this server wrote it.
    pub request: Request<M>,
    /// What the payer sent as proof.
    pub payload: M::Payload,
    /// Who says to have paid; untrusted until checked.
    pub source: Option<Source>,
    /// Whether it is shown after the challenge's end. Of a charge, by at most [`LATE`], and good only for money that had moved
    /// before the end; see [`Verifier::check`](crate::verifier::Verifier::check). Of a session, however late, and good for
    /// what opens nothing: see [`Teller::check`](crate::teller::Teller::check).
    pub late: bool,
}

impl<M: Method> Claim<M> {
    /// Refuses a late claim: the first line of a check whose proofs are orders, and move nothing before they are settled.
    ///
    /// # Errors
    /// `payment-expired`, where it is shown after the challenge's end.
    pub fn in_time(&self) -> Result<(), Rejection> {
        match &self.challenge.expires {
            Some(end) if self.late => Err(Rejection::expired(end)),
            _ => Ok(()),
        }
    }
}

impl<M: Method> std::fmt::Debug for Claim<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("challenge", &self.challenge.id().as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
