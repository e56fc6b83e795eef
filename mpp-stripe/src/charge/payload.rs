//! What a payer shows: a Shared Payment Token, good for one payment to one seller.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The payload of a credential. Its token is money until it was charged or ends: none of it is in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// The token, as it came: see [`Token::parse`].
    pub spt: String,
    /// The seller's name for the payment, echoed; else the payer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// The id of a Shared Payment Token: `spt_…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

/// A text that is no id of a Shared Payment Token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a Shared Payment Token: `spt_` and up to 180 letters, digits or `_`")]
pub struct NotAToken;

/// As long as leaves room, beside a challenge's id, in an idempotency key (255 at most).
const LONGEST: usize = 184;

impl Token {
    /// Reads an id: nothing in it could mean anything in a URL, a form or a header.
    ///
    /// # Errors
    /// [`NotAToken`].
    pub fn parse(id: &str) -> Result<Self, NotAToken> {
        let rest = id.strip_prefix("spt_").ok_or(NotAToken)?;
        let plain = rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if rest.is_empty() || id.len() > LONGEST || !plain {
            return Err(NotAToken);
        }
        Ok(Self(id.to_owned()))
    }

    /// The id. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_elsewhere_is_no_token() {
        assert!(Token::parse("spt_1N4Zv32eZvKYlo2CPhVPkJlW").is_ok());
        let long = format!("spt_{}", "a".repeat(181));
        for bad in ["", "spt_", "SPT_a", "pm_a", "spt_a b", "spt_a/../b", "spt_a&b", "spt_ä", &long]
        {
            assert_eq!(Token::parse(bad), Err(NotAToken), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let payload = Payload { spt: "spt_secret".into(), external_id: None };
        assert_eq!(format!("{payload:?}"), "Payload(..)");
        assert_eq!(format!("{:?}", Token::parse("spt_secret").unwrap()), "Token(..)");
    }
}
