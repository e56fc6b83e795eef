//! The key of a Stripe account.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use mpp_core::secret::Secret;
use reqwest::header::HeaderValue;

/// A secret or restricted key: `sk_test_…`, `sk_live_…`, `rk_…`. Blind `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(Secret<String>);

/// A text that is no secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a Stripe secret key begins with sk_test_, sk_live_, rk_test_ or rk_live_, and holds letters, digits and _"
)]
pub struct NotAKey;

impl SecretKey {
    /// Takes a key.
    ///
    /// # Errors
    /// [`NotAKey`]: a publishable key among others.
    pub fn new(key: impl Into<String>) -> Result<Self, NotAKey> {
        let key = Secret::new(key.into());
        let text = key.expose();
        let known = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"];
        let rest = known.iter().find_map(|kind| text.strip_prefix(kind)).ok_or(NotAKey)?;
        let plain = rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if rest.is_empty() || !plain || text.len() > 512 {
            return Err(NotAKey);
        }
        Ok(Self(key))
    }

    /// Reads the key from the environment: `STRIPE_SECRET_KEY`.
    ///
    /// # Errors
    /// [`NotAKey`], where it is not set, or none.
    pub fn from_env() -> Result<Self, NotAKey> {
        Self::new(std::env::var("STRIPE_SECRET_KEY").map_err(|_| NotAKey)?)
    }

    /// Whether it moves no real money.
    pub fn is_test(&self) -> bool {
        let key = self.0.expose();
        key.starts_with("sk_test_") || key.starts_with("rk_test_")
    }

    /// As it travels: the name of HTTP Basic, without a password.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let pair = Secret::new(format!("{}:", self.0.expose()));
        let basic = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
        let mut value = HeaderValue::from_str(basic.expose()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl FromStr for SecretKey {
    type Err = NotAKey;
    fn from_str(key: &str) -> Result<Self, NotAKey> {
        Self::new(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_test() { "SecretKey(test)" } else { "SecretKey(live)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_travels_as_basic_and_is_not_shown() {
        let key = SecretKey::new("sk_test_x").unwrap();
        let header = key.authorization().unwrap();
        assert_eq!(header, "Basic c2tfdGVzdF94Og==");
        assert!(header.is_sensitive());
        assert_eq!(format!("{key:?}"), "SecretKey(test)");
    }

    #[test]
    fn what_is_no_secret_key_is_refused() {
        for bad in ["", "pk_test_x", "sk_x", "sk_test_", "sk_test_a b", "sk_test_a\r\nx: y"] {
            assert!(SecretKey::new(bad).is_err(), "{bad}");
        }
    }
}
