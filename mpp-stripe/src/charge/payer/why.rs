//! Why a payer leaves a challenge alone, said so that a person knows what to change.

use crate::token::Unaskable;

/// Why this payer does not pay a challenge. Holds no secret, and no text of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("the challenge asks for no payment that can be made: {0}")]
    Unaskable(#[from] Unaskable),
    #[error("the seller is not among those that this payer may pay (only_to)")]
    Seller,
    #[error("the seller takes no type of payment method that this payer pays with (only_by)")]
    Types,
    #[error("no payment method was chosen for this challenge: name one with paying_with")]
    NoPaymentMethod,
}
