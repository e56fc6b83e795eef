//! Who may be paid how much: the question a wallet asks before anything is signed.

use std::{borrow::Cow, sync::Arc};

use mpp_core::{
    Amount,
    payer::Quote,
    store::{BoxFuture, StoreError},
};

pub use self::reservation::{Booking, Reservation};

pub(crate) mod reservation;

/// Decides on payments. No wallet exists without one; [`Limits`](crate::Limits) is the one that comes with this crate.
///
/// A policy must count what it has granted from the moment it grants it, not from when the money moved: twenty
/// requests at once otherwise share one budget.
pub trait Policy: Send + Sync {
    /// Sets the quoted exposure aside, or says why not.
    ///
    /// # Errors
    /// The reason, for people and for programs; nothing was signed.
    fn reserve<'a>(&'a self, quote: &'a Quote) -> BoxFuture<'a, Result<Reservation, Denied>>;

    /// Takes back a part of what it set aside: nothing was signed for it, or what was signed can never move. The wallet
    /// gives nothing back twice; a policy that keeps no books has nothing to do.
    ///
    /// # Errors
    /// It could not be written down, and stays spent.
    fn give_back<'a>(
        &'a self,
        booking: &'a Booking,
        part: Amount,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn reserve<'a>(&'a self, quote: &'a Quote) -> BoxFuture<'a, Result<Reservation, Denied>> {
        (**self).reserve(quote)
    }
    fn give_back<'a>(
        &'a self,
        booking: &'a Booking,
        part: Amount,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).give_back(booking, part)
    }
}

/// Why a payment was not allowed. Nothing was signed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The payment alone is over the limit of the wallet.
    #[error("{asked} is over the limit of {limit} per payment")]
    OverPayment {
        /// What was asked, with its unit, and what part of it is for fees.
        asked: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The payment is over what the caller allowed for this one request.
    #[error("{asked} is over the {limit} allowed for this request")]
    OverRequest {
        /// What was asked, with its unit, and what part of it is for fees.
        asked: String,
        /// What was allowed, with its unit.
        limit: String,
    },
    /// With what was already paid there, the host would get more than its share.
    #[error("{asked} more would put {host} over the limit of {limit}")]
    OverHost {
        /// The origin that asks.
        host: String,
        /// What was asked, with its unit, and what part of it is for fees.
        asked: String,
        /// The limit of the window, with its unit.
        limit: String,
    },
    /// With everything else that was paid, the whole budget of the window would be exceeded.
    #[error("{asked} more would exceed the budget of {limit}")]
    OverBudget {
        /// What was asked, with its unit, and what part of it is for fees.
        asked: String,
        /// The limit of the window, with its unit.
        limit: String,
    },
    /// No limit is set in the unit or currency that is asked for, so none of it may be spent.
    #[error("no limit is set for {currency}")]
    UnknownUnit {
        /// The currency as the method has it.
        currency: String,
        /// Its display unit, where the payer knows it.
        unit: Option<String>,
    },
    /// The amount is too large to be counted.
    #[error("the amount is too large to be counted")]
    TooLarge,
    /// More hosts were paid within the window than the limits can keep apart.
    #[error("too many hosts were paid lately to tell them apart")]
    TooManyHosts,
    /// The books cannot be read or written, so it is not known what was spent.
    #[error("the books of what was spent cannot be kept: {0}")]
    Unavailable(#[source] Arc<StoreError>),
    /// The wallet's hook picked none of the ways to pay.
    #[error("the wallet's owner declined")]
    Vetoed,
    /// A reason of another policy.
    #[error("{0}")]
    Other(Cow<'static, str>),
}

/// What is asked, for a person: with what part of it is for fees at most, where one is.
pub(crate) fn asked(amount: Amount, fees: Amount, decimals: u8, unit: &str) -> String {
    let shown = |amount: Amount| amount.to_decimal(decimals);
    match amount.checked_sub(fees) {
        Some(price) if !fees.is_zero() => {
            let (price, fees) = (shown(price), shown(fees));
            format!("{} {unit} ({price} and at most {fees} of fees)", shown(amount))
        }
        _ => format!("{} {unit}", shown(amount)),
    }
}
