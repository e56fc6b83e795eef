//! Why a payer leaves a challenge alone, said so that a person knows what to change.

use alloy::primitives::Address;

use super::super::asked::Unasked;

/// Why this payer does not pay a challenge. Holds no secret, and no text of the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error(
        "the challenge is for chain {asked}, and this payer pays on {ours}: it takes a payer made for that chain"
    )]
    Chain { asked: u64, ours: u64 },
    #[error("the challenge asks for no payment that can be made: {0}")]
    Unasked(#[from] Unasked),
    #[error("the challenge takes neither pull nor push mode")]
    NoMode,
    #[error("the challenge does not take pull mode, and this payer was told to pay in no other")]
    NoPull,
    #[error("the challenge does not take push mode, and this payer was told to pay in no other")]
    NoPush,
    #[error("this payer was told to pay in a mode that it does not know")]
    OurMode,
    #[error(
        "the server pays the fee, and what it pays the fee of is never pushed: it takes pull mode on both sides"
    )]
    PushedSponsored,
    #[error(
        "the challenge fixes a memo, and only a memo that names its challenge is pushed: it takes pull mode on both sides"
    )]
    PushedMemo,
    #[error("the token {0} is not among those that this payer pays in (only_in)")]
    Unlisted(Address),
    #[error("the token {0} is no dollar that is known here: if it is one, name it in only_in")]
    NoDollar(Address),
    #[error("the recipient {0} is not among those that this payer may pay (only_to)")]
    Recipient(Address),
    #[error("a memo of the challenge names another challenge: it would pay for somebody else")]
    ForeignMemo,
    #[error("the challenge pays the very account that this payer pays from")]
    Oneself,
    #[error("the amount and its fees are too large to be counted")]
    TooMuch,
}
