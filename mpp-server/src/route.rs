//! A route: what it can be paid with, when the money moves, and where its credentials are looked for.

use std::sync::Arc;

use mpp_core::{
    intent::{Intent, Subscription},
    name::CredentialHeader,
};

use crate::{error::ConfigError, offer::Offer, subscription::Members};

/// What a gate must know of a route. Offers of several methods, intents and prices may stand side by side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// The ways to pay, in the server's order of preference; those that [stand for what was paid before](Offer::is_left_out) are
    /// in no challenge.
    pub offers: Arc<[Offer]>,
    /// The header credentials are looked for in, where that is not `Authorization`.
    pub header: Option<CredentialHeader>,
    /// Whether the money moves before the handler runs, or after.
    pub order: Order,
    /// Whether the price depends on more of a request than what challenges are bound to. What was paid and not delivered is
    /// then served for a request that costs no more.
    pub per_request: bool,
    /// Whether a proof may be shown again until its challenge ends, and is on no books.
    pub(crate) reusable: bool,
    /// The units of a metered offer that are charged before the handler runs: one, unless the handler meters itself.
    pub units: u64,
    /// How a payer proves who it is on `HEAD`, to be told of the account it has here.
    pub(crate) bootstrap: Option<Offer>,
    /// What its subscriptions are to, and how the application knows its subscribers.
    pub(crate) members: Option<Members>,
}

/// The order of money on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Check, mark, settle, serve: the handler runs for money that is there.
    #[default]
    SettleFirst,
    /// Check, mark, serve, settle: the handler runs first, its response is held, and the money moves only if it is a
    /// success. What cannot be settled any more by then is not handed out, and the work was for nothing. A payment whose
    /// money had moved before it was shown is booked first all the same.
    ServeFirst,
}

impl Route {
    /// A route with these offers.
    pub fn of(offers: impl IntoIterator<Item = Offer>) -> Self {
        let offers = offers.into_iter().collect();
        let order = Order::SettleFirst;
        Self {
            offers,
            header: None,
            order,
            per_request: false,
            reusable: false,
            units: 1,
            bootstrap: None,
            members: None,
        }
    }

    /// Charges nothing of a metered offer before the handler runs: it charges what it serves, through its
    /// [`Session`](crate::Session).
    pub fn metered(self) -> Self {
        Self { units: 0, ..self }
    }

    /// Tells a payer that proves its account on `HEAD`, by this offer of nothing, of the session account it has here.
    ///
    /// # Errors
    /// [`ConfigError::NotFree`], where the offer asks for more than nothing.
    pub fn bootstrap(self, proof: Offer) -> Result<Self, ConfigError> {
        match proof.is_free() {
            true => Ok(Self { bootstrap: Some(proof), ..self }),
            false => Err(ConfigError::NotFree),
        }
    }

    /// Serves subscribers for as long as their period is paid, and sells subscriptions by its offers of that intent.
    pub fn subscribed(self, members: Members) -> Self {
        Self { members: Some(members), ..self }
    }

    /// Whether any of its offers begins a subscription.
    pub(crate) fn sells_subscriptions(&self) -> bool {
        self.offers.iter().any(|offer| offer.id().intent == Subscription::NAME)
    }

    /// Whether any of its offers draws on accounts.
    pub fn is_metered(&self) -> bool {
        self.offers.iter().any(Offer::is_metered)
    }

    /// Makes to one caller only those of its offers that `may` allows. The others are in none of its challenges, and a credential
    /// of theirs is refused with the offers that are made. What was paid by one of them and not delivered is served all the
    /// same, and so is money that had moved; a session account that is open can be topped up and closed.
    pub fn offering(self, may: impl Fn(&Offer) -> bool) -> Self {
        let offers = self.offers.iter().map(|offer| offer.clone().only_if(may(offer))).collect();
        Self { offers, ..self }
    }

    /// Looks for credentials in `Payment-Authorization`, and says so in its challenges: `Authorization` belongs to the
    /// application.
    pub fn in_payment_authorization(self) -> Self {
        Self { header: Some(CredentialHeader::PAYMENT_AUTHORIZATION), ..self }
    }

    /// Says that its offers were made for one request, by more of it than its challenges are bound to.
    pub fn per_request(self) -> Self {
        Self { per_request: true, ..self }
    }

    /// Lets a proof of account be shown again until its challenge ends: it is checked and settled anew each time, which moves
    /// nothing, and nothing is written. Neither an [`Order`] nor an `Idempotency-Key` means anything there.
    ///
    /// # Errors
    /// [`ConfigError::NotFree`], where one of its offers asks for more than nothing: what moves money is used up.
    pub fn reusable(self) -> Result<Self, ConfigError> {
        let route = Self { reusable: true, ..self };
        route.refuse_priced_reuse()?;
        Ok(route)
    }

    pub(crate) fn refuse_priced_reuse(&self) -> Result<(), ConfigError> {
        let free = self.offers.iter().all(|offer| offer.is_free() || offer.is_left_out());
        if free || !self.reusable { Ok(()) } else { Err(ConfigError::NotFree) }
    }

    /// Takes the money only for a response that is a success: [`Order::ServeFirst`].
    pub fn charge_on_success(self) -> Self {
        Self { order: Order::ServeFirst, ..self }
    }
}

impl From<Vec<Offer>> for Route {
    fn from(offers: Vec<Offer>) -> Self {
        Self::of(offers)
    }
}
