//! Refusals: the problem types of the protocol, the reason behind each, and the RFC 9457 body that carries both.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::Error, time::Timestamp};

pub(crate) const BASE: &str = "https://paymentauth.org/problems/";

/// A kind of refusal: its URI, its status, and whether a fresh challenge may go with it.
///
/// An open set: a method defines its own with [`ProblemType::new`]. Where `fresh` is false nobody is invited to pay
/// (again): the money moved, may have moved, or the fault is ours.
#[derive(Clone, Copy, Debug)]
pub struct ProblemType {
    suffix: &'static str,
    title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// May a challenge be attached?
    pub fresh: bool,
}

impl ProblemType {
    /// No credential came (C-01).
    pub const PAYMENT_REQUIRED: Self = Self::new("payment-required", "Payment Required", 402, true);
    /// Less was paid than was asked.
    pub const PAYMENT_INSUFFICIENT: Self =
        Self::new("payment-insufficient", "Payment Insufficient", 402, true);
    /// The challenge expired before it was answered (D-02).
    pub const PAYMENT_EXPIRED: Self = Self::new("payment-expired", "Payment Expired", 402, true);
    /// The proof does not prove the payment (C-04).
    pub const VERIFICATION_FAILED: Self =
        Self::new("verification-failed", "Verification Failed", 402, true);
    /// The payer must act before the payment can complete.
    pub const PAYMENT_ACTION_REQUIRED: Self =
        Self::new("payment-action-required", "Payment Action Required", 402, true);
    /// No challenge of this method is taken here (C-45).
    pub const METHOD_UNSUPPORTED: Self =
        Self::new("method-unsupported", "Method Unsupported", 400, false);
    /// The credential cannot be read (C-02).
    pub const MALFORMED_CREDENTIAL: Self =
        Self::new("malformed-credential", "Malformed Credential", 402, true);
    /// The payload is not what the method wants.
    pub const INVALID_PAYLOAD: Self = Self::new("invalid-payload", "Invalid Payload", 402, true);
    /// The challenge is not ours, not this route's, or already used (C-03).
    pub const INVALID_CHALLENGE: Self =
        Self::new("invalid-challenge", "Invalid Challenge", 402, true);
    /// The request itself is wrong; paying would not help.
    pub const BAD_REQUEST: Self = Self::new("bad-request", "Bad Request", 400, false);
    /// The body is larger than the route binds, found before any payment.
    pub const BODY_TOO_LARGE: Self = Self::new("bad-request", "Content Too Large", 413, false);
    /// Too many challenges or verifications asked for (C-64).
    pub const RATE_LIMITED: Self = Self::new("bad-request", "Too Many Requests", 429, false);
    /// A payment that is credited elsewhere, or in settlement right now: no one is invited to pay twice.
    pub const ALREADY_CREDITED: Self =
        Self::new("verification-failed", "Verification Failed", 403, false);
    /// Paid, and yet not for this caller (C-06).
    pub const DENIED: Self = Self::new("verification-failed", "Verification Failed", 403, false);
    /// An `Idempotency-Key` came with another request than the one it was first used for.
    pub const KEY_REUSED: Self = Self::new("bad-request", "Unprocessable Content", 422, false);
    /// Our own fault.
    pub const INTERNAL: Self =
        Self::new("internal-payment-error", "Internal Payment Error", 500, false);
    /// The outcome of a settlement is not known yet; the same credential may be shown again.
    pub const OUTCOME_UNKNOWN: Self =
        Self::new("internal-payment-error", "Internal Payment Error", 503, false);
    /// A session has less credit than the request costs.
    pub const INSUFFICIENT_BALANCE: Self =
        Self::new("session/insufficient-balance", "Insufficient Balance", 402, true);
    /// A voucher's signature does not verify.
    pub const INVALID_SIGNATURE: Self =
        Self::new("session/invalid-signature", "Invalid Signature", 402, true);
    /// A voucher is signed by someone else.
    pub const SIGNER_MISMATCH: Self =
        Self::new("session/signer-mismatch", "Signer Mismatch", 402, true);
    /// A voucher promises more than the deposit.
    pub const AMOUNT_EXCEEDS_DEPOSIT: Self =
        Self::new("session/amount-exceeds-deposit", "Amount Exceeds Deposit", 402, true);
    /// A voucher raises the credit by less than the least step.
    pub const DELTA_TOO_SMALL: Self =
        Self::new("session/delta-too-small", "Delta Too Small", 402, true);
    /// No such channel.
    pub const CHANNEL_NOT_FOUND: Self =
        Self::new("session/channel-not-found", "Channel Not Found", 410, true);
    /// The channel is closed, or closing.
    pub const CHANNEL_FINALIZED: Self =
        Self::new("session/channel-finalized", "Channel Closed", 410, true);

    /// Defines a problem type: the part of its URI after the base, its title, status and whether it invites payment.
    pub const fn new(suffix: &'static str, title: &'static str, status: u16, fresh: bool) -> Self {
        Self { suffix, title, status, fresh }
    }

    /// The URI, by which clients tell problems apart.
    pub fn uri(&self) -> String {
        format!("{BASE}{}", self.suffix)
    }

    /// The part of the URI after the base.
    pub fn suffix(&self) -> &str {
        self.suffix
    }

    /// For people; never decide on it (D-08).
    pub fn title(&self) -> &str {
        self.title
    }
}

/// Problem types are the same where their URI and status are.
impl PartialEq for ProblemType {
    fn eq(&self, other: &Self) -> bool {
        self.suffix == other.suffix && self.status == other.status
    }
}

impl Eq for ProblemType {}

/// Why exactly a request was refused, as a code that a program can act on: `wrong-scope`, `already-used`.
///
/// An open set: a method adds its own constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Reason(&'static str);

impl Reason {
    /// No credential came.
    pub const NO_CREDENTIAL: Self = Self("no-credential");
    /// The credential cannot be read.
    pub const UNREADABLE: Self = Self("unreadable");
    /// Several credentials came.
    pub const SEVERAL_CREDENTIALS: Self = Self("several-credentials");
    /// The id is no MAC of ours, under any key of the ring.
    pub const NOT_OURS: Self = Self("not-ours");
    /// Made for another realm.
    pub const WRONG_REALM: Self = Self("wrong-realm");
    /// Made for another route.
    pub const WRONG_SCOPE: Self = Self("wrong-scope");
    /// Made for another body.
    pub const WRONG_BODY: Self = Self("wrong-body");
    /// Issued at another price, or to another recipient.
    pub const WRONG_TERMS: Self = Self("wrong-terms");
    /// No offer of this route is paid by this method and intent.
    pub const NOT_OFFERED: Self = Self("not-offered");
    /// Past its time.
    pub const EXPIRED: Self = Self("expired");
    /// Names no end, and so is refused.
    pub const NO_EXPIRY: Self = Self("no-expiry");
    /// The challenge was answered before.
    pub const ALREADY_USED: Self = Self("already-used");
    /// The payment is credited under another challenge.
    pub const CREDITED_ELSEWHERE: Self = Self("credited-elsewhere");
    /// The same credential is being settled or served right now.
    pub const IN_FLIGHT: Self = Self("in-flight");
    /// Paid, and served more often without being delivered than the server goes along with.
    pub const REDEEMED_TOO_OFTEN: Self = Self("redeemed-too-often");
    /// The `Idempotency-Key` was first used for another request.
    pub const KEY_REUSED: Self = Self("idempotency-key-reused");
    /// What became of the settlement is not known yet.
    pub const OUTCOME_UNKNOWN: Self = Self("outcome-unknown");
    /// What became of the settlement could never be told, and the seller gave the payment up.
    pub const WRITTEN_OFF: Self = Self("written-off");
    /// The proof does not verify.
    pub const BAD_PROOF: Self = Self("bad-proof");
    /// The rail said no.
    pub const RAIL_REFUSED: Self = Self("rail-refused");
    /// Whoever issued the card, or the rail for them, said no to this payer: another way to pay may do.
    pub const DECLINED: Self = Self("declined");
    /// The payer would have to confirm the payment somewhere else first.
    pub const ACTION_REQUIRED: Self = Self("action-required");
    /// The body is over the route's limit.
    pub const BODY_TOO_LARGE: Self = Self("body-too-large");
    /// Too many requests.
    pub const RATE_LIMITED: Self = Self("rate-limited");
    /// The connection is plain HTTP.
    pub const INSECURE: Self = Self("insecure-transport");
    /// Our own fault; the cause is in our log, not in the answer.
    pub const OUR_FAULT: Self = Self("our-fault");
    /// No offer of the route can be made to this client.
    pub const NOTHING_TO_OFFER: Self = Self("nothing-to-offer");
    /// A session has less credit than the request costs.
    pub const SHORT_BALANCE: Self = Self("short-balance");
    /// A voucher is for more than the deposit.
    pub const OVER_DEPOSIT: Self = Self("over-deposit");
    /// A voucher is for less than one that was accepted before.
    pub const LOWER: Self = Self("lower-voucher");
    /// A voucher raises the total by less than the least step.
    pub const SMALL_STEP: Self = Self("small-step");
    /// No account of this name is known, here or on its rail.
    pub const NO_ACCOUNT: Self = Self("no-account");
    /// The account is closed, or closing.
    pub const CLOSED: Self = Self("closed");

    /// Nobody is known to the application, so there is nobody to subscribe.
    pub const NO_SUBSCRIBER: Self = Self("no-subscriber");
    /// The credential began somebody else's subscription.
    pub const WRONG_SUBSCRIBER: Self = Self("wrong-subscriber");
    /// The charge of a subscription's period did not succeed, and the subscription is over.
    pub const RENEWAL_DECLINED: Self = Self("renewal-declined");
    /// The subscription is over: cancelled, ended, or at terms that are not asked any more.
    pub const SUBSCRIPTION_OVER: Self = Self("subscription-over");

    /// Defines a reason: lowercase words joined by hyphens.
    pub const fn new(code: &'static str) -> Self {
        Self(code)
    }

    /// The code as text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

/// A refusal on its way out: what kind, why exactly, and what the log may know besides.
///
/// `detail` goes to the client; `source` never does.
#[derive(Debug)]
pub struct Rejection {
    /// What the client is told on the wire.
    pub kind: ProblemType,
    /// Why exactly.
    pub reason: Reason,
    /// For a person. Holds no secret, and nothing a rail said to us.
    pub detail: Cow<'static, str>,
    /// When to come again.
    pub retry_after: Option<Duration>,
    /// Further members of the problem body, such as `requiredTopUp`.
    pub extra: Map<String, Value>,
    /// The cause, for our log alone.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Rejection {
    /// Refuses, with words for a person.
    pub fn new(kind: ProblemType, reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            reason,
            detail: detail.into(),
            retry_after: None,
            extra: Map::new(),
            source: None,
        }
    }

    /// The proof does not prove the payment: 402, and the payer may pay properly.
    pub fn failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemType::VERIFICATION_FAILED, Reason::BAD_PROOF, detail)
    }

    /// The challenge ended at `end`, before it was answered: 402, and the payer may answer another.
    pub fn expired(end: &Timestamp) -> Self {
        let detail = format!("Payment expired at {end}.");
        Self::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail)
    }

    /// Our own fault: 500, no challenge, and the cause in the log alone.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ProblemType::INTERNAL, Reason::OUR_FAULT, "An internal payment error occurred.")
            .because(cause)
            .retry_after(Duration::from_secs(10))
    }

    /// The outcome of a settlement is not known: 503, no challenge, come again with the same credential.
    pub fn unknown(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "The outcome of the payment is not known yet. Do not pay again: repeat this request with the same credential.";
        Self::new(ProblemType::OUTCOME_UNKNOWN, Reason::OUTCOME_UNKNOWN, detail)
            .because(cause)
            .retry_after(Duration::from_secs(2))
    }

    /// Adds the cause, for our log.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Adds a more exact reason.
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// Says when to come again.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind.suffix(), self.reason.as_str(), self.detail)
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// What cannot be read was not a credential.
impl From<Error> for Rejection {
    fn from(e: Error) -> Self {
        match e {
            Error::SeveralCredentials => {
                let detail = "Send one Payment credential, not several.";
                Self::new(ProblemType::BAD_REQUEST, Reason::SEVERAL_CREDENTIALS, detail)
            }
            e => Self::new(
                ProblemType::MALFORMED_CREDENTIAL,
                Reason::UNREADABLE,
                format!("Credential is malformed: {e}."),
            )
            .because(e),
        }
    }
}

/// A problem body (RFC 9457), as written and as read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The URI of the problem type; what clients decide on.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// The HTTP status, also where the transport is not HTTP.
    #[serde(default)]
    pub status: u16,
    /// For people: what happened to this request.
    #[serde(default)]
    pub detail: String,
    /// Why exactly, as a code; ours, and absent from other servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first of the challenges that go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<String>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// The body for a refusal.
    pub fn of(rejection: &Rejection) -> Self {
        Self {
            kind: rejection.kind.uri(),
            title: rejection.kind.title().to_owned(),
            status: rejection.kind.status,
            detail: rejection.detail.clone().into_owned(),
            reason: Some(rejection.reason.as_str().to_owned()),
            challenge_id: None,
            extra: rejection.extra.clone(),
        }
    }

    /// The part of the type after the protocol's base, or the whole of a foreign one.
    pub fn suffix(&self) -> &str {
        self.kind.strip_prefix(BASE).unwrap_or(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_paid_again_invites_payment() {
        for quiet in [
            ProblemType::ALREADY_CREDITED,
            ProblemType::DENIED,
            ProblemType::INTERNAL,
            ProblemType::OUTCOME_UNKNOWN,
            ProblemType::BAD_REQUEST,
        ] {
            assert!(!quiet.fresh, "{}", quiet.suffix());
        }
    }

    #[test]
    fn a_body_never_holds_the_cause() {
        let r = Rejection::internal("rpc said: key 0xdead leaked");
        let body = serde_json::to_string(&Problem::of(&r)).unwrap();
        assert!(!body.contains("0xdead"), "{body}");
        assert!(std::error::Error::source(&r).is_some());
    }

    #[test]
    fn bodies_of_other_servers_are_read_leniently() {
        let p: Problem = serde_json::from_str(
            r#"{"type":"https://paymentauth.org/problems/session/delta-too-small","hint":"x"}"#,
        )
        .unwrap();
        assert_eq!((p.suffix(), &p.extra["hint"]), ("session/delta-too-small", &Value::from("x")));
    }
}
