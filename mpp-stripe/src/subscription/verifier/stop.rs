//! Where an order stops: what a call that did not do what was asked says of the money.

use mpp_core::{
    fate::Fate,
    problem::{ProblemType, Reason, Rejection},
};

use crate::api::{ApiError, Refused};

/// A step of an order: what it found, or what became of the money.
pub(super) type Step<T> = Result<T, Box<Fate>>;

/// What became of the money cannot be told.
pub(super) fn unknown(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Box<Fate> {
    Box::new(Fate::unknown(cause))
}

/// Nothing moved, and nothing will.
pub(super) fn failed(rejection: Rejection) -> Box<Fate> {
    Box::new(Fate::Failed(rejection))
}

/// A step before anything is charged: Stripe's no ends the order, and what was not heard may be asked again.
pub(super) fn before_money(error: ApiError) -> Box<Fate> {
    match error {
        ApiError::Refused(no) if is_final(&no) => failed(refused(no)),
        error => unknown(error),
    }
}

/// Whether a no can be believed to be about this very call: not where its key was used for another.
pub(super) fn is_final(no: &Refused) -> bool {
    no.kind.as_deref() != Some("idempotency_error")
}

/// Stripe's no, as a payer may hear it: nothing of what Stripe said.
pub(super) fn refused(no: Refused) -> Rejection {
    let words = [&no.decline_code, &no.code];
    let says =
        |what: &str| words.iter().any(|word| word.as_deref().is_some_and(|w| w.contains(what)));
    let card = no.status == 402 || no.kind.as_deref() == Some("card_error");
    match card {
        true if says("requires_action") || says("authentication_required") => {
            let detail = "The payment method asks its owner to confirm: it must be set up for charges without them.";
            Rejection::new(ProblemType::PAYMENT_ACTION_REQUIRED, Reason::ACTION_REQUIRED, detail)
        }
        true => declined(),
        // A payment method that was used up, or is of another account: another may do.
        false if no.param.as_deref() == Some("payment_method") || says("payment_method") => {
            Rejection::failed("The payment method cannot be used for a subscription here.")
        }
        false => return Rejection::internal(ApiError::Refused(no)),
    }
    .because(ApiError::Refused(no))
}

/// The card was not charged, because whoever issued it said no.
pub(super) fn declined() -> Rejection {
    let detail = "The payment method was declined. Nothing was charged.";
    Rejection::new(ProblemType::VERIFICATION_FAILED, Reason::DECLINED, detail)
}
