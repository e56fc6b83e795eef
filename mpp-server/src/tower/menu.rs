//! What a route asks: one price for all, or a price per request.

use std::{fmt, future::Future, sync::Arc};

use http::request::Parts;
use mpp_core::{
    Charge, Intent, Price,
    problem::{Reason, Rejection},
    store::BoxFuture,
};

use super::Paywall;
use crate::{
    error::ConfigError,
    gate::{Gate, judge::quiet},
    offer::{Offer, Sell},
};

type Maker<I> = Arc<dyn Fn(&<I as Intent>::Ask) -> Option<Offer> + Send + Sync>;
type Pricer<I> =
    Arc<dyn Fn(&Parts) -> BoxFuture<'static, Result<<I as Intent>::Ask, Rejection>> + Send + Sync>;
type Lister =
    Arc<dyn Fn(&Parts) -> BoxFuture<'static, Result<Vec<Offer>, Rejection>> + Send + Sync>;

/// The offers of a route, once for all or made for each request.
#[derive(Clone)]
pub(crate) enum Menu {
    Fixed(Arc<[Offer]>),
    Each(Lister),
}

impl fmt::Debug for Menu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(offers) => f.debug_tuple("Fixed").field(offers).finish(),
            Self::Each(_) => f.write_str("Each(..)"),
        }
    }
}

/// A route's ask, and the methods it can be paid by so far. Ends in a [`Paywall`].
#[must_use]
pub struct Selling<I: Intent> {
    gate: Gate,
    ask: Ask<I>,
    makers: Vec<Maker<I>>,
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
    /// answered: a challenge answered at another price is refused, so let a price hold as long as a challenge lives.
    pub fn charge_each<F, Fut>(&self, price: F) -> Selling<Charge>
    where
        F: Fn(&Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Price, Rejection>> + Send + 'static,
    {
        let pricer: Pricer<Charge> = Arc::new(move |head| Box::pin(price(head)));
        Selling { gate: self.clone(), ask: Ask::Each(pricer), makers: Vec::new() }
    }

    /// Asks for a payment of any intent.
    pub fn sell<I: Intent>(&self, ask: I::Ask) -> Selling<I> {
        Selling { gate: self.clone(), ask: Ask::Fixed(ask), makers: Vec::new() }
    }
}

impl<I: Intent> Selling<I> {
    /// Takes payment by this method too; first named is first offered.
    pub fn via<S: Sell<I>>(mut self, seller: &Arc<S>) -> Self {
        let seller = seller.clone();
        self.makers.push(Arc::new(move |ask| seller.offer(ask)));
        self
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`ConfigError::NothingToOffer`], where no method can say the one price exactly.
    pub fn layer(self) -> Result<Paywall, ConfigError> {
        let Self { gate, ask, makers } = self;
        let menu = match ask {
            Ask::Fixed(ask) => {
                let offers: Arc<[Offer]> = makers.iter().filter_map(|make| make(&ask)).collect();
                if offers.is_empty() {
                    return Err(ConfigError::NothingToOffer);
                }
                Menu::Fixed(offers)
            }
            Ask::Each(pricer) => {
                let makers: Arc<[Maker<I>]> = makers.into();
                Menu::Each(Arc::new(move |head| {
                    let (ask, makers) = (pricer(head), makers.clone());
                    Box::pin(async move {
                        // A price that cannot be said leaves nothing to pay with.
                        let ask = ask.await.map_err(quiet)?;
                        let offers: Vec<_> = makers.iter().filter_map(|make| make(&ask)).collect();
                        if offers.is_empty() {
                            let none = Rejection::internal(
                                "no method of this route can take its price exactly",
                            );
                            return Err(none.reason(Reason::NOTHING_TO_OFFER));
                        }
                        Ok(offers)
                    })
                }))
            }
        };
        Ok(Paywall::new(gate, menu))
    }
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
