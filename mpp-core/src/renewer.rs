//! The server seam of subscriptions: what a verifier of that intent can do beyond taking the first payment.

use std::future::Future;

use crate::{
    agreement::{Agreement, Period},
    fate::Settlement,
    intent::Subscription,
    method::Method,
    problem::Rejection,
    time::Timestamp,
    verifier::Verifier,
};

/// A verifier of subscriptions. Its [`settle`](Verifier::settle) takes the first payment and says what
/// [began](Settlement::began); every later payment is an order of the same kind, carried out and asked after by the same two
/// functions, and on the engine's books before it is sent.
pub trait Renewer: Verifier<Method: Method<Intent = Subscription>> {
    /// The order that takes the charge of a period, or finds that its rail has taken it by itself. Pure.
    ///
    /// Two runs on it, and a run beside the rail's own collection, must charge once. [`Fate::Failed`](crate::fate::Fate::Failed) means that this period
    /// will not be charged by this agreement any more: what stands open is called off first.
    ///
    /// # Errors
    /// What is kept of the agreement cannot be read.
    fn renewal(&self, agreement: &Agreement, period: &Period) -> Result<Self::Evidence, Rejection>;

    /// Tells the rail that no period which begins at `from` or later is charged. May be said again, and is where the rail charges
    /// all the same. Nobody is served in those periods: what it has collected for them may be given back here.
    ///
    /// # Errors
    /// The rail did not take it: it is to be said again.
    fn cancel(
        &self,
        agreement: &Agreement,
        from: &Timestamp,
    ) -> impl Future<Output = Result<(), Rejection>> + Send;
}

/// What a rail says by itself of a subscription: a webhook, an event of a chain. May come twice, late and in any order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// The rail's name of the event, by which the second of two is known.
    pub event: String,
    /// Where it settles: [`Verifier::settles_at`].
    pub place: String,
    /// Which subscription: [`Began::id`](crate::agreement::Began::id).
    pub subscription: String,
    /// What of it.
    pub said: Said,
}

impl Notice {
    /// Something was said of a subscription.
    pub fn new(
        event: impl Into<String>,
        place: impl Into<String>,
        subscription: impl Into<String>,
        said: Said,
    ) -> Self {
        let (event, place, subscription) = (event.into(), place.into(), subscription.into());
        Self { event, place, subscription, said }
    }
}

/// What a rail can say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Said {
    /// A period was charged; the method has checked that it is this one, and that it was charged as agreed.
    Charged {
        /// The first instant of the period.
        start: Timestamp,
        /// The charge.
        settlement: Settlement,
    },
    /// A charge did not succeed; the rail may try again.
    Declined {
        /// The first instant of the period.
        start: Timestamp,
    },
    /// No period that begins then or later is charged.
    Ended(Timestamp),
}

impl Settlement {
    /// Says what subscription began with it; its receipt names it.
    pub fn beginning(mut self, began: crate::agreement::Began) -> Self {
        self = self.with("subscriptionId", began.id.as_str());
        self.began = Some(Box::new(began));
        self
    }
}
