//! Whether a credential can subscribe its payer: ours to settle, by a payment method that exists and is the payer's to show.

use mpp_core::{
    binding::Claim,
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    Verifier,
    order::{Begin, Evidence, Order, Terms},
};
use crate::{
    Currency,
    subscription::{Customer, StripeSubscription, billing::contract::interval},
};

impl Verifier {
    pub(super) async fn checked(
        &self,
        claim: &Claim<StripeSubscription>,
    ) -> Result<Evidence, Rejection> {
        claim.in_time()?;
        let terms = self.asked(claim)?;
        let named = claim.payload.customer.as_ref().map(Customer::as_str);
        let method = self.method(&claim.payload.payment_method).await?;
        let customer = self.owner(&method, named).await?;
        if let Some(customer) = &customer {
            self.is_plain(customer, terms.currency).await?;
        }
        let source = claim.source.as_ref().map(|source| source.as_str());
        let asked = &claim.request;
        Ok(Evidence(Order::Begin(Begin {
            challenge: claim.challenge.id().as_str().to_owned(),
            payment_method: method.id,
            customer,
            payer: named.or(source).map(str::to_owned),
            terms,
            description: asked.terms.description.clone(),
            product: self.product.clone(),
            metadata: asked.details.method_details.metadata.clone().unwrap_or_default(),
            at: self.clock.now(),
        })))
    }

    /// Holds the request against what this verifier asks: nothing broader than the profile, and in its own name.
    fn asked(&self, claim: &Claim<StripeSubscription>) -> Result<Terms, Rejection> {
        let (terms, details) = (&claim.request.terms, &claim.request.details.method_details);
        let ours = terms.recipient.is_none()
            && terms.subscription_expires.is_none()
            && !terms.amount.is_zero()
            && interval(&terms.cadence()).is_some()
            && *details == self.details_now();
        let currency = Currency::parse(&terms.currency).ok().filter(|c| *c == self.currency);
        let asked = currency.map(|currency| Terms {
            amount: terms.amount,
            currency,
            cadence: terms.cadence(),
        });
        let asked = asked.filter(|asked| ours && asked.charge().is_some());
        asked.ok_or_else(|| {
            let detail = "This challenge asks for another subscription than is sold here.";
            Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
        })
    }
}
