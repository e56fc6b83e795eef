//! A credential: the challenge echoed, and the proof that it was paid.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use sha2::Digest as _;

use crate::{
    Method,
    challenge::{Challenge, Demand},
    encoded::{self, EncodedError},
    error::Error,
    jcs::{self, JsonError},
    text::blank,
};

/// The longest credential that is read, in characters of base64url.
pub const LONGEST_CREDENTIAL: usize = 64 * 1024;

/// Who says to have paid, as a DID by custom (`did:pkh:eip155:…`). Untrusted until a method has checked it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

impl Source {
    /// Takes any text.
    pub fn new(source: impl Into<String>) -> Self {
        Self(source.into())
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What answers a challenge. Its payload is worth money: it is in no `Debug`, and belongs in no log.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credential {
    /// The challenge this answers, as it was issued.
    pub challenge: Challenge,
    /// Who says to have paid.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "blank")]
    pub source: Option<Source>,
    payload: Box<RawValue>,
}

/// What makes two credentials the same one: SHA-256 over challenge id and payload, whatever the order of members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint([u8; 32]);

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encoded::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parsed(d, |text| {
            let bytes = encoded::decode_strict(text)?;
            bytes.try_into().map(Self).map_err(|_| EncodedError::Base64)
        })
    }
}

impl Credential {
    /// Answers a demand.
    ///
    /// # Errors
    /// A payload that does not serialize to a JSON object.
    pub fn answer<M: Method>(
        demand: &Demand<'_, M>,
        source: Option<Source>,
        payload: &M::Payload,
    ) -> Result<Self, Error> {
        let payload = serde_json::value::to_raw_value(payload).map_err(JsonError::Shape)?;
        Self::from_parts(demand.challenge.clone(), source, payload)
    }

    /// Puts together what came over a wire. The payload must be a JSON object without duplicate members.
    pub fn from_parts(
        challenge: Challenge,
        source: Option<Source>,
        payload: Box<RawValue>,
    ) -> Result<Self, Error> {
        if !payload.get().starts_with('{') {
            return Err(Error::Payload);
        }
        jcs::refuse_duplicates(payload.get().as_bytes())?;
        Ok(Self { challenge, source, payload })
    }

    /// Reads the base64url JSON that follows `Payment` in a header.
    ///
    /// # Errors
    /// More than [`LONGEST_CREDENTIAL`] characters, no base64url, no JSON of the right shape, a payload that is no
    /// object, a member named twice.
    pub fn from_token(token: &str) -> Result<Self, Error> {
        if token.len() > LONGEST_CREDENTIAL {
            return Err(EncodedError::TooLong { limit: LONGEST_CREDENTIAL }.into());
        }
        Self::from_json(&encoded::decode(token)?)
    }

    /// Reads a credential from JSON text.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let Self { challenge, source, payload } =
            serde_json::from_slice(json).map_err(JsonError::Shape)?;
        Self::from_parts(challenge, source, payload)
    }

    /// Writes the base64url JSON that follows `Payment` in a header.
    pub fn to_token(&self) -> Result<String, Error> {
        Ok(encoded::encode(&serde_json::to_vec(self).map_err(JsonError::Shape)?))
    }

    /// Reads the payload as method `M` has it: a client's own, from its journal, or one that a server admitted.
    pub fn payload<M: Method>(&self) -> Result<M::Payload, Error> {
        self.payload_as()
    }

    /// The same credential with the request of its challenge as its server wrote it.
    pub(crate) fn with_request(self, request: encoded::Encoded) -> Self {
        Self { challenge: self.challenge.with_request(request), ..self }
    }

    pub(crate) fn payload_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.payload.get()).map_err(|e| JsonError::Shape(e).into())
    }

    /// The payload as JSON text, for codecs.
    pub fn payload_json(&self) -> &str {
        self.payload.get()
    }

    /// Tells this credential from every other.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Hash(sha2::Sha256::new());
        hash.0.update(self.challenge.id().as_str());
        hash.0.update([0]);
        // A map of serde_json keeps its members sorted, so an intermediary that reorders them changes nothing.
        let value: Value = serde_json::from_str(self.payload.get()).unwrap_or_default();
        let _ = serde_json::to_writer(&mut hash, &value);
        Fingerprint(hash.0.finalize().into())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("challenge", &self.challenge.id().as_str())
            .finish_non_exhaustive()
    }
}

struct Hash(sha2::Sha256);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHALLENGE: &str =
        r#"{"id":"i","realm":"r","method":"tempo","intent":"charge","request":"e30"}"#;

    fn with_payload(payload: &str) -> Result<Credential, Error> {
        Credential::from_json(
            format!(r#"{{"challenge":{CHALLENGE},"payload":{payload}}}"#).as_bytes(),
        )
    }

    #[test]
    fn a_payload_is_an_object_that_names_nothing_twice() {
        assert!(with_payload(r#"{"a":1,"b":{"a":2}}"#).is_ok());
        for bad in ["\"str\"", "[]", "null", "3", r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"a":2}]}"#] {
            assert!(with_payload(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_member_of_the_envelope_named_twice_is_refused() {
        let twice = CHALLENGE.replace("\"realm\":\"r\"", "\"realm\":\"r\",\"realm\":\"s\"");
        assert!(
            Credential::from_json(format!(r#"{{"challenge":{twice},"payload":{{}}}}"#).as_bytes())
                .is_err()
        );
        let body = format!(r#"{{"challenge":{CHALLENGE},"challenge":{CHALLENGE},"payload":{{}}}}"#);
        assert!(Credential::from_json(body.as_bytes()).is_err());
    }

    #[test]
    fn unknown_members_are_ignored_and_empty_optional_ones_absent() {
        let c = CHALLENGE
            .replace("\"id\"", "\"meta\":{},\"extra\":1,\"expires\":\"\",\"opaque\":null,\"id\"");
        let read = Credential::from_json(
            format!(r#"{{"x":1,"challenge":{c},"payload":{{}}}}"#).as_bytes(),
        )
        .unwrap();
        assert_eq!((&read.challenge.expires, &read.challenge.opaque), (&None, &None));
    }

    #[test]
    fn the_fingerprint_sees_meaning_and_not_order() {
        let print = |p: &str| with_payload(p).unwrap().fingerprint();
        assert_eq!(print(r#"{"a":1,"b":2}"#), print(r#"{ "b": 2, "a": 1 }"#));
        assert_ne!(print(r#"{"a":1}"#), print(r#"{"a":2}"#));
    }

    #[test]
    fn a_fingerprint_is_stored_as_text_and_read_back() {
        let print = with_payload("{}").unwrap().fingerprint();
        let text = serde_json::to_string(&print).unwrap();
        assert_eq!(text.len(), 45);
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), print);
        for bad in ["\"\"", "\"AAAA\"", "[1]", "\"!\""] {
            assert!(serde_json::from_str::<Fingerprint>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_payload() {
        assert!(
            !format!("{:?}", with_payload(r#"{"preimage":"hunter2"}"#).unwrap())
                .contains("hunter2")
        );
    }

    proptest! {
        #[test]
        fn any_token_is_read_or_refused(token: String, bytes: Vec<u8>) {
            let _ = Credential::from_token(&token);
            let _ = Credential::from_json(&bytes);
        }
    }
}
