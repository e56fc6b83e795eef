//! Body digests: what binds a challenge to the bytes of one request body (RFC 9530, `sha-256` only).

use std::{fmt, str::FromStr, sync::Arc};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "sha-256=";
const MAX_CHARS: usize = 256;

/// Standard alphabet, padded when written, padding optional when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The digest parameter of a challenge, as it stands on the wire.
///
/// Deployed peers write `sha-256=<base64>`; RFC 9530 writes `sha-256=:<base64>:`. The first is written, both
/// are understood. The text is kept, because challenge ids authenticate the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Computes the digest of a request body.
    pub fn of(body: &[u8]) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + 44);
        text.push_str(PREFIX);
        BASE64.encode_string(Sha256::digest(body), &mut text);
        Self(text.into())
    }

    /// Reads a digest parameter without judging its value: one that is no base64 is kept and matches no body.
    ///
    /// # Errors
    /// Refuses other algorithms, an empty or unprintable value and more than 256 characters.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        if text.len() > MAX_CHARS {
            return Err(DigestError::TooLong);
        }
        let value = text.strip_prefix(PREFIX).ok_or(DigestError::UnknownAlgorithm)?;
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DigestError::Malformed);
        }
        Ok(Self(text.into()))
    }

    /// Returns the text as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true when this is the digest of the body, in either spelling, compared in constant time.
    pub fn matches(&self, body: &[u8]) -> bool {
        let Some(promised) = self.hash() else { return false };
        Sha256::digest(body).as_slice().ct_eq(&promised).into()
    }

    /// Returns true when both promise the same hash, in either spelling each.
    pub fn same(&self, other: &Self) -> bool {
        match (self.hash(), other.hash()) {
            (Some(one), Some(other)) => one.ct_eq(&other).into(),
            _ => false,
        }
    }

    /// Decodes the promised hash; `None` for anything but 32 bytes of standard base64.
    fn hash(&self) -> Option<[u8; 32]> {
        let value = self.0.strip_prefix(PREFIX)?;
        let value = match value.strip_prefix(':') {
            Some(open) => open.strip_suffix(':')?,
            None => value,
        };
        BASE64.decode(value).ok()?.try_into().ok()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why a text is no digest parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text does not start with `sha-256=`.
    #[error("a digest starts with sha-256=")]
    UnknownAlgorithm,
    /// The value is empty or holds characters that are not visible ASCII.
    #[error("the value of the digest is empty or unprintable")]
    Malformed,
    /// The text is longer than 256 characters.
    #[error("the digest is too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ";

    #[test]
    fn digests_are_written_as_deployed_peers_do() {
        for (body, text) in [
            ("", "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
            ("{}", "sha-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="),
            (r#"{"amount":"1000"}"#, "sha-256=Bxp4xJtbVfsB9npD5AEWUnIk76Cuv8Au4ECDA+F0biY="),
            ("caf\u{e9} \u{2615}", "sha-256=p+RtVCiYEq8qpbCML7q10kvM/GWG31WxhycsiioxyF8="),
            ("\0nul\u{1f}", "sha-256=9Mf6vQ7pT/R9Q1rsuEBJMeqUlU+W+9fO9zpMAM2DW58="),
        ] {
            assert_eq!(Digest::of(body.as_bytes()).as_str(), text);
        }
    }

    #[test]
    fn bare_and_structured_spellings_match_padded_or_not() {
        for text in [
            format!("sha-256={HELLO}="),
            format!("sha-256={HELLO}"),
            format!("sha-256=:{HELLO}=:"),
            format!("sha-256=:{HELLO}:"),
        ] {
            let digest = Digest::parse(&text).unwrap();
            assert!(digest.matches(b"hello"), "{text}");
            assert!(!digest.matches(b"hello "), "{text}");
        }
    }

    #[test]
    fn other_spellings_are_kept_but_match_nothing() {
        let url_safe = HELLO.replace('+', "-").replace('/', "_");
        for value in [
            format!(":{HELLO}="),
            format!("{HELLO}=:"),
            url_safe,
            format!("{HELLO}=="),
            format!("::{HELLO}=::"),
            HELLO.to_ascii_uppercase(),
            "abc123def456".to_owned(),
            "::".to_owned(),
            ":".to_owned(),
            HELLO[..42].to_owned(),
        ] {
            let text = format!("sha-256={value}");
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.as_str(), text);
            assert!(!digest.matches(b"hello"), "{text}");
        }
    }

    #[test]
    fn other_algorithms_and_unprintable_values_are_refused() {
        use DigestError::{Malformed, TooLong, UnknownAlgorithm};
        for (text, error) in [
            ("", UnknownAlgorithm),
            ("md5=x", UnknownAlgorithm),
            ("SHA-256=abc", UnknownAlgorithm),
            (HELLO, UnknownAlgorithm),
            (" sha-256=abc", UnknownAlgorithm),
            ("sha-256=", Malformed),
            ("sha-256=a b", Malformed),
            ("sha-256=a\r\n", Malformed),
            ("sha-256=\u{e9}", Malformed),
        ] {
            assert_eq!(Digest::parse(text), Err(error), "{text:?}");
        }
        assert!(Digest::parse(&format!("sha-256={}", "a".repeat(248))).is_ok());
        assert_eq!(Digest::parse(&format!("sha-256={}", "a".repeat(249))), Err(TooLong));
    }

    #[test]
    fn json_digests_are_strings() {
        let digest = Digest::of(b"hello");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"sha-256={HELLO}=\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>(r#""md5=x""#).is_err());
    }

    proptest! {
        #[test]
        fn every_body_matches_its_own_digest_only(body: Vec<u8>, other: Vec<u8>) {
            let digest = Digest::parse(Digest::of(&body).as_str()).unwrap();
            prop_assert!(digest.matches(&body));
            prop_assert_eq!(digest.matches(&other), body == other);
        }

        #[test]
        fn no_text_panics(text in ".{0,300}") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert!(!digest.matches(b"body"));
            }
        }
    }
}
