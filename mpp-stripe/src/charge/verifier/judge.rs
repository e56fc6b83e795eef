//! What an answer of Stripe's means for a payment: the table of outcomes.

use mpp_core::{
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
};

use super::super::{
    Evidence,
    payment_intent::{PaymentIntent, Status},
    reason,
};
use crate::api::Refused;

/// How a PaymentIntent stands.
pub(super) enum Standing {
    /// Its end is known.
    Known(Fate),
    /// It may move yet, and is to be called off; this is what its payer is told then.
    Open(Rejection),
}

/// What a refusal means where nothing was charged before it.
pub(super) enum Meaning {
    /// The payer's token or card is no good: this is what the payer is told.
    Payer(Rejection),
    /// Our own configuration is no good.
    Ours,
    /// The key was first used for another order than ours: by somebody else's books.
    Elsewhere,
    /// It does not tell.
    Unclear,
}

/// Stripe took another amount, or in another currency, than it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("Stripe says that {0} succeeded, and not at what was asked")]
struct NotAsAsked(String);

/// Reads how a PaymentIntent stands against what was asked.
pub(super) fn standing(intent: &PaymentIntent, evidence: &Evidence) -> Standing {
    match intent.status {
        Status::Succeeded => Standing::Known(succeeded(intent, evidence)),
        Status::Canceled => Standing::Known(Fate::Failed(called_off())),
        Status::Declined => Standing::Known(Fate::Failed(declined("card_declined"))),
        Status::RequiresAction => Standing::Open(action_required()),
        Status::Open => Standing::Open(called_off()),
    }
}

fn succeeded(intent: &PaymentIntent, evidence: &Evidence) -> Fate {
    match evidence.asked() {
        Ok((amount, currency)) if intent.moved(amount, currency) => {
            Fate::Settled(Settlement::new(&intent.id))
        }
        // Something moved. It buys nothing, and nobody is told that nothing moved.
        Ok(_) => Fate::unknown(NotAsAsked(intent.id.clone())),
        Err(cause) => Fate::unknown(cause),
    }
}

/// What a PaymentIntent means that somebody else's books have, under our own key: those of a lost ledger, or of a server that
/// does not share ours. It is theirs to serve; where it did not move, the payer is free to pay anew.
pub(super) fn elsewhere(intent: &PaymentIntent) -> Fate {
    match intent.status {
        Status::Canceled => Fate::Failed(called_off()),
        Status::Declined => Fate::Failed(declined("card_declined")),
        Status::Succeeded | Status::RequiresAction | Status::Open => Fate::Failed(processed()),
    }
}

/// What is said of a payment that somebody else has in hand: nobody is invited to pay again.
pub(super) fn processed() -> Rejection {
    let detail = "This payment has already been processed.";
    Rejection::new(ProblemType::ALREADY_CREDITED, Reason::CREDITED_ELSEWHERE, detail)
}

/// Reads a refusal to charge.
pub(super) fn meaning(refused: &Refused) -> Meaning {
    let kind = refused.kind.as_deref().unwrap_or_default();
    let codes = [refused.code.as_deref(), refused.decline_code.as_deref()];
    match refused.status {
        400 if kind == "idempotency_error" => Meaning::Elsewhere,
        _ if kind == "idempotency_error" => Meaning::Unclear,
        // No key, no right: nothing about this payment.
        401 | 403 => Meaning::Ours,
        400 | 402 if codes.contains(&Some("authentication_required")) => {
            Meaning::Payer(action_required())
        }
        402 => Meaning::Payer(declined(refused.word())),
        400 if kind == "card_error" => Meaning::Payer(declined(refused.word())),
        400 | 404 if about_token(refused) => Meaning::Payer(token_refused(refused)),
        400 | 404 => Meaning::Ours,
        _ => Meaning::Unclear,
    }
}

/// Whether a refusal is about the token. Stripe publishes no codes for that: the parameter tells, or a code that says so.
fn about_token(refused: &Refused) -> bool {
    let names = |word: &Option<String>, name: &str| word.as_ref().is_some_and(|w| w.contains(name));
    let unknown = refused.code.as_deref() == Some("parameter_unknown");
    // A version that does not know the parameter is not the payer's fault.
    !unknown
        && (names(&refused.param, "shared_payment_granted_token")
            || names(&refused.code, "shared_payment")
            || names(&refused.code, "granted_token"))
}

fn token_refused(refused: &Refused) -> Rejection {
    let code = refused.code.as_deref().unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| code.contains(word));
    let (why, detail) = match () {
        () if says(&["expired"]) => (reason::TOKEN_EXPIRED, "The payment token has expired."),
        () if says(&["consumed", "used"]) => {
            (reason::TOKEN_USED, "The payment token was charged before.")
        }
        () if says(&["revoked", "deactivated", "resolved"]) => {
            (reason::TOKEN_REVOKED, "The payment token is no longer valid.")
        }
        () if says(&["resource_missing", "seller", "not_found"]) => {
            (reason::TOKEN_UNKNOWN, "No such payment token was granted to this seller.")
        }
        () if says(&["amount", "limit", "currency"]) => {
            (reason::TOKEN_TOO_SMALL, "The payment token is not for this amount and currency.")
        }
        () => (reason::TOKEN_REFUSED, "The payment token is not accepted."),
    };
    Rejection::new(ProblemType::VERIFICATION_FAILED, why, detail).because(refused.clone())
}

/// What Stripe asks not to be told to whoever shows the card: it would help whoever stole it.
const KEPT: [&str; 4] = ["fraudulent", "lost_card", "merchant_blacklist", "stolen_card"];

/// Says why a card was declined, in a word of Stripe's list; never in its prose.
pub(super) fn declined(word: &str) -> Rejection {
    let is_code = |c: u8| c.is_ascii_lowercase() || c == b'_';
    let listed = word.len() <= 64 && word.bytes().all(is_code);
    let word = match word {
        kept if KEPT.contains(&kept) => "generic_decline",
        word if listed => word,
        _ => "card_declined",
    };
    let detail = format!("The payment was declined: {word}.");
    Rejection::new(ProblemType::VERIFICATION_FAILED, Reason::DECLINED, detail)
}

fn action_required() -> Rejection {
    let detail = "The payment needs its payer's confirmation, which cannot be given here.";
    Rejection::new(ProblemType::PAYMENT_ACTION_REQUIRED, Reason::ACTION_REQUIRED, detail)
}

fn called_off() -> Rejection {
    let detail = "The payment did not complete at once, and was called off. Nothing was taken.";
    Rejection::new(ProblemType::VERIFICATION_FAILED, reason::CANCELED, detail)
}

/// What is said of an order that was never taken, and no longer can be.
pub(super) fn over() -> Rejection {
    let detail = "The payment was never taken, and its token is no longer valid.";
    Rejection::new(ProblemType::PAYMENT_EXPIRED, reason::TOKEN_EXPIRED, detail)
}
