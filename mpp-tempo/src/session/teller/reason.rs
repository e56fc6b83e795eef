//! Why a session credential is refused, as codes that a program can act on; what concerns any transaction is in
//! [`charge::reason`](crate::charge::reason), and what depends on a balance in [`Reason`].

use mpp_core::problem::{ProblemType, Reason, Rejection};

/// The credential names no descriptor, and the channel is not on the books.
pub const NO_DESCRIPTOR: Reason = Reason::new("no-descriptor");
/// A member of the descriptor is no hex of its length.
pub const BAD_DESCRIPTOR: Reason = Reason::new("bad-descriptor");
/// The descriptor is of another channel than the one that is named, or than the one that is known by its name.
pub const WRONG_DESCRIPTOR: Reason = Reason::new("wrong-descriptor");
/// Somebody else than this seller, or than its operator, could close the channel.
pub const WRONG_OPERATOR: Reason = Reason::new("wrong-operator");
/// The channel's operator is not, or no longer, the one of this seller, which could collect nothing from it.
pub const UNCOLLECTABLE: Reason = Reason::new("uncollectable");
/// The transaction opens another channel, or adds to another one, than the credential says.
pub const WRONG_DEPOSIT: Reason = Reason::new("wrong-deposit");
/// Less would be deposited than this seller opens channels for.
pub const SMALL_DEPOSIT: Reason = Reason::new("small-deposit");
/// The voucher's signature is no signature, or not in the one spelling that the chain takes.
pub const BAD_SIGNATURE: Reason = Reason::new("bad-voucher-signature");
/// Somebody else signed the voucher, or it was signed for another amount or channel.
pub const OTHER_SIGNER: Reason = Reason::new("other-signer");
/// More than a channel can count to.
pub const TOO_LARGE: Reason = Reason::new("amount-too-large");
/// The voucher is for no more than was settled on the chain already.
pub const ALREADY_SETTLED: Reason = Reason::new("already-settled");
/// The transaction was mined, and its logs show no such deposit.
pub const NOT_DEPOSITED: Reason = Reason::new("not-deposited");

pub(super) fn failed(reason: Reason, detail: &'static str) -> Rejection {
    Rejection::new(ProblemType::VERIFICATION_FAILED, reason, detail)
}

pub(super) fn invalid(reason: Reason, detail: &'static str) -> Rejection {
    Rejection::new(ProblemType::INVALID_PAYLOAD, reason, detail)
}

/// There is no such channel, here or on the chain.
pub(super) fn not_found() -> Rejection {
    let detail = "No such channel is known here or on the chain.";
    Rejection::new(ProblemType::CHANNEL_NOT_FOUND, Reason::NO_ACCOUNT, detail)
}
