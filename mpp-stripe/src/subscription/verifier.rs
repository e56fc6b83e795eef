//! The server half: subscribes a payer by one Stripe subscription, and finds or collects the invoice of each later period.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use mpp_core::{
    agreement::{Agreement, Period},
    binding::Claim,
    fate::Fate,
    intent::{Plan, PriceError, SubscriptionTerms},
    method::Nested,
    problem::Rejection,
    renewer::Renewer,
    time::{Clock, Timestamp},
    verifier::{Asking, Minted, Spend},
};

use super::{
    StripeSubscription,
    billing::{Billing, contract},
};
use crate::{Api, Currency, Details, clock::SystemClock};

mod begin;
mod check;
pub(crate) mod collect;
mod end;
pub(crate) mod order;
mod owner;
mod setup;
mod stop;

use self::order::{Order, Renew};
pub use self::{order::Evidence, setup::SetupError};

/// Sells by subscriptions of Stripe Billing: one price, one item, charged by Stripe's own invoices.
///
/// What it does not know it does not serve: a lost answer is an unknown outcome, and what Stripe charged otherwise than was agreed is
/// called off and given back.
///
/// ```
/// use mpp_stripe::{Api, Currency, SecretKey, subscription::Verifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key: SecretKey = "sk_test_yours".parse()?;
/// let shop = Verifier::new(Api::new(&key)?, "profile_1MqDcVKA5fEO2tZvKQm9g8Yj", Currency::USD)?;
/// # let _ = shop;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(crate) billing: Billing,
    network: String,
    currency: Currency,
    types: Vec<String>,
    metadata: Option<BTreeMap<String, String>>,
    product: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Sells in a currency, in the name of a Business Network Profile, to cards.
    ///
    /// # Errors
    /// [`SetupError::Network`].
    pub fn new(
        api: Api,
        network_id: impl Into<String>,
        currency: Currency,
    ) -> Result<Self, SetupError> {
        let network = setup::network(network_id.into())?;
        Ok(Self {
            billing: Billing { api, account: None },
            network,
            currency,
            types: vec!["card".to_owned()],
            metadata: None,
            product: None,
            clock: Arc::new(SystemClock),
        })
    }

    /// Takes these types of payment method, best first; `card` unless said otherwise.
    ///
    /// # Errors
    /// [`SetupError::Type`] for what does not pay at once, now and later without its owner.
    pub fn payment_method_types<'a>(
        self,
        types: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SetupError> {
        Ok(Self { types: setup::types(types)?, ..self })
    }

    /// Notes that Stripe keeps with the subscription, and that payers see. They decide nothing.
    ///
    /// # Errors
    /// [`SetupError::Metadata`] beyond Stripe's limits, and for names that begin with `mpp_`.
    pub fn metadata(
        self,
        notes: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Self, SetupError> {
        Ok(Self { metadata: Some(setup::metadata(notes)?), ..self })
    }

    /// Sells this product of the account's; unless said otherwise one is made for each price, by its description.
    ///
    /// # Errors
    /// [`SetupError::Product`].
    pub fn product(self, id: &str) -> Result<Self, SetupError> {
        Ok(Self { product: Some(setup::product(id)?), ..self })
    }

    /// Sells for a connected account, which the key may act for.
    ///
    /// # Errors
    /// [`SetupError::Account`].
    pub fn account(self, id: &str) -> Result<Self, SetupError> {
        let billing = Billing { account: Some(setup::account(id)?), ..self.billing };
        Ok(Self { billing, ..self })
    }

    /// Reads the time from another clock than the system's. Only the age of an order is told by it.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn details_now(&self) -> Details {
        Details {
            network_id: self.network.clone(),
            payment_method_types: self.types.clone(),
            metadata: self.metadata.clone(),
        }
    }
}

impl mpp_core::verifier::Verifier for Verifier {
    type Method = StripeSubscription;
    type Evidence = Evidence;

    /// The seller's profile, and the connected account where there is one. In test mode also `test-` and eight digits of the
    /// key's hash: what was agreed under a test key is renewed by that key alone, and what is open when it is rotated is one for
    /// `Subscriptions::write_off`.
    fn settles_at(&self) -> Cow<'_, str> {
        let account = self.billing.account.as_deref();
        let mode = self.billing.api.test_place();
        let parts = [Some(self.network.as_str()), account, mode.as_deref()];
        Cow::Owned(Vec::from_iter(parts.into_iter().flatten()).join("/"))
    }

    /// Stripe charges without end, so a plan that ends by itself is [`PriceError::Unpayable`], as is one whose periods are longer than
    /// three years (1095 days, 156 weeks, 36 months).
    fn terms(&self, plan: &Plan) -> Result<SubscriptionTerms, PriceError> {
        let price = &plan.per_period;
        let amount = price.in_unit(self.currency.as_str(), self.currency.decimals())?;
        self.currency.charges(amount)?;
        if plan.expires.is_some() || contract::interval(&plan.cadence).is_none() {
            return Err(PriceError::Unpayable);
        }
        Ok(SubscriptionTerms::of(plan, amount, self.currency.as_str()))
    }

    async fn details(
        &self,
        _terms: &SubscriptionTerms,
        _asking: Asking<'_>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        Ok(Minted::lasting(Nested { method_details: self.details_now() }))
    }

    /// Asks Stripe whether the payment method exists, is of a type that is taken, and is the payer's to show. Three reads at most.
    async fn check(&self, claim: &Claim<StripeSubscription>) -> Result<Evidence, Rejection> {
        self.checked(claim).await
    }

    /// Nothing: a payment method pays each period anew, and one payer may subscribe to several things by it. A challenge is
    /// answered once, and Stripe makes one subscription for it.
    fn spends<'e>(&self, _evidence: &'e Evidence) -> Option<Spend<'e>> {
        None
    }

    fn has_moved(&self, _evidence: &Evidence) -> bool {
        false
    }

    /// Subscribes, or collects what a period costs. Every step may be run again: nothing is charged twice.
    async fn settle(&self, evidence: &Evidence) -> Fate {
        match &evidence.0 {
            Order::Begin(order) => self.begin(order).await,
            Order::Renew(order) => self.collect(order).await,
        }
    }

    /// Reads what Stripe has. [`Fate::Absent`] says that [`settle`](mpp_core::verifier::Verifier::settle) is to go on: by the same
    /// idempotency keys while Stripe knows them, and afterwards only to end what it finds.
    async fn reconcile(&self, evidence: &Evidence) -> Fate {
        match &evidence.0 {
            Order::Begin(order) => self.look_for_begun(order).await,
            Order::Renew(order) => self.look_for_collected(order).await,
        }
    }
}

impl Renewer for Verifier {
    fn renewal(&self, agreement: &Agreement, period: &Period) -> Result<Evidence, Rejection> {
        Renew::of(agreement, period).map(|order| Evidence(Order::Renew(order)))
    }

    /// Ends it at Stripe with the period that was paid last. Where Stripe is already in a later one, at once: what is open of it is
    /// voided, and what it has collected by itself goes back.
    async fn cancel(&self, agreement: &Agreement, from: &Timestamp) -> Result<(), Rejection> {
        self.cancelled(agreement, from).await
    }
}
