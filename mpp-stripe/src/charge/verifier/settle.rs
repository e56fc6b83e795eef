//! Takes a payment, once, and finds out what became of it.
//!
//! Stripe keeps what it first answered under an idempotency key for a day at least, refusals and server errors too, once it
//! had begun. Within that day asking and sending are one act: the same bytes under the same key. What it replays is a
//! picture of then, so the PaymentIntent is read again. Past the day the key says nothing, and nothing is sent any more.

use mpp_core::{fate::Fate, problem::Rejection};
use serde_json::Value;

use super::{
    super::{
        Evidence,
        payment_intent::{PaymentIntent, Status},
    },
    judge::{self, Meaning, Standing},
    look,
};
use crate::api::{Api, ApiError, Call, Form, Refused, Told};

/// Seconds for which a key is relied on. Stripe keeps them for 24 hours at least, from when it first heard them, which was
/// after the evidence was written; the rest is for clocks.
const KEYS_LAST: i64 = 24 * 3600 - CLOCKS;
/// How far apart two clocks may be, in seconds.
const CLOCKS: i64 = 3600;

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("Stripe answered with something else than what it was asked for")]
pub(super) struct Unreadable;

/// Takes the payment, for the first time.
pub(super) async fn settle(api: &Api, evidence: &Evidence) -> Fate {
    // A crash from here on leaves a PaymentIntent that nobody has read: the same call under the same key finds it.
    match api.tell(evidence.call()).await {
        // We never sent this before: somebody did, and has it on books that are not ours.
        Ok(Told { body, replayed: true }) => match PaymentIntent::read(&body) {
            Some(intent) => judge::elsewhere(&intent),
            None => Fate::unknown(Unreadable),
        },
        Ok(Told { body, .. }) => finish(api, evidence, &body).await,
        Err(ApiError::Refused(refused)) => match judge::meaning(&refused) {
            Meaning::Payer(told) => unpaid(api, evidence, &refused, told).await,
            Meaning::Ours => {
                let told = Rejection::internal(refused.clone());
                unpaid(api, evidence, &refused, told).await
            }
            Meaning::Elsewhere => Fate::Failed(judge::processed()),
            Meaning::Unclear => Fate::unknown(refused),
        },
        // The same as a replay, a moment earlier: calling it unknown would serve it here too, once it is replayed.
        Err(ApiError::InUse) => Fate::Failed(judge::processed()),
        Err(cause) => Fate::unknown(cause),
    }
}

/// Finds out what became of a payment that may have been taken, at `now` (Unix seconds); takes it where Stripe never heard
/// of it.
///
/// A token is good for one payment and for as long as it says: a first charge that is this late moves what the payer
/// authorised, once, and whoever shows the credential again is served for it.
pub(super) async fn reconcile(api: &Api, evidence: &Evidence, now: i64) -> Fate {
    // Checked in the future: by a clock that was ahead, and nobody knows for how long it has been.
    if !(-CLOCKS..=KEYS_LAST).contains(&evidence.age(now)) {
        return look::at_books(api, evidence, now).await;
    }
    match api.tell(evidence.call()).await {
        Ok(Told { body, replayed: false }) => finish(api, evidence, &body).await,
        Ok(Told { body, .. }) => match PaymentIntent::read(&body) {
            Some(intent) => today(api, evidence, &intent.id).await,
            None => Fate::unknown(Unreadable),
        },
        // Also one that is replayed may be the answer to an earlier asking: whether anything moved, the token says.
        Err(ApiError::Refused(refused)) => match judge::meaning(&refused) {
            Meaning::Payer(told) => look::before_failing(api, evidence, &refused, told).await,
            // Our bytes never change, so none of ours was ever carried out.
            Meaning::Elsewhere => Fate::Failed(judge::processed()),
            // What we are refused today says nothing of what was taken yesterday.
            Meaning::Ours | Meaning::Unclear => Fate::unknown(refused),
        },
        // It is kept under the key, and will be said for a day.
        Err(cause @ ApiError::Unclear { status: 500.., .. }) => {
            look::behind_error(api, evidence, now, cause).await
        }
        Err(cause) => Fate::unknown(cause),
    }
}

/// A card was declined, or a token refused. What Stripe made before it said no must be dead.
pub(super) async fn unpaid(
    api: &Api,
    evidence: &Evidence,
    refused: &Refused,
    told: Rejection,
) -> Fate {
    match (&refused.payment_intent, refused.intent_status.as_deref().map(Status::parse)) {
        (_, Some(Status::Declined | Status::Canceled)) => Fate::Failed(told),
        // It may move yet, and cannot be asked after.
        (None, _) if refused.intent_unnamed => Fate::unknown(refused.clone()),
        (None, _) => Fate::Failed(told),
        (Some(id), _) => match today(api, evidence, id).await {
            // Of two true words the first says more.
            Fate::Failed(_) => Fate::Failed(told),
            fate => fate,
        },
    }
}

/// Reads a PaymentIntent as it is now, and goes on from there.
pub(super) async fn today(api: &Api, evidence: &Evidence, id: &str) -> Fate {
    match read(api, evidence, id).await {
        Ok(intent) => end(api, evidence, &intent).await,
        Err(cause) => Fate::unknown(cause),
    }
}

async fn finish(api: &Api, evidence: &Evidence, body: &Value) -> Fate {
    match PaymentIntent::read(body) {
        Some(intent) => end(api, evidence, &intent).await,
        None => Fate::unknown(Unreadable),
    }
}

/// Sees to it that a PaymentIntent has an end: what may move yet is called off, since nobody is there to wait for it.
pub(super) async fn end(api: &Api, evidence: &Evidence, intent: &PaymentIntent) -> Fate {
    let told = match judge::standing(intent, evidence) {
        Standing::Known(fate) => return fate,
        Standing::Open(told) => told,
    };
    let (path, none) = (format!("/v1/payment_intents/{}/cancel", intent.id), Form::new());
    // A crash on either side of this leaves a PaymentIntent that is open or called off: the next asking reads which.
    let after = match api.call(evidence.about(Call::post(&path, &none))).await {
        Ok(answer) => PaymentIntent::read(&answer.body).filter(|after| after.id == intent.id),
        // It is past calling off, one way or the other.
        Err(ApiError::Refused(_)) => read(api, evidence, &intent.id).await.ok(),
        Err(cause) => return Fate::unknown(cause),
    };
    match after.map(|after| judge::standing(&after, evidence)) {
        Some(Standing::Known(Fate::Failed(_))) => Fate::Failed(told),
        Some(Standing::Known(fate)) => fate,
        Some(Standing::Open(_)) => Fate::unknown(format!("{} is not final yet", intent.id)),
        None => Fate::unknown(Unreadable),
    }
}

async fn read(api: &Api, evidence: &Evidence, id: &str) -> Result<PaymentIntent, ReadError> {
    let (path, none) = (format!("/v1/payment_intents/{id}"), Form::new());
    let answer = api.call(evidence.about(Call::get(&path, &none))).await?;
    PaymentIntent::read(&answer.body).filter(|intent| intent.id == id).ok_or(ReadError::Unreadable)
}

/// Why what Stripe has on its books could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("Stripe answered with something else than what it was asked for")]
    Unreadable,
}
