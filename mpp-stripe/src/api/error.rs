//! Why a call of Stripe's API did not do what was asked, and whether that is known.

use std::fmt;

use serde_json::Value;

/// A call that did not do what was asked. Holds no token, no key and no text of Stripe's: those quote what they refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No answer came: what became of the call is not known.
    #[error("Stripe did not answer")]
    Unanswered(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer came that does not tell what became of the call: 5xx, 409, 424, 429, or nothing Stripe publishes.
    #[error("Stripe answered {status} without saying what became of the call{}", .request.as_deref().map(|id| format!(" ({id})")).unwrap_or_default())]
    Unclear {
        /// The HTTP status.
        status: u16,
        /// Stripe's name for the exchange: `req_…`.
        request: Option<String>,
    },
    /// Another call under the same idempotency key is being carried out right now. What comes of it is not known yet.
    #[error("another call under the same idempotency key is being carried out")]
    InUse,
    /// Stripe said no.
    #[error("Stripe refused: {0}")]
    Refused(Refused),
}

/// Stripe's no, in its published words: types and codes, never its prose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The HTTP status: 400, 401, 402, 403, 404.
    pub status: u16,
    /// `card_error`, `invalid_request_error`, `idempotency_error`…
    pub kind: Option<String>,
    /// `card_declined`, `parameter_unknown`, `resource_missing`…
    pub code: Option<String>,
    /// What the issuer said: `insufficient_funds`, `generic_decline`…
    pub decline_code: Option<String>,
    /// Which parameter it is about.
    pub param: Option<String>,
    /// The id of the PaymentIntent it made before it said no.
    pub payment_intent: Option<String>,
    /// The status of that PaymentIntent.
    pub intent_status: Option<String>,
    /// It made a PaymentIntent, and does not say readably which.
    pub intent_unnamed: bool,
    /// Stripe's name for the exchange: `req_…`, to be quoted to its support.
    pub request: Option<String>,
    /// It is what was said to the first call of the same idempotency key.
    pub replayed: bool,
}

impl ApiError {
    /// Whether the call may have done what was asked.
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl Refused {
    /// Whether a body says that the idempotency key is in use.
    pub(super) fn is_in_use(body: &Value) -> bool {
        let code = body.get("error").and_then(|error| error.get("code")).and_then(Value::as_str);
        code == Some("idempotency_key_in_use")
    }

    /// Reads an error body that came with this status; `None` where it is none that Stripe publishes. For whoever calls Stripe by a
    /// client of their own, too: nothing in it is a secret.
    pub fn read(status: u16, body: &Value) -> Option<Self> {
        let error = body.get("error")?.as_object()?;
        let word = |name: &str| {
            error.get(name).and_then(Value::as_str).filter(|w| is_word(w)).map(str::to_owned)
        };
        let kind = word("type")?;
        let intent = |name: &str| {
            let word =
                error.get("payment_intent").and_then(|i| i.get(name)).and_then(Value::as_str);
            word.filter(|w| is_word(w)).map(str::to_owned)
        };
        let made = error.get("payment_intent").is_some_and(|intent| !intent.is_null());
        Some(Self {
            status,
            kind: Some(kind),
            code: word("code"),
            decline_code: word("decline_code"),
            param: word("param"),
            payment_intent: intent("id"),
            intent_status: intent("status"),
            intent_unnamed: made && intent("id").is_none(),
            request: None,
            replayed: false,
        })
    }

    /// The most telling of its words: the issuer's, else the code, else the type.
    pub fn word(&self) -> &str {
        let words = [&self.decline_code, &self.code, &self.kind];
        words.into_iter().flatten().next().map_or("unknown", String::as_str)
    }
}

/// Codes and names of parameters: short, and nothing that could be a secret's own alphabet run wild.
fn is_word(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'[' | b']' | b'-' | b'.');
    (1..=96).contains(&text.len()) && text.bytes().all(plain) && !is_secret(text)
}

/// Tokens, keys and client secrets begin with what they are.
fn is_secret(text: &str) -> bool {
    ["spt_", "sk_", "rk_", "whsec_"].iter().any(|kind| text.contains(kind))
        || text.contains("_secret_")
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word())?;
        if let Some(param) = &self.param {
            write!(f, " at {param}")?;
        }
        match &self.request {
            Some(request) => write!(f, " ({request})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_of_a_refusal_is_its_words() {
        let body = json!({ "error": { "type": "card_error", "code": "card_declined", "decline_code": "do_not_honor",
            "message": "Your card spt_hunter2 was declined.", "param": "shared_payment_granted_token",
            "payment_intent": { "id": "pi_1", "status": "requires_payment_method", "client_secret": "pi_1_secret_x" } } });
        let refused = Refused::read(402, &body).unwrap();
        assert_eq!(
            (refused.word(), refused.payment_intent.as_deref()),
            ("do_not_honor", Some("pi_1"))
        );
        assert_eq!(refused.to_string(), "do_not_honor at shared_payment_granted_token");
        assert!(!format!("{refused:?}").contains("hunter2"));
    }

    #[test]
    fn what_stripe_would_not_publish_is_no_refusal() {
        for body in [
            json!(null),
            json!([]),
            json!({ "error": "card_error" }),
            json!({ "error": {} }),
            json!({ "error": { "type": 7 } }),
            json!({ "error": { "type": "<b>card_error</b>" } }),
            json!({ "error": { "type": "spt_hunter2" } }),
        ] {
            assert_eq!(Refused::read(400, &body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_refusal_shows_a_token_or_prose(before in "[a-z ]{0,8}", kind in "spt_|sk_live_|rk_test_|whsec_|pi_1_secret_", after in "[A-Za-z0-9]{1,24}") {
            let secret = format!("{before}{kind}{after}");
            let body = json!({ "error": { "type": "card_error", "code": secret, "decline_code": secret, "param": secret,
                "message": secret, "payment_intent": { "id": secret, "status": secret } } });
            let refused = Refused::read(402, &body).unwrap();
            let shown = format!("{refused:?} {refused} {}", ApiError::Refused(refused.clone()));
            prop_assert!(!shown.contains(&kind), "{shown}");
        }
    }
}
