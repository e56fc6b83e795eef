//! Tokens from Stripe's API, by a secret key of the payer's account.

use std::{fmt, sync::Arc, time::Duration};

use mpp_core::{Timestamp, encoded, payer::Became, time::Clock};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{IssueError, Issuer, PaymentMethod, Wanted};
use crate::{
    Api, SecretKey,
    api::{ApiError, ApiSetup, Call, Form, NotAKey, Refused},
    charge::Token,
    clock::SystemClock,
};

/// Where test tokens are made: in test mode nobody issues them, and this stands in for it.
const GRANT: &str = "/v1/test_helpers/shared_payment/granted_tokens";
const GRANTED: &str = "/v1/shared_payment/granted_tokens";
/// Where an agent with a live key issues them.
const ISSUED: &str = "/v1/shared_payment/issued_tokens";

/// How long after a token's end a payment that was confirmed by it may still be captured, and a day more: cards and other
/// payment methods let a seller hold an amount for thirty days at most.
const HELD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Makes tokens at Stripe. What kind of key it holds decides how: a live one issues them, by a test key they are granted by
/// Stripe's test helper and move no money.
#[derive(Clone)]
pub struct ApiTokens {
    api: Api,
    held: Duration,
    clock: Arc<dyn Clock>,
}

/// Why tokens cannot be made by the environment's key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoTokens {
    /// `STRIPE_SECRET_KEY` is not set, or holds no secret key.
    #[error("STRIPE_SECRET_KEY: {0}")]
    Key(#[from] NotAKey),
    /// Stripe cannot be spoken to.
    #[error(transparent)]
    Setup(#[from] ApiSetup),
}

impl ApiTokens {
    /// Makes tokens in the account of an API's key.
    pub fn new(api: Api) -> Self {
        Self { api, held: HELD, clock: Arc::new(SystemClock) }
    }

    /// Makes tokens by the key in the environment: `STRIPE_SECRET_KEY`.
    ///
    /// # Errors
    /// [`NoTokens`].
    pub fn from_env() -> Result<Self, NoTokens> {
        Ok(Self::new(Api::new(&SecretKey::from_env()?)?))
    }

    /// For how long after a token's end a seller may still take what it confirmed before: 31 days, unless said otherwise. So
    /// long an unpaid request is in doubt, and its wallet pays nothing else for it.
    ///
    /// Sellers that follow the protocol take the money when they confirm. Say less to pay anew sooner, where you would rather
    /// trust them than wait: one that holds an amount and says that it was declined is then paid twice.
    pub fn held_for(self, held: Duration) -> Self {
        Self { held, ..self }
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Makes one token of a form. Under one key Stripe makes one, however often it is asked.
    async fn make(&self, form: Form, wanted: &Wanted) -> Result<Token, IssueError> {
        let path = if self.api.is_test() { GRANT } else { ISSUED };
        let key = idempotency(path, &form, wanted);
        // A crash in here, or an answer that is lost, may leave a token of which nobody has the id: nothing can be taken by
        // it. It ends by itself, and who asks again for the same challenge is given it.
        let answer = self.api.call(Call::post(path, &form).once(&key)).await?;
        if text(&answer.body, "status") == Some("requires_action") {
            return Err(IssueError::ActionRequired);
        }
        Ok(Token::parse(text(&answer.body, "id").unwrap_or_default())?)
    }
}

impl Issuer for ApiTokens {
    async fn create_token(&self, wanted: Wanted) -> Result<Token, IssueError> {
        let payment_method = wanted.payment_method.as_ref().ok_or(IssueError::NoPaymentMethod)?;
        let limits = limits(payment_method, &wanted);
        if !self.api.is_test() {
            return self.make(issued(limits, &wanted), &wanted).await;
        }
        match self.make(granted(limits.clone(), &wanted), &wanted).await {
            // Some versions of the test helper know no seller and no metadata. A live token is never made without them.
            Err(IssueError::Api(ApiError::Refused(why))) if is_unknown_parameter(&why) => {
                self.make(limits, &wanted).await
            }
            made => made,
        }
    }

    /// Paid where something was captured. Dead where the token ended without that so long ago that nothing confirmed before
    /// can be captured any more: a token's end stops new payments, and not one that its seller confirmed in time and holds.
    /// Of one that was `consumed` or `resolved` it cannot be told from here what is still on its way.
    async fn became(&self, token: &Token) -> Result<Became, IssueError> {
        let path = if self.api.is_test() { GRANTED } else { ISSUED };
        let path = format!("{path}/{}", token.expose());
        let answer = self.api.call(Call::get(&path, &Form::new())).await?;
        Ok(judge(&answer.body, token, &self.clock.now(), self.held))
    }
}

/// What a token of Stripe's says of itself. What it does not say is open.
fn judge(body: &Value, token: &Token, now: &Timestamp, held: Duration) -> Became {
    let captured = body.pointer("/usage_details/amount_captured/value").and_then(Value::as_u64);
    let ended = body.get("deactivated_at").and_then(Value::as_i64);
    let without_use = matches!(text(body, "deactivated_reason"), Some("expired" | "revoked"));
    if text(body, "id") != Some(token.expose()) {
        return Became::Open;
    }
    match (captured, ended) {
        (Some(1..), _) => Became::Paid,
        (Some(0), Some(at)) if without_use => {
            let last = Timestamp::from_unix(at, 0).plus(held);
            if last.expired_at(now) { Became::Dead } else { Became::Open }
        }
        _ => Became::Open,
    }
}

fn text<'v>(body: &'v Value, name: &str) -> Option<&'v str> {
    body.get(name).and_then(Value::as_str)
}

/// What every token is limited to.
fn limits(payment_method: &PaymentMethod, wanted: &Wanted) -> Form {
    Form::new()
        .with("payment_method", payment_method.as_str())
        .with("usage_limits[currency]", wanted.currency.as_str())
        .with("usage_limits[max_amount]", wanted.amount.to_string())
        .with("usage_limits[expires_at]", wanted.expires_at.to_string())
}

/// As deployed peers ask the test helper.
fn granted(form: Form, wanted: &Wanted) -> Form {
    noted(form.with("seller_details[network_id]", &wanted.network_id), "metadata", wanted)
}

/// As Stripe's own clients issue a token: its notes are called `shared_metadata` there, and the seller reads them.
fn issued(form: Form, wanted: &Wanted) -> Form {
    let form = form.with("seller_details[network_business_profile]", &wanted.network_id);
    noted(form, "shared_metadata", wanted)
}

fn noted(form: Form, name: &str, wanted: &Wanted) -> Form {
    let notes = wanted.metadata.iter().flatten();
    notes.fold(form, |form, (key, note)| form.entry(name, key, note))
}

/// Whether Stripe does not know the seller or the notes here: a code, since its prose is not kept.
fn is_unknown_parameter(why: &Refused) -> bool {
    let ours = |param: &str| ["seller_details", "metadata"].iter().any(|n| param.starts_with(n));
    why.code.as_deref() == Some("parameter_unknown") && why.param.as_deref().is_none_or(ours)
}

/// One name for one form that answers one challenge of one realm, however long the names of those are.
fn idempotency(path: &str, form: &Form, wanted: &Wanted) -> String {
    let mut hash = Sha256::new();
    let challenge = &wanted.challenge;
    for part in [challenge.id().as_str(), challenge.realm.as_str(), path, &form.encoded()] {
        hash.update(part);
        hash.update([0]);
    }
    format!("mpp_token_{}", encoded::encode(&hash.finalize()))
}

impl fmt::Debug for ApiTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTokens").field("api", &self.api).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
