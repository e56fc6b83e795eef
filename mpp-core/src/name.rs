//! Names on the wire: methods, intents, realms, and the pair that picks who answers.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LONGEST_NAME: usize = 64;
const LONGEST_REALM: usize = 1024;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not `[a-z][a-z0-9:_-]*` of at most 64 characters.
    #[error("a payment method is lowercase letters, then letters, digits or one of :_-")]
    Method,
    /// Not `[A-Za-z0-9-]+` of at most 64 characters.
    #[error("an intent is letters, digits and hyphens")]
    Intent,
    /// Holds a control character, or is longer than 1,024 bytes.
    #[error("a realm is at most 1024 bytes of text without control characters")]
    Realm,
    /// Not an HTTP token.
    #[error("a header name is an HTTP token")]
    Header,
}

/// The rail: `tempo`, `stripe`, `lightning`, yours.
///
/// Ours are lowercase letters only, as the core draft has it; names of deployed peers with digits and `:_-` are read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MethodName(Cow<'static, str>);

impl MethodName {
    /// Makes a name known at compile time; a bad one fails the build of the `const` that holds it.
    pub const fn from_static(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= LONGEST_NAME,
            "a method name is 1 to 64 letters"
        );
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i].is_ascii_lowercase(), "a method name is lowercase letters");
            i += 1;
        }
        Self(Cow::Borrowed(name))
    }

    /// Reads a name from the wire.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let rest =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b':' | b'_' | b'-');
        let good = name.len() <= LONGEST_NAME
            && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && name.bytes().all(rest);
        if good { Ok(Self(Cow::Owned(name.to_owned()))) } else { Err(NameError::Method) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The shape of a payment: `charge`, `session`, `subscription`, or one that a later draft adds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IntentName(Cow<'static, str>);

impl IntentName {
    /// Makes a name known at compile time; a bad one fails the build of the `const` that holds it.
    pub const fn from_static(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= LONGEST_NAME,
            "an intent is 1 to 64 characters"
        );
        let mut i = 0;
        while i < bytes.len() {
            assert!(
                bytes[i].is_ascii_alphanumeric() || bytes[i] == b'-',
                "an intent is letters, digits, hyphens"
            );
            i += 1;
        }
        Self(Cow::Borrowed(name))
    }

    /// Reads a name from the wire.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let good = !name.is_empty()
            && name.len() <= LONGEST_NAME
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        if good { Ok(Self(Cow::Owned(name.to_owned()))) } else { Err(NameError::Intent) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The protection space of a challenge: who asks for money (RFC 9110, core draft).
///
/// Any text without control characters is read, an empty one too; what a server may call itself is stricter (see `mpp-server`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Realm(Arc<str>);

impl Realm {
    /// Reads a realm.
    pub fn parse(realm: &str) -> Result<Self, NameError> {
        if realm.len() <= LONGEST_REALM && !realm.chars().any(char::is_control) {
            Ok(Self(realm.into()))
        } else {
            Err(NameError::Realm)
        }
    }

    /// The realm as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The request header that a challenge wants its credential in, where that is not `Authorization`.
///
/// Kept as it came, case included: it is a slot of the challenge id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CredentialHeader(Cow<'static, str>);

impl CredentialHeader {
    /// The one header besides `Authorization` that a client of ours puts a credential in.
    pub const PAYMENT_AUTHORIZATION: Self = Self(Cow::Borrowed("Payment-Authorization"));

    /// Reads a header name (an HTTP token of at most 64 characters).
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let good = !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(token);
        if good { Ok(Self(Cow::Owned(name.to_owned()))) } else { Err(NameError::Header) }
    }

    /// The name as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names `Authorization`, which is what an absent parameter means.
    pub fn is_default(&self) -> bool {
        self.0.eq_ignore_ascii_case("authorization")
    }

    /// Whether this names `Payment-Authorization`, in any case.
    pub fn is_payment_authorization(&self) -> bool {
        self.0.eq_ignore_ascii_case("payment-authorization")
    }
}

/// A method and an intent, the address of a payer, a verifier and an offer: `tempo/charge`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MethodId {
    /// The rail.
    pub method: MethodName,
    /// The shape.
    pub intent: IntentName,
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.method.as_str(), self.intent.as_str())
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::parse(s)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                crate::text::parsed(d, Self::parse)
            }
        }
    };
}
text!(MethodName);
text!(IntentName);
text!(Realm);
text!(CredentialHeader);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_draft_and_of_deployed_peers_are_read() {
        for good in ["tempo", "a:b", "x-custom_1", "evm2"] {
            assert_eq!(MethodName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Tempo", "1tempo", "a.b", "te mpo", "t€mpo", &"a".repeat(65)] {
            assert_eq!(MethodName::parse(bad), Err(NameError::Method), "{bad}");
        }
        for bad in ["", "a b", "a_b", "ä"] {
            assert_eq!(IntentName::parse(bad), Err(NameError::Intent), "{bad}");
        }
    }

    #[test]
    fn a_realm_cannot_break_a_header() {
        for bad in ["a\r\nb", "a\nb", "\0"] {
            assert_eq!(Realm::parse(bad), Err(NameError::Realm));
        }
        assert!(Realm::parse("").is_ok() && Realm::parse("реалм").is_ok());
    }
}
