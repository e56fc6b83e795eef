//! A checked payment: the one call that takes it, whole.

use std::fmt;

use mpp_core::{binding::Claim, challenge::ChallengeId};
use serde::{Deserialize, Serialize};

use super::{StripeCharge, Token, metadata::short, options::Options};
use crate::api::{Call, Form};

/// What we call ourselves in a payment's notes.
const SDK: &str = concat!("mpp-rust/", env!("CARGO_PKG_VERSION"));
const PATH: &str = "/v1/payment_intents";

/// Everything that taking a payment, and asking after it, needs: the same bytes under the same key, whoever sends them and
/// whatever has been configured since.
///
/// Secret at rest: it holds the payer's token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Evidence {
    form: Form,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    version: String,
    /// Unix seconds. Stripe forgets the key a day after it first heard it, which was not before this.
    checked: i64,
}

/// Evidence that is not what we wrote.
#[derive(Debug, thiserror::Error)]
#[error("what is on the books is no order to Stripe")]
pub(super) struct NoEvidence;

impl Evidence {
    /// The order to charge a token, in the order of parameters that deployed peers have.
    pub(super) fn of(
        claim: &Claim<StripeCharge>,
        token: &Token,
        options: &Options,
        version: &str,
        checked: i64,
    ) -> Self {
        let terms = &claim.request.terms;
        let id = claim.challenge.id();
        let form = Form::new()
            .with("amount", terms.amount.to_string())
            .with("automatic_payment_methods[allow_redirects]", "never")
            .with("automatic_payment_methods[enabled]", "true")
            .with("confirm", "true")
            .with("currency", terms.currency.as_str());
        let form = options
            .add_payer_to(form)
            .with("shared_payment_granted_token", token.expose())
            .entry("metadata", "machine_payment", "true")
            .entry("metadata", "mpp_sdk", SDK)
            .entry("metadata", "mpp_intent", short(claim.challenge.intent.as_str()))
            .entry("metadata", "mpp_challenge_id", short(id.as_str()));
        let public = claim.request.details.method_details.metadata.iter().flatten();
        let form = public.fold(form, |form, (key, value)| form.entry("metadata", key, value));
        Self {
            form: options.add_rest_to(form),
            key: key(id, token),
            account: options.stripe_account().map(str::to_owned),
            version: version.to_owned(),
            checked,
        }
    }

    /// The call that charges it.
    pub(super) fn call(&self) -> Call<'_> {
        Call::post(PATH, &self.form)
            .once(&self.key)
            .in_version(&self.version)
            .on_behalf_of(self.account())
    }

    /// Another call about the same payment.
    pub(super) fn about<'a>(&'a self, call: Call<'a>) -> Call<'a> {
        call.in_version(&self.version).on_behalf_of(self.account())
    }

    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// How much is asked, in base units, and in what.
    pub(super) fn asked(&self) -> Result<(u64, &str), NoEvidence> {
        let amount = self.form.get("amount").and_then(|amount| amount.parse().ok());
        Ok((amount.ok_or(NoEvidence)?, self.form.get("currency").ok_or(NoEvidence)?))
    }

    pub(super) fn token(&self) -> Result<Token, NoEvidence> {
        let token = self.form.get("shared_payment_granted_token").ok_or(NoEvidence)?;
        Token::parse(token).map_err(|_| NoEvidence)
    }

    /// The id of the challenge that it pays.
    pub(super) fn challenge(&self) -> Result<&str, NoEvidence> {
        self.form.get("metadata[mpp_challenge_id]").ok_or(NoEvidence)
    }

    /// How many seconds ago it was checked, by a clock that says this.
    pub(super) fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.checked)
    }

    /// The token, as a proof that is used up.
    pub(super) fn proof(&self) -> Option<&str> {
        self.form.get("shared_payment_granted_token")
    }
}

/// What makes two calls one: challenge and token.
fn key(challenge: &ChallengeId, token: &Token) -> String {
    format!("mpp_{}_{}", challenge.as_str(), token.expose())
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let challenge = self.challenge().unwrap_or_default();
        f.debug_struct("Evidence").field("challenge", &challenge).finish_non_exhaustive()
    }
}
