//! A route: what it can be paid with, and where its credentials are looked for.

use std::sync::Arc;

use mpp_core::name::CredentialHeader;

use crate::offer::Offer;

/// What a gate must know of a route. Offers of several methods, intents and prices may stand side by side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// The ways to pay, in the server's order of preference.
    pub offers: Arc<[Offer]>,
    /// The header credentials are looked for in, where that is not `Authorization`.
    pub header: Option<CredentialHeader>,
}

impl Route {
    /// A route with these offers.
    pub fn of(offers: impl IntoIterator<Item = Offer>) -> Self {
        Self { offers: offers.into_iter().collect(), header: None }
    }

    /// Looks for credentials in `Payment-Authorization`, and says so in its challenges: `Authorization` belongs to the
    /// application.
    pub fn in_payment_authorization(self) -> Self {
        Self { header: Some(CredentialHeader::PAYMENT_AUTHORIZATION), ..self }
    }
}

impl From<Vec<Offer>> for Route {
    fn from(offers: Vec<Offer>) -> Self {
        Self::of(offers)
    }
}
