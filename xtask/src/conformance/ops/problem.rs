//! Problem types: what each says on the wire, and how bodies of other servers are read.

use anyhow::Context;
use mpp_core::problem::{Problem, ProblemType};
use serde_json::{Value, json};

use super::{member, text_of};

/// Our name of a type, what deployed peers call the error that carries it, and the type.
const KINDS: &[(&str, &str, ProblemType)] = &[
    ("payment-required", "PaymentRequiredError", ProblemType::PAYMENT_REQUIRED),
    ("payment-insufficient", "PaymentInsufficientError", ProblemType::PAYMENT_INSUFFICIENT),
    ("payment-expired", "PaymentExpiredError", ProblemType::PAYMENT_EXPIRED),
    ("verification-failed", "VerificationFailedError", ProblemType::VERIFICATION_FAILED),
    ("payment-action-required", "PaymentActionRequiredError", ProblemType::PAYMENT_ACTION_REQUIRED),
    ("method-unsupported", "PaymentMethodUnsupportedError", ProblemType::METHOD_UNSUPPORTED),
    ("malformed-credential", "MalformedCredentialError", ProblemType::MALFORMED_CREDENTIAL),
    ("invalid-payload", "InvalidPayloadError", ProblemType::INVALID_PAYLOAD),
    ("invalid-challenge", "InvalidChallengeError", ProblemType::INVALID_CHALLENGE),
    ("bad-request", "BadRequestError", ProblemType::BAD_REQUEST),
    ("internal", "InternalPaymentError", ProblemType::INTERNAL),
    ("insufficient-balance", "InsufficientBalanceError", ProblemType::INSUFFICIENT_BALANCE),
    ("invalid-signature", "InvalidSignatureError", ProblemType::INVALID_SIGNATURE),
    ("signer-mismatch", "SignerMismatchError", ProblemType::SIGNER_MISMATCH),
    ("amount-exceeds-deposit", "AmountExceedsDepositError", ProblemType::AMOUNT_EXCEEDS_DEPOSIT),
    ("delta-too-small", "DeltaTooSmallError", ProblemType::DELTA_TOO_SMALL),
    ("channel-not-found", "ChannelNotFoundError", ProblemType::CHANNEL_NOT_FOUND),
    ("channel-finalized", "ChannelClosedError", ProblemType::CHANNEL_FINALIZED),
    // Peers have no errors for these.
    ("body-too-large", "", ProblemType::BODY_TOO_LARGE),
    ("rate-limited", "", ProblemType::RATE_LIMITED),
    ("already-credited", "", ProblemType::ALREADY_CREDITED),
    ("denied", "", ProblemType::DENIED),
    ("outcome-unknown", "", ProblemType::OUTCOME_UNKNOWN),
];

pub(super) fn describe(input: &Value) -> anyhow::Result<Value> {
    let name = text_of(input, "name")?;
    let found = KINDS.iter().find(|(own, ..)| *own == name);
    let (_, _, kind) = found.context("no such problem type")?;
    Ok(json!({ "type": kind.uri(), "status": kind.status, "invitesPayment": kind.fresh }))
}

pub(super) fn read(input: &Value) -> anyhow::Result<Value> {
    let body: Problem = serde_json::from_value(member(input, "body")?.clone())?;
    Ok(json!({ "suffix": body.suffix(), "status": body.status, "extra": body.extra }))
}

/// The type that an error of deployed peers carries.
pub(super) fn of_peer(error: &str) -> anyhow::Result<ProblemType> {
    let found = KINDS.iter().find(|(_, theirs, _)| !theirs.is_empty() && *theirs == error);
    found.map(|(.., kind)| *kind).context("no such error")
}
