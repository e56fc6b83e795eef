//! What a request is for, by which it is known again after a crash.

use mpp_core::{digest::Digest, payer::Site};
use serde::{Deserialize, Serialize};

/// What a request is for: two requests of one purpose are one intent tried twice, as far as anybody can tell.
///
/// A hash, so that a journal holds no body. What it is made of is part of the journal's form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Purpose(String);

impl Purpose {
    /// The purpose of asking `to` for something with this content, under the application's own idempotency key if it has
    /// set one: requests that differ in any of them are never taken for each other.
    pub fn of(to: &Site, content: &[u8], own_key: Option<&str>) -> Self {
        let content = Digest::of(content);
        // An array of texts: unlike texts that are joined, no two lists are one.
        let parts = (to.origin.as_str(), to.resource.as_str(), content.as_str(), own_key);
        let json = serde_json::to_vec(&parts).unwrap_or_default();
        Self(Digest::of(&json).as_str().to_owned())
    }

    /// The same, of a request that chooses among answers by this field: a range, a language, a media type.
    #[must_use]
    pub fn choosing(&self, name: &str, value: &[u8]) -> Self {
        let parts = (self.0.as_str(), name, Digest::of(value).as_str().to_owned());
        let json = serde_json::to_vec(&parts).unwrap_or_default();
        Self(Digest::of(&json).as_str().to_owned())
    }
}
