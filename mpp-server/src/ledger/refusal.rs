//! What the books refuse, and whether that invites anybody to pay.

use std::time::Duration;

use mpp_core::{
    problem::{ProblemType, Reason, Rejection},
    store::StoreError,
};

/// The store did not answer, or holds what cannot be read. In the first case it is not known whether a write happened; in
/// either nobody is invited to pay.
pub(crate) fn broken(e: StoreError) -> Rejection {
    match e {
        StoreError::Corrupt { .. } | StoreError::Newer { .. } => Rejection::internal(e),
        e => Rejection::unknown(e),
    }
}

pub(crate) fn in_flight() -> Rejection {
    let detail = "This payment is being settled or served right now. Repeat the request with the same credential.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::IN_FLIGHT, detail)
        .retry_after(Duration::from_secs(1))
}

pub(crate) fn consumed() -> Rejection {
    Rejection::new(
        ProblemType::INVALID_CHALLENGE,
        Reason::ALREADY_USED,
        "This challenge has already been used.",
    )
}

/// Whoever has the books decided so, knowing that it may have moved money.
pub(super) fn given_up() -> Rejection {
    let detail = "What became of this payment could not be told, and the seller gave it up. If it moved, contact the seller.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRITTEN_OFF, detail)
}

pub(super) fn elsewhere() -> Rejection {
    let detail = "This payment is already credited, or being settled, under another challenge.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::CREDITED_ELSEWHERE, detail)
}

/// What was paid stays good for what it was paid for, so nobody is invited to pay again.
pub(super) fn too_little() -> Rejection {
    let detail =
        "This payment is for less than this request costs. Repeat the request it was made for.";
    Rejection::new(ProblemType::DENIED, Reason::WRONG_TERMS, detail)
}

pub(super) fn too_often() -> Rejection {
    let detail =
        "This payment was served as often as this server goes along with, and never delivered.";
    Rejection::new(ProblemType::DENIED, Reason::REDEEMED_TOO_OFTEN, detail)
}

pub(crate) fn key_reused() -> Rejection {
    let detail = "This Idempotency-Key was first used for another request.";
    Rejection::new(ProblemType::KEY_REUSED, Reason::KEY_REUSED, detail)
}
