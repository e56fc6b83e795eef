//! What only sellers need of the API: calls for connected accounts and in older versions, and which account a test key is of.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Api, ApiError, Call, Form, VERSION};

/// A success, and whether it is news.
pub(crate) struct Told {
    pub(crate) body: Value,
    /// It is what was answered to the first call of the same idempotency key.
    pub(crate) replayed: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn on_behalf_of(self, account: Option<&'a str>) -> Self {
        Self { account, ..self }
    }

    pub(crate) fn in_version(self, version: &'a str) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl Form {
    /// Adds a parameter where there is one.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Api {
    /// The version that is asked for.
    pub(crate) fn version_text(&self) -> &str {
        self.version.to_str().unwrap_or(VERSION)
    }

    /// Makes a call, once, and says whether Stripe answered it before.
    pub(crate) async fn tell(&self, call: Call<'_>) -> Result<Told, ApiError> {
        let (answer, replayed) = self.exchange(call).await?;
        Ok(Told { body: answer.body, replayed })
    }

    /// Where the money of a test key goes: all sellers in test mode are one network, so a few digits of the key's hash tell
    /// their accounts apart. `None` for a live key, whose network is an account's own.
    pub(crate) fn test_place(&self) -> Option<String> {
        if !self.is_test() {
            return None;
        }
        let hash = Sha256::digest(self.authorization.as_bytes());
        let start = "test-".to_owned();
        Some(hash.iter().take(4).fold(start, |mut place, byte| {
            let _ = write!(place, "{byte:02x}");
            place
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn place(key: &str) -> Option<String> {
        Api::new(&SecretKey::new(key).unwrap()).unwrap().test_place()
    }

    #[test]
    fn test_accounts_are_told_apart_by_a_little_of_a_hash_and_live_ones_by_their_network() {
        let one = place("sk_test_hunter2").unwrap();
        assert_eq!(place("sk_test_hunter2").as_ref(), Some(&one));
        assert_ne!(place("sk_test_hunter3").as_ref(), Some(&one));
        let digits = one.strip_prefix("test-").unwrap();
        assert!(digits.len() == 8 && digits.bytes().all(|c| c.is_ascii_hexdigit()), "{one}");
        assert_eq!((place("sk_live_hunter2"), place("rk_live_hunter2")), (None, None));
    }

    #[test]
    fn a_parameter_is_added_where_there_is_one() {
        let form = Form::new().maybe("no", None::<String>).maybe("yes", Some("1"));
        assert_eq!((form.get("no"), form.get("yes")), (None, Some("1")));
        assert_eq!(form.encoded(), "yes=1");
    }
}
