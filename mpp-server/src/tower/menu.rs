//! What a route asks: one price for all, or a price per request.

use std::{any::TypeId, borrow::Cow, fmt, future::Future, sync::Arc};

use http::request::Parts;
use mpp_core::{
    Charge, Intent, Price,
    amount::Decimal,
    intent::{Metered, Once, Rate, Session},
    name::CredentialHeader,
    problem::{Reason, Rejection},
    store::BoxFuture,
};

use super::Paywall;
use crate::{
    error::ConfigError,
    gate::{Gate, invite::quiet},
    offer::{
        NotOffered, Offer, Sell,
        offers::{self, LeftOut},
    },
    route::{Order, Route},
    subscription::Members,
};

type Maker<I> = Arc<dyn Fn(&<I as Intent>::Ask) -> Result<Offer, LeftOut> + Send + Sync>;
type Pricer<I> =
    Arc<dyn Fn(&Parts) -> BoxFuture<'static, Result<<I as Intent>::Ask, Rejection>> + Send + Sync>;
type Router = Arc<dyn Fn(&Parts) -> BoxFuture<'static, Result<Route, Rejection>> + Send + Sync>;

/// A route, once for all or made for each request.
#[derive(Clone)]
pub(crate) enum Menu {
    Fixed(Route),
    Each { route: Router, manner: RouteManner },
}

impl Menu {
    pub(crate) fn header(&self) -> Option<&CredentialHeader> {
        match self {
            Self::Fixed(route) => route.header.as_ref(),
            Self::Each { manner, .. } => manner.header.as_ref(),
        }
    }
}

impl Menu {
    /// The route of one request.
    pub(crate) async fn route(&self, head: &Parts) -> Result<Cow<'_, Route>, Rejection> {
        match self {
            Self::Fixed(route) => Ok(Cow::Borrowed(route)),
            Self::Each { route, .. } => route(head).await.map(Cow::Owned),
        }
    }

    /// Who asks, on a route that serves subscribers.
    pub(crate) fn subscriber(&self, head: &Parts) -> Option<String> {
        let members = match self {
            Self::Fixed(route) => route.members.as_ref(),
            Self::Each { manner, .. } => manner.members.as_ref(),
        };
        members?.subscriber(head)
    }

    /// Whether it may have offers that draw on accounts.
    pub(crate) fn is_metered(&self) -> bool {
        match self {
            Self::Fixed(route) => route.is_metered(),
            Self::Each { manner, .. } => manner.metered,
        }
    }
}

impl fmt::Debug for Menu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(route) => f.debug_tuple("Fixed").field(route).finish(),
            Self::Each { .. } => f.write_str("Each(..)"),
        }
    }
}

/// What is true of a route whatever it asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteManner {
    header: Option<CredentialHeader>,
    pub(crate) order: Order,
    reusable: bool,
    /// Its intent draws on accounts.
    metered: bool,
    /// The handler charges what it serves.
    by_handler: bool,
    bootstrap: Option<Offer>,
    members: Option<Members>,
}

impl RouteManner {
    fn route(&self, offers: Vec<Offer>) -> Route {
        let Self { header, order, reusable, by_handler, bootstrap, members, .. } = self.clone();
        let units = u64::from(!by_handler);
        Route { header, order, reusable, units, bootstrap, members, ..Route::of(offers) }
    }
}

/// A route's ask, and the methods it can be paid by so far. Ends in a [`Paywall`].
#[must_use]
pub struct Selling<I: Intent> {
    gate: Gate,
    ask: Ask<I>,
    makers: Vec<Maker<I>>,
    manner: RouteManner,
}

enum Ask<I: Intent> {
    Fixed(I::Ask),
    Each(Pricer<I>),
}

impl Gate {
    /// Charges one price for a route: `"0.10 usd"`, or a [`Price`] with a description and a name of its own.
    ///
    /// # Errors
    /// What is no price.
    pub fn charge<P>(&self, price: P) -> Result<Selling<Charge>, ConfigError>
    where
        P: IntoPrice,
    {
        Ok(self.sell(price.into_price()?))
    }

    /// Charges a price that depends on the request's head. The closure runs when a challenge is made and again when it is
    /// answered: a challenge answered at another price is refused, so let a price hold as long as a challenge lives. What was
    /// paid and not delivered is served for any request to the same address that costs no more, by a method too that can no
    /// longer take the price.
    pub fn charge_each<F, Fut>(&self, price: F) -> Selling<Charge>
    where
        F: Fn(&Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Price, Rejection>> + Send + 'static,
    {
        let pricer: Pricer<Charge> = Arc::new(move |head| Box::pin(price(head)));
        Selling {
            gate: self.clone(),
            ask: Ask::Each(pricer),
            makers: Vec::new(),
            manner: RouteManner::default(),
        }
    }

    /// Puts a route behind the gate whose offers were put together by hand: several intents, several prices.
    ///
    /// # Errors
    /// [`ConfigError::NothingToOffer`], where it has none; as for [`Route::reusable`].
    pub fn paywall(&self, route: impl Into<Route>) -> Result<Paywall, ConfigError> {
        let route = route.into();
        if route.offers.iter().all(Offer::is_left_out) {
            return Err(ConfigError::NothingToOffer(Vec::new()));
        }
        route.refuse_priced_reuse()?;
        self.refuse_unrenewed(&route)?;
        self.recovers(&route);
        self.start_recovery();
        Ok(Paywall::new(self.clone(), Menu::Fixed(route)))
    }

    /// Asks for a payment of any intent.
    pub fn sell<I: Intent>(&self, ask: I::Ask) -> Selling<I> {
        let metered = TypeId::of::<I::Reuse>() == TypeId::of::<Metered>();
        Selling {
            gate: self.clone(),
            ask: Ask::Fixed(ask),
            makers: Vec::new(),
            manner: RouteManner { metered, ..RouteManner::default() },
        }
    }

    /// Charges by the unit, from an account that the payer opens once and draws on again and again: `"0.001 usd"` a request,
    /// `"0.0001 usd per token"`, or a [`Rate`] with a suggested deposit.
    ///
    /// One unit is charged for each request before its handler runs; see [`Selling::metered`] for handlers that charge what
    /// they serve.
    ///
    /// # Errors
    /// What is no rate.
    pub fn session<R: IntoRate>(&self, rate: R) -> Result<Selling<Session>, ConfigError> {
        Ok(self.sell(rate.into_rate()?))
    }
}

impl<I: Intent<Reuse = Once>> Selling<I> {
    /// Runs the handler first, holds its response, and takes the money only where that is a success:
    /// [`Order::ServeFirst`].
    pub fn charge_on_success(self) -> Self {
        Self { manner: RouteManner { order: Order::ServeFirst, ..self.manner }, ..self }
    }
}

impl Selling<Session> {
    /// Charges nothing before the handler runs: it takes the account as [`Session`](crate::Session), and charges what it serves.
    pub fn metered(self) -> Self {
        Self { manner: RouteManner { by_handler: true, ..self.manner }, ..self }
    }

    /// Lets a payer that forgot its account prove who it is, on `HEAD` and for nothing, and tells it of the account it has here.
    ///
    /// # Errors
    /// The method proves no accounts in this unit.
    pub fn bootstrap<S: Sell<Charge>>(self, proving: &Arc<S>) -> Result<Self, ConfigError> {
        let unit = match &self.ask {
            Ask::Fixed(rate) => rate.per_unit.unit().to_owned(),
            Ask::Each(_) => return Err(ConfigError::NothingToOffer(Vec::new())),
        };
        let proof = proving.offer(&Price::new(Decimal::default(), unit))?;
        if !proof.is_free() {
            return Err(ConfigError::NotFree);
        }
        proving.tended_by(&self.gate);
        let manner = RouteManner { bootstrap: Some(proof), ..self.manner };
        Ok(Self { manner, ..self })
    }
}

impl<I: Intent> Selling<I> {
    /// Takes payment by this method too; first named is first offered. A method that cannot take the price makes no offer as
    /// long as another can.
    pub fn via<S: Sell<I>>(mut self, seller: &Arc<S>) -> Self {
        seller.tended_by(&self.gate);
        let seller = seller.clone();
        self.makers.push(Arc::new(move |ask| offers::made_by(&seller, ask)));
        self
    }

    /// Takes payment by this method too, at a price of its own whatever the others ask: a rail that costs more, or has a
    /// minimum. Its description and its name for the payment are its own as well.
    pub fn via_at<S: Sell<I>>(mut self, seller: &Arc<S>, ask: I::Ask) -> Self {
        seller.tended_by(&self.gate);
        let seller = seller.clone();
        self.makers.push(Arc::new(move |_| offers::made_by(&seller, &ask)));
        self
    }

    /// Looks for credentials in `Payment-Authorization`: `Authorization` belongs to the application.
    pub fn in_payment_authorization(self) -> Self {
        let header = Some(CredentialHeader::PAYMENT_AUTHORIZATION);
        Self { manner: RouteManner { header, ..self.manner }, ..self }
    }

    /// Serves subscribers, and says how the application knows them.
    pub(super) fn subscribed(self, members: Members) -> Self {
        Self { manner: RouteManner { members: Some(members), ..self.manner }, ..self }
    }

    /// Lets a proof be shown again: for [`Gate::identify`], which asks for nothing. Whether the methods agree is seen when the
    /// layer is made.
    pub(super) fn reusable(self) -> Self {
        Self { manner: RouteManner { reusable: true, ..self.manner }, ..self }
    }

    /// Makes the layer. Which methods make no offer there, and why, is told to the log.
    ///
    /// # Errors
    /// No method can take the price: [`ConfigError::Price`] of the one there is, [`ConfigError::NothingToOffer`] of several.
    pub fn layer(self) -> Result<Paywall, ConfigError> {
        let Self { gate, ask, makers, manner } = self;
        let pricer = match ask {
            Ask::Fixed(ask) => {
                let (offers, left_out) = offered_at::<I>(&makers, &ask);
                if offers.iter().all(Offer::is_left_out) {
                    return Err(offers::nothing(left_out));
                }
                offers::tell(&left_out);
                return gate.paywall(manner.route(offers));
            }
            Ask::Each(pricer) => pricer,
        };
        gate.start_recovery();
        let (makers, each): (Arc<[Maker<I>]>, _) = (makers.into(), manner.clone());
        let route: Router = Arc::new(move |head| {
            let (ask, makers, manner) = (pricer(head), makers.clone(), each.clone());
            Box::pin(async move {
                let (offers, left_out) = offered_at::<I>(&makers, &ask.await.map_err(quiet)?);
                if offers.iter().all(Offer::is_left_out) {
                    // A price that cannot be said leaves nothing to pay with; what was paid before may cover it.
                    let nothing = none(offers::nothing(left_out));
                    if offers.is_empty() {
                        return Err(nothing);
                    }
                }
                Ok(manner.route(offers).per_request())
            })
        });
        Ok(Paywall::new(gate, Menu::Each { route, manner }))
    }
}

/// The offers of every method at an ask, and why those that make none do not.
fn offered_at<I: Intent>(makers: &[Maker<I>], ask: &I::Ask) -> (Vec<Offer>, Vec<NotOffered>) {
    let (mut offers, mut left_out) = (Vec::with_capacity(makers.len()), Vec::new());
    for offer in makers.iter().map(|make| make(ask)) {
        match offer {
            Ok(offer) => offers.push(offer),
            Err(LeftOut { not, paid }) => {
                left_out.push(not);
                offers.extend(paid);
            }
        }
    }
    (offers, left_out)
}

/// No method can take the price of this one request: the seller's fault, and the seller's log says why.
fn none(why: ConfigError) -> Rejection {
    tracing::error!(cause = %why, "the price of a request leaves nothing to pay it with");
    Rejection::internal(why).reason(Reason::NOTHING_TO_OFFER)
}

impl<I: Intent> fmt::Debug for Selling<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selling").field("methods", &self.makers.len()).finish_non_exhaustive()
    }
}

/// A price, or a text that reads as one.
pub trait IntoPrice {
    /// Reads it.
    ///
    /// # Errors
    /// What is no price.
    fn into_price(self) -> Result<Price, ConfigError>;
}

impl IntoPrice for Price {
    fn into_price(self) -> Result<Price, ConfigError> {
        Ok(self)
    }
}

impl IntoPrice for &str {
    fn into_price(self) -> Result<Price, ConfigError> {
        Ok(self.parse()?)
    }
}

/// A rate, or a text that reads as one.
pub trait IntoRate {
    /// Reads it.
    ///
    /// # Errors
    /// What is no rate.
    fn into_rate(self) -> Result<Rate, ConfigError>;
}

impl IntoRate for Rate {
    fn into_rate(self) -> Result<Rate, ConfigError> {
        Ok(self)
    }
}

impl IntoRate for &str {
    fn into_rate(self) -> Result<Rate, ConfigError> {
        Ok(self.parse()?)
    }
}
