//! What can go wrong between bytes and values.

use crate::{
    accept::AcceptError,
    amount::AmountError,
    digest::DigestError,
    encoded::EncodedError,
    jcs::JsonError,
    name::{MethodId, NameError},
    time::TimestampError,
    transport::grammar::GrammarError,
};

/// The one error of this crate: every failure to read or write a value of the protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A header breaks the auth-param grammar.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// A method, intent, realm or header name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An amount is none, or cannot be said exactly.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A time is not RFC 3339.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// A body digest is not one of SHA-256.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// An `Accept-Payment` header is malformed.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// A text is not base64url of the JSON we want.
    #[error(transparent)]
    Encoded(#[from] EncodedError),
    /// A text is not the JSON we want.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A challenge id is empty, longer than 1,024 bytes, or holds a control character.
    #[error("a challenge id is 1 to 1024 bytes of text without control characters")]
    Id,
    /// A challenge lacks a parameter it must have.
    #[error("the challenge has no {0}")]
    Missing(&'static str),
    /// A credential's payload is not a JSON object.
    #[error("a payload is a JSON object")]
    Payload,
    /// A challenge of another method or intent than the one it was read as.
    #[error("a challenge of {0}")]
    OtherMethod(MethodId),
    /// Several credentials in one request (core draft: 400).
    #[error("several Payment credentials in one request")]
    SeveralCredentials,
    /// A header value that no header can carry.
    #[error("not a header value")]
    HeaderValue,
    /// A secret shorter than 32 bytes.
    #[error("a secret key has at least 32 bytes; this one has {0}")]
    ShortSecret(usize),
    /// A store key with no segment, an empty one, or more than 512 bytes.
    #[error("a store key is 1 to 512 bytes of non-empty segments")]
    Key,
}
