//! Why a fee is not paid for somebody, as codes that a program can act on; what concerns any payment is in
//! [`charge::reason`](crate::charge::reason).

use mpp_core::problem::{ProblemType, Reason, Rejection};

/// The transaction awaits no sponsor: its sender pays, or another sponsor does.
pub const NO_SPONSOR_AWAITED: Reason = Reason::new("no-sponsor-awaited");
/// The payer chose the fee token, which is the sponsor's choice.
pub const FEE_TOKEN_CHOSEN: Reason = Reason::new("fee-token-chosen");
/// The sponsor's own account pays, whose fees nobody can sponsor: the chain takes no such transaction.
pub const SELF_SPONSORED: Reason = Reason::new("self-sponsored");
/// An access key signed, which the sponsor does not pay for.
pub const ACCESS_KEY: Reason = Reason::new("access-key-not-sponsored");
/// More gas than the sponsor pays for.
pub const SPONSOR_GAS: Reason = Reason::new("sponsor-gas-too-high");
/// A higher fee per gas than the sponsor pays.
pub const SPONSOR_FEE: Reason = Reason::new("sponsor-fee-too-high");
/// A higher tip per gas than the sponsor pays.
pub const SPONSOR_TIP: Reason = Reason::new("sponsor-tip-too-high");
/// A higher fee in all than the sponsor pays.
pub const SPONSOR_TOTAL: Reason = Reason::new("sponsor-total-too-high");
/// The transaction's validity ends before the sponsor can be sure to send it in time.
pub const ENDS_TOO_SOON: Reason = Reason::new("ends-too-soon");
/// The sponsor pays for as many others as it may at once; the same credential is good in a moment.
pub const SPONSOR_BUSY: Reason = Reason::new("sponsor-busy");
/// The sponsor cannot sign, or cannot write down what it signs; nothing was sent.
pub const SPONSOR_UNAVAILABLE: Reason = Reason::new("sponsor-unavailable");

pub(super) fn refusal(reason: Reason, detail: &'static str) -> Rejection {
    Rejection::new(ProblemType::VERIFICATION_FAILED, reason, detail)
}
