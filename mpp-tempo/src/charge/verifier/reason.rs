//! Why a transaction is refused, as codes that a program can act on.

use mpp_core::problem::{ProblemType, Reason, Rejection};

/// The mode of payment is not among those offered.
pub const MODE_NOT_OFFERED: Reason = Reason::new("mode-not-offered");
/// The payload is of a type that this amount is not paid by.
pub const WRONG_PAYLOAD: Reason = Reason::new("wrong-payload");
/// The transaction leaves its fee to a sponsor, and there is none.
pub const NOT_SPONSORED: Reason = Reason::new("not-sponsored");
/// A signature is not canonical, or nobody can have made it.
pub const BAD_SIGNATURE: Reason = Reason::new("bad-signature");
/// An access key signed that the account does not have, or has no longer.
pub const KEY_INACTIVE: Reason = Reason::new("key-inactive");
/// A kind of account signature that the chain takes no longer: the first version of access-key envelopes.
pub const SIGNATURE_UNSUPPORTED: Reason = Reason::new("signature-unsupported");
/// The credential's source is not the account that signed, on the chain it signed for.
pub const WRONG_SOURCE: Reason = Reason::new("wrong-source");
/// The transaction is for another chain.
pub const WRONG_CHAIN: Reason = Reason::new("wrong-chain");
/// The transaction has no expiring nonce (TIP-1009), and so could be mined at any time.
pub const NOT_EXPIRING: Reason = Reason::new("not-expiring");
/// The transaction does something beside its calls: delegations, access keys, announced storage.
pub const MORE_THAN_CALLS: Reason = Reason::new("more-than-calls");
/// The payer is the recipient.
pub const SELF_PAYMENT: Reason = Reason::new("self-payment");
/// The transaction's calls are not the transfers that are asked.
pub const WRONG_CALLS: Reason = Reason::new("wrong-calls");
/// A call goes to another contract than the token.
pub const WRONG_TOKEN: Reason = Reason::new("wrong-token");
/// A call sends native value.
pub const NATIVE_VALUE: Reason = Reason::new("native-value");
/// A call is no transfer.
pub const NOT_A_TRANSFER: Reason = Reason::new("not-a-transfer");
/// A transfer's arguments are spelled in a way that no encoder writes.
pub const DIRTY_CALLDATA: Reason = Reason::new("dirty-calldata");
/// Somebody else would receive.
pub const WRONG_RECIPIENT: Reason = Reason::new("wrong-recipient");
/// More or less would be paid than is asked.
pub const WRONG_AMOUNT: Reason = Reason::new("wrong-amount");
/// The memo does not name this challenge, or is not the one that was asked for.
pub const WRONG_MEMO: Reason = Reason::new("wrong-memo");
/// The transaction is valid for longer than nodes take.
pub const VALID_TOO_LONG: Reason = Reason::new("valid-too-long");
/// The transaction is not valid yet.
pub const NOT_YET_VALID: Reason = Reason::new("not-yet-valid");
/// The gas limit is lower than any transfer with a memo needs: nodes drop such a transaction without a word.
pub const GAS_TOO_LOW: Reason = Reason::new("gas-too-low");
/// The highest fee per gas is below what the chain asks now.
pub const FEE_TOO_LOW: Reason = Reason::new("fee-too-low");
/// The tip per gas is higher than the whole fee per gas, which no chain takes.
pub const TIP_TOO_HIGH: Reason = Reason::new("tip-too-high");
/// The payer holds less than the amount and the fee.
pub const SHORT_OF_FUNDS: Reason = Reason::new("short-of-funds");
/// The token would refuse the transfer.
pub const WOULD_FAIL: Reason = Reason::new("would-fail");
/// The transaction was mined and failed: only its fee was taken.
pub const REVERTED: Reason = Reason::new("reverted");
/// The transaction was mined and the transfer is not in its logs.
pub const NOT_TRANSFERRED: Reason = Reason::new("not-transferred");
/// The transaction whose hash was shown is in no block yet; its hash can be shown again.
pub const NOT_MINED: Reason = Reason::new("not-mined");
/// The transaction was mined before it was shown, and nothing in it names this challenge.
pub const ALREADY_MINED: Reason = Reason::new("already-mined");
/// The node cannot be asked; nothing was sent.
pub const RAIL_UNAVAILABLE: Reason = Reason::new("rail-unavailable");

pub(crate) fn refusal(reason: Reason, detail: &'static str) -> Rejection {
    Rejection::new(ProblemType::VERIFICATION_FAILED, reason, detail)
}
