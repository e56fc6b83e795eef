//! Why a token is refused, as codes that a program can act on.
//!
//! Stripe publishes no codes of its own for most of these: what cannot be told apart is [`TOKEN_REFUSED`].

use mpp_core::problem::Reason;

/// The token has expired.
pub const TOKEN_EXPIRED: Reason = Reason::new("token-expired");
/// The token was charged before.
pub const TOKEN_USED: Reason = Reason::new("token-used");
/// Whoever made the token has taken it back.
pub const TOKEN_REVOKED: Reason = Reason::new("token-revoked");
/// No such token was granted to this seller.
pub const TOKEN_UNKNOWN: Reason = Reason::new("token-unknown");
/// The token is for less, or for another currency.
pub const TOKEN_TOO_SMALL: Reason = Reason::new("token-too-small");
/// The token is no good for this payment; why is not told.
pub const TOKEN_REFUSED: Reason = Reason::new("token-refused");
/// What was shown is no id of a token.
pub const NOT_A_TOKEN: Reason = Reason::new("not-a-token");
/// The credential names another payment than the challenge.
pub const WRONG_EXTERNAL_ID: Reason = Reason::new("wrong-external-id");
/// The payment was called off before it moved.
pub const CANCELED: Reason = Reason::new("canceled");
