//! What a proxy says where it gives no token: typed, and without a word of Stripe's or of a secret.

use std::borrow::Cow;

use mpp_core::{
    Error,
    problem::{ProblemType, Reason, Rejection},
};

use crate::{
    api::{ApiError, Refused},
    token::{IssueError, Unaskable},
};

const FORBIDDEN: ProblemType = ProblemType::new("bad-request", "Forbidden", 403, false);
const CONTENT_TYPE: ProblemType =
    ProblemType::new("bad-request", "Unsupported Media Type", 415, false);
const SLOW: ProblemType = ProblemType::new("bad-request", "Request Timeout", 408, false);
const BAD_GATEWAY: ProblemType =
    ProblemType::new("internal-payment-error", "Bad Gateway", 502, false);

const NOT_ALLOWED: Reason = Reason::new("payment-method-not-allowed");
const NOT_USABLE: Reason = Reason::new("payment-method-not-usable");
const UNASKABLE: Reason = Reason::new("unpayable-terms");
const NO_TOKEN: Reason = Reason::new("no-token");

pub(super) fn content_type() -> Rejection {
    let detail = "The body must be application/json.";
    Rejection::new(CONTENT_TYPE, Reason::UNREADABLE, detail)
}

pub(super) fn slow() -> Rejection {
    let detail = "The body did not arrive in ten seconds. Nothing was made: send it again.";
    Rejection::new(SLOW, Reason::UNREADABLE, detail)
}

pub(super) fn unreadable(detail: impl Into<Cow<'static, str>>) -> Rejection {
    Rejection::new(ProblemType::BAD_REQUEST, Reason::UNREADABLE, detail)
}

pub(super) fn payment_method() -> Rejection {
    let detail = "This payment method may not be used here.";
    Rejection::new(FORBIDDEN, NOT_ALLOWED, detail)
}

/// A challenge of ours that is not one of stripe/charge.
pub(super) fn unread(why: Error) -> Rejection {
    match why {
        Error::OtherMethod(_) => {
            let detail = "Tokens are made for challenges of stripe/charge alone.";
            Rejection::new(ProblemType::METHOD_UNSUPPORTED, Reason::NOT_OFFERED, detail)
        }
        why => unreadable("The challenge cannot be read.").because(why),
    }
}

pub(super) fn unaskable(why: Unaskable) -> Rejection {
    let detail = format!("No token can say what the challenge asks for: {why}.");
    Rejection::new(ProblemType::BAD_REQUEST, UNASKABLE, detail)
}

/// What the issuer said is for our log; the caller hears what it can do about it.
pub(super) fn unissued(why: IssueError) -> Rejection {
    tracing::warn!(error = %why, "a token proxy had no token to give");
    let rejection = match &why {
        IssueError::ActionRequired => {
            let detail = "The owner of the payment method has to confirm this payment first.";
            Rejection::new(ProblemType::PAYMENT_ACTION_REQUIRED, Reason::ACTION_REQUIRED, detail)
        }
        IssueError::Api(ApiError::Refused(refused)) if is_declined(refused) => {
            let detail = "The payment method was declined.";
            Rejection::new(ProblemType::VERIFICATION_FAILED, Reason::DECLINED, detail)
        }
        IssueError::Api(ApiError::Refused(refused)) if is_about_payment_method(refused) => {
            let detail = "This payment method cannot be used.";
            Rejection::new(ProblemType::BAD_REQUEST, NOT_USABLE, detail)
        }
        _ => {
            let detail =
                "No token was made, and nothing was paid. Ask again with the same challenge.";
            Rejection::new(BAD_GATEWAY, NO_TOKEN, detail)
        }
    };
    rejection.because(why)
}

fn is_declined(refused: &Refused) -> bool {
    refused.kind.as_deref() == Some("card_error")
}

fn is_about_payment_method(refused: &Refused) -> bool {
    refused.param.as_deref() == Some("payment_method")
}
