//! Why a webhook made no notice, and what Stripe is to be answered.

use super::signature::BadSignature;
use crate::api::ApiError;

/// A webhook that was not read. Holds nothing of what it said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// Not signed by Stripe for this endpoint, or too long ago.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Longer than an event is.
    #[error("the webhook is longer than an event of Stripe's")]
    TooLong,
    /// Signed, and no event.
    #[error("the webhook holds no event of Stripe's")]
    Unreadable,
    /// How what it is about stands today could not be asked.
    #[error("Stripe was not heard about what the webhook is about")]
    Unheard(#[from] ApiError),
}

impl WebhookError {
    /// The HTTP status to answer with. Of 503 Stripe says it again later.
    pub fn status(&self) -> u16 {
        match self {
            Self::Signature(_) | Self::Unreadable => 400,
            Self::TooLong => 413,
            Self::Unheard(_) => 503,
        }
    }
}
