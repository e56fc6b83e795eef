//! What subscriptions refuse, and whether that invites anybody to pay.

use std::time::Duration;

use mpp_core::problem::{ProblemType, Reason, Rejection};

/// Found before anything is sent: an agreement with nobody would serve nobody.
pub(crate) fn no_subscriber() -> Rejection {
    let detail = "Nothing was charged: this server does not know who would subscribe. Sign in first, then repeat the request.";
    Rejection::new(ProblemType::BAD_REQUEST, Reason::NO_SUBSCRIBER, detail)
}

pub(super) fn wrong_subscriber() -> Rejection {
    let detail = "This credential began the subscription of somebody else.";
    Rejection::new(ProblemType::DENIED, Reason::WRONG_SUBSCRIBER, detail)
}

pub(super) fn declined() -> Rejection {
    let detail = "The charge of this subscription's period did not succeed, and the subscription is over. Subscribe anew.";
    Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::RENEWAL_DECLINED, detail)
}

pub(super) fn over() -> Rejection {
    let detail = "This subscription is over. Subscribe anew.";
    Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::SUBSCRIPTION_OVER, detail)
}

/// The period may be paid for by now: nobody is invited to pay.
pub(super) fn open_order(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    let detail = "What became of this period's charge is not known yet. Do not pay again: repeat this request.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, Reason::OUTCOME_UNKNOWN, detail)
        .because(cause)
        .retry_after(Duration::from_secs(2))
}
