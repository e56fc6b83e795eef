//! A route for subscribers.

use std::{fmt, sync::Arc};

use http::request::Parts;
use mpp_core::{
    intent::{PeriodUnit, Plan, Subscription},
    renewer::Renewer,
};

use super::{Paywall, Selling};
use crate::{error::ConfigError, gate::Gate, subscription::Members};

type KnownBy = Box<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl Gate {
    /// Serves whoever has paid for the period, and asks everybody else to subscribe: `"9.99 usd per month"`, or a [`Plan`].
    ///
    /// Who asks is the application's word ([`Subscribing::known_by`]): the protocol has no name for a subscriber. A subscriber
    /// is served without a credential, with the receipt of the period that was paid. The first request of a later period
    /// charges for that period before it is served; a period in which nobody asks is not charged for by this gate. (A rail that
    /// collects by itself does, and its charges are recorded as they are heard of.) A charge that is declined ends the
    /// subscription: 402, `renewal-declined`, and offers to subscribe anew.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use mpp_core::renewer::Renewer;
    /// # use mpp_server::{ConfigError, Gate};
    /// # #[cfg(feature = "axum")]
    /// # fn app<R: Renewer>(gate: Gate, method: &Arc<R>) -> Result<axum::Router, ConfigError> {
    /// use axum::{Router, routing::get};
    ///
    /// /// Put there by the application's own authentication, outside the paywall.
    /// #[derive(Clone)]
    /// struct Account(String);
    ///
    /// let pro = gate
    ///     .subscribe("9.99 usd per month")?
    ///     .via(method)
    ///     .product("pro")
    ///     .known_by(|head| head.extensions.get::<Account>().map(|account| account.0.clone()))
    ///     .layer()?;
    /// let app = Router::new().route("/reports", get(async || "figures").layer(pro));
    /// // Their accounts' page: `gate.subscriptions().cancel("pro", &account.0)`.
    /// # Ok(app)
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is no plan.
    pub fn subscribe<P: IntoPlan>(&self, plan: P) -> Result<Subscribing, ConfigError> {
        let plan = plan.into_plan()?;
        let product = product_of(&plan);
        let selling = self.sell(plan);
        Ok(Subscribing { gate: self.clone(), selling, product, known_by: None })
    }
}

/// A plan, the methods it can be paid by, and whose it is. Made by [`Gate::subscribe`], ends in a [`Paywall`].
#[must_use]
pub struct Subscribing {
    gate: Gate,
    selling: Selling<Subscription>,
    product: String,
    known_by: Option<KnownBy>,
}

impl Subscribing {
    /// Takes subscriptions by this method too; first named is first offered.
    pub fn via<R: Renewer>(self, renewer: &Arc<R>) -> Self {
        self.gate.renews(renewer);
        Self { selling: self.selling.via(renewer), ..self }
    }

    /// Names what is subscribed to. Routes of one name share its subscriptions: who subscribed on one is served on all.
    ///
    /// Unless named it is the plan's external id, or else the plan itself (price, period and description): two routes at
    /// the same plan then share their subscriptions, and a change of price makes another product, whose subscribers are
    /// asked anew. With a name, who agreed to the price of before is served to the end of what was paid; then that
    /// agreement is over, since a charge is made only at terms that were agreed and are still asked.
    pub fn product(self, name: impl Into<String>) -> Self {
        Self { product: name.into(), ..self }
    }

    /// Says who asks, by what the application itself has proven: see [`Members::of`]. Required.
    pub fn known_by(self, who: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { known_by: Some(Box::new(who)), ..self }
    }

    /// Looks for credentials in `Payment-Authorization`: `Authorization` belongs to the application.
    pub fn in_payment_authorization(self) -> Self {
        Self { selling: self.selling.in_payment_authorization(), ..self }
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`ConfigError::NoSubscriber`] without [`Subscribing::known_by`]; a plan that a method of its unit cannot say exactly;
    /// [`ConfigError::NothingToOffer`] where it is no method's unit.
    pub fn layer(self) -> Result<Paywall, ConfigError> {
        let known_by = self.known_by.ok_or(ConfigError::NoSubscriber)?;
        self.selling.subscribed(Members::of(self.product, known_by)).layer()
    }
}

impl fmt::Debug for Subscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribing").field("product", &self.product).finish_non_exhaustive()
    }
}

/// A plan, or a text that reads as one.
pub trait IntoPlan {
    /// Reads it.
    ///
    /// # Errors
    /// What is no plan.
    fn into_plan(self) -> Result<Plan, ConfigError>;
}

impl IntoPlan for Plan {
    fn into_plan(self) -> Result<Plan, ConfigError> {
        Ok(self)
    }
}

impl IntoPlan for &str {
    fn into_plan(self) -> Result<Plan, ConfigError> {
        Ok(self.parse()?)
    }
}

/// What a plan is called that no product was named for: its own external id, else itself.
fn product_of(plan: &Plan) -> String {
    let price = &plan.per_period;
    if let Some(id) = &price.external_id {
        return id.clone();
    }
    let unit = match plan.cadence.unit {
        PeriodUnit::Day => "day",
        PeriodUnit::Week => "week",
        _ => "month",
    };
    let (amount, count) = (price.amount(), plan.cadence.count);
    let description = price.description.as_deref().unwrap_or_default();
    format!("{amount} {} per {count} {unit} {description}", price.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_its_own_product_until_one_is_named() {
        let plan = |text: &str| text.parse::<Plan>().unwrap();
        assert_ne!(product_of(&plan("1 usd per month")), product_of(&plan("1 usd per 2 months")));
        assert_eq!(product_of(&plan("1 usd per month")), product_of(&plan("1 usd per 1 month")));
        let mut named = plan("1 usd per month");
        named.per_period = named.per_period.external_id("pro");
        assert_eq!(product_of(&named), "pro");
    }
}
