//! What a payment is told to Stripe beside its price: for every payment the same, or decided for each.

use std::{fmt, sync::Arc};

use mpp_core::{Amount, binding::Claim, problem::Rejection};

use super::{
    StripeCharge,
    connect::{Connect, ConnectError, is_id},
    metadata::{self, MetadataError, Notes},
};
use crate::api::Form;

/// What goes into a PaymentIntent and not into a challenge: the payer never sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    customer: Option<String>,
    receipt_email: Option<String>,
    metadata: Notes,
    tax_calculation: Option<String>,
    connect: Option<Connect>,
}

/// Options that Stripe would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A customer or a tax calculation that is no id of Stripe's.
    #[error("a customer and a tax calculation are named by their ids: letters, digits and _")]
    Id,
    /// A receipt's address that is none.
    #[error("a receipt goes to an e-mail address")]
    Email,
    /// A note that Stripe would refuse.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Instructions for connected accounts that cannot be.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Options {
    /// None, to be added to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose payment it is in Stripe: `cus_…`.
    pub fn customer(self, customer: impl Into<String>) -> Self {
        Self { customer: Some(customer.into()), ..self }
    }

    /// Where Stripe sends a receipt of its own.
    pub fn receipt_email(self, address: impl Into<String>) -> Self {
        Self { receipt_email: Some(address.into()), ..self }
    }

    /// Adds a note that only Stripe keeps. It replaces a public one of the same name.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Links a tax calculation: `taxcalc_…`. It changes no amount here: the price is the whole price.
    pub fn tax_calculation(self, calculation: impl Into<String>) -> Self {
        Self { tax_calculation: Some(calculation.into()), ..self }
    }

    /// Says whose account the payment is made on, and who gets what of it.
    pub fn connect(self, connect: Connect) -> Self {
        Self { connect: Some(connect), ..self }
    }

    /// Whether Stripe would take them beside these public notes.
    pub(super) fn check(&self, public: &Notes) -> Result<(), OptionsError> {
        if !self.customer.iter().chain(&self.tax_calculation).all(|id| is_id(id)) {
            return Err(OptionsError::Id);
        }
        if !self.receipt_email.iter().all(|address| is_address(address)) {
            return Err(OptionsError::Email);
        }
        metadata::check_together(public, &self.metadata)?;
        self.connect.as_ref().map_or(Ok(()), Connect::check)?;
        Ok(())
    }

    /// Whether a payment of this amount is enough for what is taken out of it.
    pub(super) fn fits(&self, amount: Amount) -> Result<(), ConnectError> {
        self.connect.as_ref().map_or(Ok(()), |connect| connect.fits(amount))
    }

    pub(super) fn stripe_account(&self) -> Option<&str> {
        self.connect.as_ref().and_then(Connect::stripe_account)
    }

    /// The parameters that come before the token.
    pub(super) fn add_payer_to(&self, form: Form) -> Form {
        form.maybe("customer", self.customer.as_deref())
            .maybe("receipt_email", self.receipt_email.as_deref())
    }

    /// The parameters that come after the notes of the challenge.
    pub(super) fn add_rest_to(&self, form: Form) -> Form {
        let noted = self
            .metadata
            .iter()
            .fold(form, |form, (key, value)| form.entry("metadata", key, value));
        let form = noted.maybe("hooks[inputs][tax][calculation]", self.tax_calculation.as_deref());
        match &self.connect {
            Some(connect) => connect.add_to(form),
            None => form,
        }
    }
}

/// What goes into a form only; whether somebody reads mail there, Stripe may find out.
fn is_address(text: &str) -> bool {
    let (name, host) = text.split_once('@').unwrap_or_default();
    let strange = |c: char| c.is_control() || c.is_whitespace();
    !name.is_empty() && !host.is_empty() && text.len() <= 512 && !text.contains(strange)
}

type Decide = dyn Fn(&Claim<StripeCharge>) -> Result<Options, Rejection> + Send + Sync;

/// Where a payment's options come from.
#[derive(Clone)]
pub(super) enum Source {
    Fixed(Arc<Options>),
    Each(Arc<Decide>),
}

impl Source {
    /// The options of a payment.
    ///
    /// # Errors
    /// What the seller's own code says; our own fault where it says what Stripe would refuse.
    pub(super) fn of(&self, claim: &Claim<StripeCharge>) -> Result<Arc<Options>, Rejection> {
        let options = match self {
            Self::Fixed(options) => options.clone(),
            Self::Each(decide) => {
                let options = decide(claim)?;
                let public = claim.request.details.method_details.metadata.clone();
                options.check(&public.unwrap_or_default()).map_err(Rejection::internal)?;
                Arc::new(options)
            }
        };
        // Not the payer's fault, and paying again would not help.
        options.fits(claim.request.terms.amount).map_err(Rejection::internal)?;
        Ok(options)
    }

    /// What is known before anybody pays.
    pub(super) fn fixed(&self) -> Option<&Options> {
        match self {
            Self::Fixed(options) => Some(options),
            Self::Each(_) => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.fixed().is_some() { "Fixed(..)" } else { "Each(..)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_stripe_would_refuse_are_found_at_once() {
        let none = Notes::new();
        assert_eq!(Options::new().customer("").check(&none), Err(OptionsError::Id));
        assert_eq!(Options::new().tax_calculation("a b").check(&none), Err(OptionsError::Id));
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b\n"] {
            assert_eq!(Options::new().receipt_email(bad).check(&none), Err(OptionsError::Email));
        }
        let long = Options::new().metadata("k", "x".repeat(501)).check(&none);
        assert_eq!(long, Err(MetadataError::Value("k".into()).into()));
        let nobody = Options::new().connect(Connect::new().account("")).check(&none);
        assert_eq!(nobody, Err(ConnectError::Account.into()));
    }
}
