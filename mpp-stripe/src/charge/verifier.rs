//! The server half: asks for a payment, checks what pays it, and charges it.

use std::{borrow::Cow, sync::Arc};

use mpp_core::{
    Amount, Price,
    binding::Claim,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::Nested,
    problem::{ProblemType, Reason, Rejection},
    time::Clock,
    verifier::{Asking, Minted, Spend},
};

use super::{
    Evidence, StripeCharge, Token,
    options::{Options, Source},
    reason,
};
use crate::{Api, Currency, Details};

mod judge;
mod look;
mod settle;
mod setup;

pub use self::setup::SetupError;

/// Sells through a Stripe account, by Shared Payment Tokens.
///
/// A payment is one call: a PaymentIntent is made and confirmed at once, under an idempotency key of its challenge and token.
/// Nobody is waited for: what does not succeed at once is called off.
///
/// One ledger per account: servers that share an account share a store. A payment that somebody else's books know already is
/// refused here, and served by nobody twice; but where Stripe's first answer here is lost, it cannot be told from our own. Who
/// lost a ledger changes the gate's secret, so that no challenge of before is taken.
///
/// ```
/// use mpp_core::Amount;
/// use mpp_stripe::{Api, Currency, SecretKey, TEST_NETWORK, charge::{Connect, Options, Verifier}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = Api::new(&SecretKey::new("sk_test_x")?)?;
/// let shop = Verifier::new(api, TEST_NETWORK, Currency::USD)?.metadata("plan", "pro")?;
/// // Seven cents of each payment are the platform's, and the rest is a connected account's.
/// let connect = Connect::new().application_fee(Amount::new(7)).transfer("acct_1", None);
/// let platform = shop.clone().options(Options::new().connect(connect))?;
/// # let _ = platform;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(super) api: Api,
    details: Details,
    currency: Currency,
    options: Source,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// The connected account of every payment, where it is always the same.
    pub(super) fn fixed_account(&self) -> Option<&str> {
        self.options.fixed().and_then(Options::stripe_account)
    }

    /// Whether Stripe charges this, and everybody gets their part of it.
    fn is_chargeable(&self, amount: Amount) -> Result<(), PriceError> {
        self.currency.charges(amount)?;
        let shares = self.options.fixed().map_or(Ok(()), |options| options.fits(amount));
        shares.map_err(|_| PriceError::Shares)
    }

    /// Holds a claim's request against what this seller asks: another's challenge is not this one's to settle.
    fn is_ours(&self, claim: &Claim<StripeCharge>) -> bool {
        let terms = &claim.request.terms;
        claim.request.details.method_details == self.details
            && terms.currency == self.currency.as_str()
            && terms.recipient.is_none()
            && !terms.amount.is_zero()
    }

    fn checked(&self, claim: &Claim<StripeCharge>) -> Result<Evidence, Rejection> {
        // A token is an order, which moves nothing before it is charged.
        claim.in_time()?;
        if !self.is_ours(claim) {
            return Err(foreign());
        }
        let token = Token::parse(&claim.payload.spt).map_err(|cause| {
            let detail = "What was shown is no Shared Payment Token.";
            Rejection::new(ProblemType::INVALID_PAYLOAD, reason::NOT_A_TOKEN, detail).because(cause)
        })?;
        let named = claim.request.terms.external_id.as_ref();
        if named.is_some() && claim.payload.external_id.as_ref() != named {
            return Err(misnamed());
        }
        let options = self.options.of(claim)?;
        let (version, now) = (self.api.version_text(), self.clock.now().unix_seconds());
        Ok(Evidence::of(claim, &token, &options, version, now))
    }
}

impl mpp_core::verifier::Verifier for Verifier {
    type Method = StripeCharge;
    type Evidence = Evidence;

    /// The seller's profile. In test mode, where all sellers are one network, also `test-` and eight digits of the key's hash:
    /// neither a live payment nor another account's is looked for with this key. A payment that is open when a test key is
    /// rotated is one for `Gate::write_off`.
    fn settles_at(&self) -> Cow<'_, str> {
        let network = &self.details.network_id;
        match self.api.test_place() {
            Some(test) => Cow::Owned(format!("{network}/{test}")),
            None => Cow::Borrowed(network),
        }
    }

    /// Takes prices in its currency that Stripe charges: not less than its least, nor more than its most.
    fn terms(&self, ask: &Price) -> Result<ChargeTerms, PriceError> {
        let amount = ask.in_unit(self.currency.as_str(), self.currency.decimals())?;
        self.is_chargeable(amount)?;
        Ok(ChargeTerms::of(ask, amount, self.currency))
    }

    fn covering(&self, ask: &Price) -> Option<ChargeTerms> {
        let amount = ask.in_unit_up(self.currency.as_str(), self.currency.decimals()).ok()?;
        Some(ChargeTerms::of(ask, amount, self.currency))
    }

    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        Ok(Minted::lasting(Nested { method_details: self.details.clone() }))
    }

    /// Asks nobody: what a token is good for, charging it says.
    async fn check(&self, claim: &Claim<StripeCharge>) -> Result<Evidence, Rejection> {
        self.checked(claim)
    }

    /// The token, for ever: it may outlive its challenge, and nothing here would refuse it for another.
    fn spends<'e>(&self, evidence: &'e Evidence) -> Option<Spend<'e>> {
        evidence.proof().map(Spend::of)
    }

    fn has_moved(&self, _: &Evidence) -> bool {
        false
    }

    async fn settle(&self, evidence: &Evidence) -> Fate {
        settle::settle(&self.api, evidence).await
    }

    async fn reconcile(&self, evidence: &Evidence) -> Fate {
        settle::reconcile(&self.api, evidence, self.clock.now().unix_seconds()).await
    }
}

fn foreign() -> Rejection {
    let detail = "This challenge does not ask what is asked here.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
}

fn misnamed() -> Rejection {
    let detail = "credential externalId does not match this route request";
    Rejection::new(ProblemType::INVALID_CHALLENGE, reason::WRONG_EXTERNAL_ID, detail)
}
