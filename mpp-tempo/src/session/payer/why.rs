//! Why a payer opens no channel for a challenge, said so that a person knows what to change.

use alloy::primitives::Address;
use mpp_core::Amount;

/// Why this payer does not pay a challenge. Holds no secret, and no text of the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error(
        "the challenge is for chain {asked}, and this payer pays on {ours}: it takes a payer made for that chain"
    )]
    Chain { asked: u64, ours: u64 },
    #[error("the challenge is for a kind of session that is not known here")]
    Protocol,
    #[error("the challenge's {0} is malformed or missing")]
    Malformed(&'static str),
    #[error(
        "the challenge wants the money kept by {0}, which is not where this chain keeps channels (escrow)"
    )]
    Escrow(Address),
    #[error("the token {0} is not among those that this payer pays in (only_in)")]
    Unlisted(Address),
    #[error("the token {0} is no dollar that is known here: if it is one, name it in only_in")]
    NoDollar(Address),
    #[error("the recipient {0} is not among those that this payer may pay (only_to)")]
    Recipient(Address),
    #[error("the challenge pays the very account that this payer pays from")]
    Oneself,
    #[error("the challenge asks for nothing: a session has a price")]
    Free,
    #[error(
        "the price of {price} base units is above the {most} that this payer deposits (max_deposit)"
    )]
    Dear { price: Amount, most: Amount },
    #[error(
        "the price of {price} base units is above the {most} that this payer pays at a time (max_price)"
    )]
    High { price: Amount, most: Amount },
    #[error(
        "the channel holds as much as this payer deposits (max_deposit), and it is used up: close it, or raise the limit"
    )]
    UsedUp,
    #[error(
        "the server takes only vouchers that go further ahead than this payer does (stream_ahead)"
    )]
    Step,
    #[error("the amount and its fees are too large to be counted")]
    TooMuch,
}
