//! `base64url(JCS(json))`, kept exactly as it came.

use std::{fmt, sync::Arc};

use base64::{
    Engine,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD,
    },
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

use crate::jcs::{self, JsonError};

/// The longest `request` that is read or written, in characters of base64url.
pub const LONGEST_REQUEST: usize = 16 * 1024;

/// Why a text is not base64url, or not base64url of the JSON we want.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodedError {
    /// A character outside both base64 alphabets, a stray padding, or bits that decode to nothing.
    #[error("not base64url")]
    Base64,
    /// Longer than the limit that applies to it.
    #[error("longer than {limit} characters")]
    TooLong {
        /// The limit, in characters.
        limit: usize,
    },
    /// Valid base64url of something that is not the wanted JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// JSON in base64url, as it stands on the wire.
///
/// Challenge ids are computed over this text and credentials echo it, so it is never written anew from what it
/// means (core draft, `request`). Written by us it is canonical and unpadded; read, the standard alphabet and
/// padding pass too.
#[derive(Clone)]
pub struct Encoded(Arc<Inner>);

struct Inner {
    text: Box<str>,
    /// What the text holds: decoded once, when it is proven to be an object, and read from then on.
    json: Box<[u8]>,
}

impl Encoded {
    /// Encodes a value: canonical JSON, then unpadded base64url.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodedError> {
        Self::of_json(jcs::to_vec(value)?)
    }

    fn of_json(json: Vec<u8>) -> Result<Self, EncodedError> {
        let text = URL_SAFE_NO_PAD.encode(&json);
        if text.len() > LONGEST_REQUEST {
            return Err(EncodedError::TooLong { limit: LONGEST_REQUEST });
        }
        Ok(Self(Arc::new(Inner { text: text.into(), json: json.into() })))
    }

    /// Reads a text that must be base64url of a JSON object.
    pub fn parse(text: &str) -> Result<Self, EncodedError> {
        if text.len() > LONGEST_REQUEST {
            return Err(EncodedError::TooLong { limit: LONGEST_REQUEST });
        }
        let json = decode(text)?;
        // The cheapest proof that it is an object: nothing is built from its members.
        serde_json::from_slice::<Object>(&json).map_err(JsonError::Shape)?;
        Ok(Self(Arc::new(Inner { text: text.into(), json: json.into() })))
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The JSON text inside.
    pub fn json(&self) -> &[u8] {
        &self.0.json
    }

    /// Reads the JSON inside as a `T`. Unknown members are ignored; see [`jcs::refuse_duplicates`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, EncodedError> {
        serde_json::from_slice(self.json()).map_err(|e| JsonError::Shape(e).into())
    }

    /// The same value in canonical form: what a peer computes ids over that decodes before it hashes.
    pub fn canonical(&self) -> Result<Self, EncodedError> {
        Self::of(&self.decode::<Value>()?)
    }
}

/// Any JSON object, nothing of it kept.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> serde::de::Visitor<'de> for Any {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Object, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        d.deserialize_map(Any)
    }
}

/// Two are the same where their texts are: ids authenticate the text.
impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Encoded {}

impl std::hash::Hash for Encoded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parsed(d, Self::parse)
    }
}

/// Writes bytes as unpadded base64url.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url; the standard alphabet and padding pass too, nothing else does.
pub fn decode(text: &str) -> Result<Vec<u8>, EncodedError> {
    LENIENT.decode(text).or_else(|_| {
        // Rare, so that it is looked for only where the usual alphabet did not do.
        let url_safe = text.replace('+', "-").replace('/', "_");
        LENIENT.decode(url_safe).map_err(|_| EncodedError::Base64)
    })
}

/// Reads unpadded base64url and nothing else: what our own writer makes, and what RFC 4648 calls canonical.
pub fn decode_strict(text: &str) -> Result<Vec<u8>, EncodedError> {
    URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| EncodedError::Base64)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_written_canonical_and_unpadded() {
        let e = Encoded::of(&json!({"b": 1, "a": "?>"})).unwrap();
        assert_eq!(e.as_str(), "eyJhIjoiPz4iLCJiIjoxfQ");
        assert_eq!(e.decode::<Value>().unwrap(), json!({"a": "?>", "b": 1}));
    }

    #[test]
    fn the_text_is_kept_whatever_it_means() {
        let padded = Encoded::parse("eyJhIjoiPz8/In0=").unwrap();
        assert_eq!(padded.as_str(), "eyJhIjoiPz8/In0=");
        assert_eq!(padded.canonical().unwrap().as_str(), "eyJhIjoiPz8_In0");
    }

    #[test]
    fn what_is_no_object_is_no_request() {
        for bad in ["", "W10", "ImEi", "bnVsbA", "MQ", "bm90IGpzb24", "e30e30", "e3 0", "e30!"] {
            assert!(Encoded::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let object = |n: usize| encode(format!("{{\"a\":\"{}\"}}", "x".repeat(n)).as_bytes());
        assert_eq!(object(12_280).len(), LONGEST_REQUEST);
        assert!(Encoded::parse(&object(12_280)).is_ok());
        assert!(matches!(Encoded::parse(&object(12_281)), Err(EncodedError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn bytes_round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(&decode(&encode(&bytes)).unwrap(), &bytes);
            prop_assert_eq!(decode_strict(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = decode(&text);
            let _ = Encoded::parse(&text);
        }
    }
}
