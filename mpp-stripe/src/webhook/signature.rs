//! `Stripe-Signature`: a time, and MACs over it and the body.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use mpp_core::{Timestamp, secret::Secret};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How old a signature may be, or how far ahead its clock, in seconds.
const TOLERANCE: u64 = 300;
/// A time and a signature for each secret that is in use while one is rolled.
const LONGEST: usize = 4096;

/// The secret of a webhook endpoint: `whsec_…`. Blind `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct WebhookSecret(Secret<String>);

/// A text that is no secret of a webhook endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of a webhook endpoint begins with whsec_")]
pub struct NotASecret;

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSignature {
    /// No `t=…,v1=…`.
    #[error("the webhook has no Stripe-Signature that can be read")]
    Unreadable,
    /// None of its signatures is of this body under a secret of ours.
    #[error("the webhook was not signed for this endpoint")]
    Forged,
    /// Signed more than five minutes ago, or ahead.
    #[error("the webhook was not signed just now")]
    Late,
}

impl WebhookSecret {
    /// Takes a secret.
    ///
    /// # Errors
    /// [`NotASecret`].
    pub fn new(secret: impl Into<String>) -> Result<Self, NotASecret> {
        let secret = Secret::new(secret.into());
        let rest = secret.expose().strip_prefix("whsec_").unwrap_or_default();
        let plain = rest.len() >= 8 && rest.bytes().all(|c| c.is_ascii_graphic());
        if plain { Ok(Self(secret)) } else { Err(NotASecret) }
    }

    /// Reads the secret from the environment: `STRIPE_WEBHOOK_SECRET`.
    ///
    /// # Errors
    /// [`NotASecret`], where it is not set, or none.
    pub fn from_env() -> Result<Self, NotASecret> {
        Self::new(std::env::var("STRIPE_WEBHOOK_SECRET").map_err(|_| NotASecret)?)
    }

    /// Whether a body was signed with this secret, at most five minutes from `now`: for events that an application takes by
    /// itself, disputes among them. The body is the raw bytes, and the header `Stripe-Signature`.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self, header: &str, body: &[u8], now: &Timestamp) -> Result<(), BadSignature> {
        check(std::slice::from_ref(self), header, body, now.unix_seconds())
    }

    fn mac(&self, time: &str, body: &[u8]) -> [u8; 32] {
        let key = self.0.expose().as_bytes();
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

impl FromStr for WebhookSecret {
    type Err = NotASecret;
    fn from_str(secret: &str) -> Result<Self, NotASecret> {
        Self::new(secret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Whether a body was signed with one of the secrets, just now. The signature comes first: who cannot sign learns nothing of clocks.
pub(super) fn check(
    secrets: &[WebhookSecret],
    header: &str,
    body: &[u8],
    now: i64,
) -> Result<(), BadSignature> {
    if header.len() > LONGEST {
        return Err(BadSignature::Unreadable);
    }
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let of = |name: &'static str| parts().filter(move |(n, _)| *n == name).map(|(_, value)| value);
    let time = of("t").next().ok_or(BadSignature::Unreadable)?;
    let shown = Vec::from_iter(of("v1").filter_map(bytes));
    let at = time.parse::<i64>().ok().filter(|_| !shown.is_empty());
    let at = at.ok_or(BadSignature::Unreadable)?;
    let signed = secrets.iter().fold(subtle::Choice::from(0), |found, secret| {
        let ours = secret.mac(time, body);
        shown.iter().fold(found, |found, shown| found | ours.ct_eq(shown))
    });
    if !bool::from(signed) {
        return Err(BadSignature::Forged);
    }
    if now.abs_diff(at) > TOLERANCE {
        return Err(BadSignature::Late);
    }
    Ok(())
}

/// Thirty-two bytes in hex.
fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the time 1700000000 and the body `{}`, under `whsec_test_secret`.
    fn signed(secret: &WebhookSecret, at: i64, body: &[u8]) -> String {
        let hex = secret.mac(&at.to_string(), body).map(|byte| format!("{byte:02x}")).concat();
        format!("t={at},v1={hex}")
    }

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::new(text).unwrap()
    }

    #[test]
    fn a_signature_is_of_one_body_one_secret_and_just_now() {
        let (ours, other) = (secret("whsec_test_secret"), secret("whsec_other_secret"));
        let check =
            |header: &str, body: &[u8], now| check(std::slice::from_ref(&ours), header, body, now);
        let good = signed(&ours, 1_700_000_000, b"{}");
        for now in [1_700_000_000, 1_700_000_300, 1_699_999_700] {
            assert_eq!(check(&good, b"{}", now), Ok(()));
        }
        for now in [1_700_000_301, 1_699_999_699, 0, i64::MIN, i64::MAX] {
            assert_eq!(check(&good, b"{}", now), Err(BadSignature::Late), "{now}");
        }
        let forged = Err(BadSignature::Forged);
        assert_eq!(check(&good, b"{} ", 1_700_000_000), forged);
        assert_eq!(check(&signed(&other, 1_700_000_000, b"{}"), b"{}", 1_700_000_000), forged);
        // A later time than was signed makes it no younger.
        let moved = good.replace("t=1700000000", "t=1700000200");
        assert_eq!(check(&moved, b"{}", 1_700_000_200), forged);
        // The scheme of before is not taken for this one.
        assert_eq!(
            check(&good.replace("v1=", "v0="), b"{}", 1_700_000_000),
            Err(BadSignature::Unreadable)
        );
    }

    #[test]
    fn an_application_may_check_events_of_its_own() {
        let ours = secret("whsec_test_secret");
        let (header, at) = (signed(&ours, 1_700_000_000, b"{}"), |s| Timestamp::from_unix(s, 0));
        assert_eq!(ours.check(&header, b"{}", &at(1_700_000_300)), Ok(()));
        assert_eq!(ours.check(&header, b"{}", &at(1_700_000_301)), Err(BadSignature::Late));
        assert_eq!(ours.check(&header, b"[]", &at(1_700_000_000)), Err(BadSignature::Forged));
    }

    #[test]
    fn while_a_secret_is_rolled_either_signature_does() {
        let (old, new) = (secret("whsec_old_secret"), secret("whsec_new_secret"));
        let (at, body) = (1_700_000_000, b"{}".as_slice());
        let newer = signed(&new, at, body).replace(&format!("t={at},"), "");
        let both = format!("{},{newer},v0=aa", signed(&old, at, body));
        for secrets in [vec![old.clone()], vec![new.clone()], vec![old, new]] {
            assert_eq!(check(&secrets, &both, body, at), Ok(()));
        }
        assert_eq!(
            check(&[secret("whsec_nobodys_own")], &both, body, at),
            Err(BadSignature::Forged)
        );
    }

    #[test]
    fn what_is_no_signature_is_refused_without_a_panic() {
        let long = format!("t=1,v1={}", "a".repeat(5000));
        let short = format!("t=1,v1={}", "a".repeat(63));
        let strange = format!("t=1,v1={}", "ä".repeat(32));
        let time = format!("t=soon,v1={}", "a".repeat(64));
        // A sign is no digit, though a number may begin with one.
        let plus = format!("t=1,v1={}", "+a".repeat(32));
        for bad in ["", "t=1", "v1=aa", "t=,v1=", ",,,", &long, &short, &strange, &time, &plus] {
            let answer = check(&[secret("whsec_test_secret")], bad, b"{}", 1);
            assert_eq!(answer, Err(BadSignature::Unreadable), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", secret("whsec_test_secret")), "WebhookSecret(..)");
        for bad in ["", "whsec_", "whsec_short", "sk_test_abcdefgh", "whsec_with blank"] {
            assert!(WebhookSecret::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_judged(header in "\\PC{0,200}", body in any::<Vec<u8>>()) {
            prop_assert!(check(&[secret("whsec_test_secret")], &header, &body, 0).is_err());
        }
    }
}
