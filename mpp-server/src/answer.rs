//! An answer that is kept, to be given again to whoever paid for it and names the same request.

use std::fmt;

use mpp_core::{encoded, transport::Resource};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

/// A response as it was handed over to its last byte.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// Its HTTP status; 200 for transports without.
    pub status: u16,
    /// Its header fields, as far as they are the answer's own and not the connection's.
    pub headers: Vec<(String, String)>,
    /// Its body.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub body: Vec<u8>,
}

impl Answer {
    /// Puts one together.
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }
}

/// It was paid for: not shown.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A client's own name for a request, and which request that is; both as hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) key: String,
    pub(crate) request: String,
}

impl Asked {
    pub(crate) fn new(key: &str, at: &Resource) -> Self {
        let digest = at.digest.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { key: hash(&[key]), request: hash(&[&at.scope, &digest]) }
    }

    /// One name for this request under a challenge; short, since an account remembers several.
    pub(crate) fn name_under(&self, challenge: &str) -> String {
        let mut name = hash(&[challenge, &self.key, &self.request]);
        name.truncate(22);
        name
    }
}

fn hash(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    encoded::encode(&hash.finalize())
}

fn write<S: Serializer>(body: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&encoded::encode(body))
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(from)?;
    encoded::decode(&text).map_err(D::Error::custom)
}
