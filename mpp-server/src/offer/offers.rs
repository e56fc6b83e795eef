//! The offers at one ask: those that can be made, and why the others cannot.

use std::{fmt, sync::Arc};

use mpp_core::{Intent, intent::PriceError, name::MethodId};

use super::{Offer, Sell};
use crate::error::ConfigError;

/// The offers of one intent at one ask, in the server's order of preference.
///
/// A method that cannot take the ask makes no offer: it is in another unit, less than the rail takes, or not to be said exactly
/// in its base units. The others are offered all the same.
/// ```
/// # use std::sync::Arc;
/// # use mpp_core::{Charge, Price};
/// # use mpp_server::{ConfigError, Offers, Route, offer::Sell};
/// # fn route<A: Sell<Charge>, B: Sell<Charge>>(tempo: &Arc<A>, stripe: &Arc<B>) -> Result<Route, ConfigError> {
/// let price: Price = "0.10 usd".parse()?;
/// let by_card = "0.50 usd".parse()?;
/// let offers = Offers::<Charge>::of(price).via(tempo).via_at(stripe, &by_card);
/// # Ok(Route::of(offers.into_vec()?))
/// # }
/// ```
pub struct Offers<I: Intent> {
    ask: I::Ask,
    list: Vec<Offer>,
    left_out: Vec<NotOffered>,
}

/// A method that makes no offer, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NotOffered {
    /// The method and intent.
    pub id: MethodId,
    /// Why it cannot take the ask.
    pub why: PriceError,
}

impl<I: Intent> Offers<I> {
    /// Asks for something.
    pub fn of(ask: I::Ask) -> Self {
        Self { ask, list: Vec::new(), left_out: Vec::new() }
    }

    /// Takes it by this method too, where the method can.
    pub fn via<S: Sell<I>>(self, seller: &Arc<S>) -> Self {
        let made = made_by(seller, &self.ask);
        self.with(made)
    }

    /// Takes it by this method too, which asks for something else: less, or more where its rail costs more.
    pub fn via_at<S: Sell<I>>(self, seller: &Arc<S>, ask: &I::Ask) -> Self {
        self.with(made_by(seller, ask))
    }

    fn with(mut self, made: Result<Offer, LeftOut>) -> Self {
        match made {
            Ok(offer) => self.list.push(offer),
            Err(LeftOut { not, paid }) => {
                self.left_out.push(not);
                self.list.extend(paid);
            }
        }
        self
    }

    /// The methods that make no offer.
    pub fn left_out(&self) -> &[NotOffered] {
        &self.left_out
    }

    /// The offers that can be made. Those that cannot are told to the log; of them too stands one in the list where its method
    /// can say what would cover the ask: it is made to nobody ([`Offer::is_left_out`]), and what was paid by it before, at a
    /// price that it could take, is served for it.
    ///
    /// # Errors
    /// None can: [`ConfigError::Price`] of the one method there is, [`ConfigError::NothingToOffer`] of several.
    pub fn into_vec(self) -> Result<Vec<Offer>, ConfigError> {
        let Self { list, left_out, .. } = self;
        if list.iter().all(Offer::is_left_out) {
            return Err(nothing(left_out));
        }
        tell(&left_out);
        Ok(list)
    }
}

impl<I: Intent> fmt::Debug for Offers<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offers")
            .field("ask", &self.ask)
            .field("list", &self.list)
            .field("left_out", &self.left_out)
            .finish()
    }
}

/// As [`into_vec`](Offers::into_vec), where none can be made too: beside offers of other intents or asks, none may be needed.
impl<I: Intent> IntoIterator for Offers<I> {
    type Item = Offer;
    type IntoIter = std::vec::IntoIter<Offer>;
    fn into_iter(self) -> Self::IntoIter {
        tell(&self.left_out);
        self.list.into_iter()
    }
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.why)
    }
}

/// A method that makes no offer, and what stands for money it took before.
pub(crate) struct LeftOut {
    pub(crate) not: NotOffered,
    pub(crate) paid: Option<Offer>,
}

/// The offer of one method at an ask, or why it makes none.
pub(crate) fn made_by<I: Intent, S: Sell<I>>(
    seller: &Arc<S>,
    ask: &I::Ask,
) -> Result<Offer, LeftOut> {
    let left_out =
        |why| LeftOut { not: NotOffered { id: S::id(), why }, paid: seller.left_out(ask) };
    seller.offer(ask).map_err(left_out)
}

/// What is left to say of a route where no method makes an offer. Of one method it is its own error.
pub(crate) fn nothing(left_out: Vec<NotOffered>) -> ConfigError {
    match left_out.as_slice() {
        [NotOffered { why, .. }] if *why != PriceError::Unit => ConfigError::Price(why.clone()),
        _ => ConfigError::NothingToOffer(left_out),
    }
}

/// Tells the log of a route that some of its methods make no offer there.
pub(crate) fn tell(left_out: &[NotOffered]) {
    for NotOffered { id, why } in left_out {
        match why {
            // One list of methods for routes of several units is common, and each of them fits some.
            PriceError::Unit => tracing::info!(method = %id, "not offered: {why}"),
            _ => tracing::warn!(method = %id, "not offered: {why}"),
        }
    }
}
