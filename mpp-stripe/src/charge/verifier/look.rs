//! Looks for a payment in Stripe's books, where its idempotency key cannot say what became of it.
//!
//! The token is the witness: it is charged once at most, and reading it sees what was done a moment ago. A search does not; by
//! Stripe's word it is a minute late, and an hour on a bad day. So a search finds the PaymentIntent that the token says there
//! is, and is never by itself the proof that there is none.

use mpp_core::{fate::Fate, problem::Rejection};
use serde_json::Value;

use super::{
    super::{
        Evidence,
        evidence::NoEvidence,
        payment_intent::{PaymentIntent, Status},
    },
    judge,
    settle::{self, Unreadable},
};
use crate::api::{Answer, Api, ApiError, Call, Form, Refused};

/// Seconds after a token's end in which a charge that began before it may still be carried out.
const SETTLES: i64 = 15 * 60;

/// What the token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// Money was taken by it.
    Charged,
    /// It was given up for a payment, and nothing is taken so far.
    Held,
    /// Nothing was, and from `ends` on (Unix seconds) nothing can be.
    Untouched { ends: Option<i64> },
    /// Stripe knows no such token of ours.
    Unknown,
}

/// Why the books could not be read.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Evidence(#[from] NoEvidence),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// It cannot be told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("the token was charged, and its PaymentIntent is not found")]
    Lost,
    #[error("a PaymentIntent of this challenge succeeded by a token that is not known any more")]
    OtherToken,
    #[error("the token may be charged yet")]
    Alive,
    #[error("the token is not known any more")]
    Forgotten,
}

/// A refusal came. It is the end only where the token says that nothing was taken before.
pub(super) async fn before_failing(
    api: &Api,
    evidence: &Evidence,
    refused: &Refused,
    told: Rejection,
) -> Fate {
    match look(api, evidence).await {
        Ok((Token::Untouched { .. } | Token::Unknown, None)) => {
            settle::unpaid(api, evidence, refused, told).await
        }
        Ok((token, found)) => {
            judged(api, evidence, token, found).await.unwrap_or(Fate::Failed(told))
        }
        Err(cause) => Fate::unknown(cause),
    }
}

/// A server error came, and will come again for a day.
pub(super) async fn behind_error(
    api: &Api,
    evidence: &Evidence,
    now: i64,
    error: ApiError,
) -> Fate {
    match look(api, evidence).await {
        Ok((token, found)) => match judged(api, evidence, token, found).await {
            Some(fate) => fate,
            None if is_dead(token, now) => Fate::Failed(judge::over()),
            None => Fate::unknown(error),
        },
        Err(cause) => Fate::unknown(cause),
    }
}

/// The key is forgotten, and nothing may be sent under it: that could be a second charge.
pub(super) async fn at_books(api: &Api, evidence: &Evidence, now: i64) -> Fate {
    match look(api, evidence).await {
        Ok((token, found)) => match judged(api, evidence, token, found).await {
            Some(fate) => fate,
            None if is_dead(token, now) => Fate::Failed(judge::over()),
            None if token == Token::Unknown => Fate::unknown(Untold::Forgotten),
            None => Fate::unknown(Untold::Alive),
        },
        Err(cause) => Fate::unknown(cause),
    }
}

/// What token and PaymentIntent say together; `None` where nothing moved so far.
async fn judged(
    api: &Api,
    evidence: &Evidence,
    token: Token,
    found: Option<PaymentIntent>,
) -> Option<Fate> {
    let found = match found {
        Some(intent) => intent,
        None if matches!(token, Token::Charged | Token::Held) => {
            return Some(Fate::unknown(Untold::Lost));
        }
        None => return None,
    };
    match (token, found.status) {
        (Token::Charged | Token::Held, Status::Succeeded) => {
            Some(settle::end(api, evidence, &found).await)
        }
        // A search may show what was, and by a token that was given up it may move yet: it is read by its name.
        (Token::Held, Status::Canceled | Status::Declined) => {
            Some(settle::today(api, evidence, &found.id).await)
        }
        // It was charged by another PaymentIntent than these.
        (Token::Charged, Status::Canceled | Status::Declined) => Some(Fate::unknown(Untold::Lost)),
        // The same challenge was paid by another token, whose books are not ours.
        (Token::Untouched { .. }, Status::Succeeded) => None,
        (Token::Unknown, Status::Succeeded) => Some(Fate::unknown(Untold::OtherToken)),
        (_, Status::Canceled | Status::Declined) => None,
        (_, Status::RequiresAction | Status::Open) => {
            Some(settle::today(api, evidence, &found.id).await)
        }
    }
}

fn is_dead(token: Token, now: i64) -> bool {
    matches!(token, Token::Untouched { ends: Some(ends) } if now.saturating_sub(ends) > SETTLES)
}

/// Token first: what is charged between the two readings is then found open, and never called untouched.
async fn look(api: &Api, evidence: &Evidence) -> Result<(Token, Option<PaymentIntent>), LookError> {
    let token = token(api, evidence).await?;
    Ok((token, found(api, evidence).await?))
}

/// A token may be granted to the platform where the payment is on a connected account: Stripe publishes nothing of it.
async fn token(api: &Api, evidence: &Evidence) -> Result<Token, LookError> {
    let (path, none) = (token_path(evidence)?, Form::new());
    let ours = evidence.about(Call::get(&path, &none));
    let said = token_as(api, ours).await?;
    if said != Token::Unknown || evidence.account().is_none() {
        return Ok(said);
    }
    token_as(api, evidence.about(Call::get(&path, &none)).on_behalf_of(None)).await
}

fn token_path(evidence: &Evidence) -> Result<String, NoEvidence> {
    Ok(format!("/v1/shared_payment/granted_tokens/{}", evidence.token()?.expose()))
}

async fn token_as(api: &Api, call: Call<'_>) -> Result<Token, LookError> {
    match api.call(call).await {
        Ok(Answer { body }) => Ok(read_token(&body).ok_or(Unreadable)?),
        Err(ApiError::Refused(Refused { status: 404, code: Some(code), .. }))
            if code == "resource_missing" =>
        {
            Ok(Token::Unknown)
        }
        Err(cause) => Err(cause.into()),
    }
}

fn read_token(body: &Value) -> Option<Token> {
    if body.get("object")?.as_str()? != "shared_payment.granted_token" {
        return None;
    }
    let taken = match body.get("usage_details")?.get("amount_captured")? {
        Value::Null => 0,
        amount => amount.get("value")?.as_u64()?,
    };
    let ended = body.get("deactivated_reason").and_then(Value::as_str);
    match ended {
        _ if taken > 0 => return Some(Token::Charged),
        Some("consumed" | "resolved") => return Some(Token::Held),
        _ => {}
    }
    let time = |value: Option<&Value>| value.and_then(Value::as_i64);
    let expires = time(body.get("usage_limits").and_then(|limits| limits.get("expires_at")));
    // A token that is over may be marked so late: at its first reading after its end.
    let ends = [time(body.get("deactivated_at")), expires].into_iter().flatten().min();
    Some(Token::Untouched { ends })
}

/// The PaymentIntent of the challenge that has come farthest.
async fn found(api: &Api, evidence: &Evidence) -> Result<Option<PaymentIntent>, LookError> {
    let challenge = evidence.challenge()?;
    let query = Form::new()
        .with("query", format!("metadata['mpp_challenge_id']:'{challenge}'"))
        .with("limit", "100");
    let call = Call::get("/v1/payment_intents/search", &query);
    let body = api.call(evidence.about(call)).await?.body;
    let listed = body.get("data").and_then(Value::as_array).ok_or(Unreadable)?;
    // A search ignores case; names of challenges do not.
    let mut ours = Vec::from_iter(
        listed
            .iter()
            .filter_map(PaymentIntent::read)
            .filter(|intent| intent.challenge.as_deref() == Some(challenge)),
    );
    ours.sort_by_key(|intent| match intent.status {
        Status::Succeeded => 0,
        Status::RequiresAction | Status::Open => 1,
        Status::Declined | Status::Canceled => 2,
    });
    Ok(ours.into_iter().next())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_says_whether_it_was_charged() {
        let read = |captured: Value, reason: Value, at: Value| {
            read_token(&json!({ "object": "shared_payment.granted_token",
                "usage_details": { "amount_captured": captured }, "deactivated_reason": reason,
                "deactivated_at": at, "usage_limits": { "expires_at": 100 } }))
        };
        let none = Value::Null;
        let some = |value: u64| json!({ "currency": "usd", "value": value });
        let alive = Token::Untouched { ends: Some(100) };
        assert_eq!(read(none.clone(), none.clone(), none.clone()), Some(alive));
        assert_eq!(read(some(0), none.clone(), none.clone()), Some(alive));
        assert_eq!(read(some(1), none.clone(), none.clone()), Some(Token::Charged));
        assert_eq!(read(some(0), json!("consumed"), json!(7)), Some(Token::Held));
        assert_eq!(read(some(1), json!("consumed"), json!(7)), Some(Token::Charged));
        assert_eq!(read(some(0), json!("expired"), json!(700)), Some(alive));
        let revoked = Some(Token::Untouched { ends: Some(7) });
        assert_eq!(read(some(0), json!("revoked"), json!(7)), revoked);
        assert_eq!(read(json!("much"), none.clone(), none), None);
        assert_eq!(read_token(&json!({ "object": "charge" })), None);
    }

    #[test]
    fn a_token_is_dead_a_while_after_its_end_and_never_without_one() {
        let ends = |ends| Token::Untouched { ends };
        assert!(!is_dead(ends(Some(0)), SETTLES) && is_dead(ends(Some(0)), SETTLES + 1));
        assert!(!is_dead(ends(None), i64::MAX) && !is_dead(Token::Unknown, i64::MAX));
        assert!(!is_dead(Token::Charged, i64::MAX) && !is_dead(Token::Held, i64::MAX));
    }
}
