//! What is sold by, and what Stripe would refuse of it.

use std::{collections::BTreeMap, sync::Arc};

use mpp_core::{binding::Claim, problem::Rejection, time::Clock};

use super::{
    super::{
        StripeCharge, metadata,
        metadata::MetadataError,
        options::{Options, OptionsError, Source},
    },
    Verifier,
};
use crate::{Api, Currency, Details, clock::SystemClock};

/// What a seller cannot sell by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No network id, or none that could be one.
    #[error("a seller's network id is `profile_…`, or `internal` in test mode")]
    NetworkId,
    /// No way to pay, or one that is not written as Stripe writes them: `card`.
    #[error("a seller takes one way to pay at least, named as `card` or `link`")]
    PaymentMethods,
    /// A note that Stripe would refuse.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Options that Stripe would refuse.
    #[error(transparent)]
    Options(OptionsError),
}

impl From<OptionsError> for SetupError {
    fn from(e: OptionsError) -> Self {
        match e {
            OptionsError::Metadata(e) => Self::Metadata(e),
            e => Self::Options(e),
        }
    }
}

impl Verifier {
    /// Sells through a Stripe account, as a profile on its network, in a currency. Takes cards and Link.
    ///
    /// # Errors
    /// [`SetupError::NetworkId`].
    pub fn new(
        api: Api,
        network_id: impl Into<String>,
        currency: Currency,
    ) -> Result<Self, SetupError> {
        let network_id = network_id.into();
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
        if !(1..=128).contains(&network_id.len()) || !network_id.bytes().all(plain) {
            return Err(SetupError::NetworkId);
        }
        let payment_method_types = ["card", "link"].map(str::to_owned).to_vec();
        Ok(Self {
            api,
            details: Details { network_id, payment_method_types, metadata: None },
            currency,
            options: Source::Fixed(Arc::default()),
            clock: Arc::new(SystemClock),
        })
    }

    /// Takes these ways to pay, best first: `card`, `link`.
    ///
    /// # Errors
    /// [`SetupError::PaymentMethods`].
    pub fn payment_methods<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, SetupError> {
        let names = Vec::from_iter(names.into_iter().map(Into::into));
        let plain = |name: &String| {
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
        };
        if names.is_empty() || !names.iter().all(plain) {
            return Err(SetupError::PaymentMethods);
        }
        self.details.payment_method_types = names;
        Ok(self)
    }

    /// Adds a note to every payment. Payers see it: it stands in the challenge.
    ///
    /// # Errors
    /// [`SetupError::Metadata`].
    pub fn metadata(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, SetupError> {
        let (key, value) = (key.into(), value.into());
        metadata::check(&key, &value)?;
        self.details.metadata.get_or_insert_default().insert(key, value);
        self.fits()
    }

    /// Tells Stripe this of every payment.
    ///
    /// # Errors
    /// [`SetupError::Options`].
    pub fn options(self, options: Options) -> Result<Self, SetupError> {
        Self { options: Source::Fixed(Arc::new(options)), ..self }.fits()
    }

    /// Decides for each payment what Stripe is told of it. What is decided is written down with the payment, so that nothing
    /// is decided again after a crash.
    ///
    /// A [`Rejection`] refuses the payment before anything is taken; options that Stripe would refuse are our own fault, and
    /// answered with 500.
    pub fn options_each(
        self,
        decide: impl Fn(&Claim<StripeCharge>) -> Result<Options, Rejection> + Send + Sync + 'static,
    ) -> Self {
        Self { options: Source::Each(Arc::new(decide)), ..self }
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn fits(self) -> Result<Self, SetupError> {
        let (none, public) = (BTreeMap::new(), self.details.metadata.as_ref());
        match self.options.fixed() {
            Some(options) => options.check(public.unwrap_or(&none))?,
            None => metadata::check_together(public.unwrap_or(&none), &none)?,
        }
        Ok(self)
    }
}
