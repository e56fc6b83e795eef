//! Who may be paid how much: the question a wallet asks before anything is signed.

use std::{borrow::Cow, fmt, sync::Arc};

use mpp_core::{Amount, payer::Quote, store::BoxFuture};

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
}

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn reserve<'a>(&'a self, quote: &'a Quote) -> BoxFuture<'a, Result<Reservation, Denied>> {
        (**self).reserve(quote)
    }
}

/// Part of a budget, set aside for one payment.
///
/// What it holds comes back only by [`trim`](Self::trim) and [`release`](Self::release), where the wallet itself knows
/// that nothing was put at stake. Dropped, it stays spent: from the moment a credential leaves, whatever the server
/// answers, since a signed payment that it says it refused can still be taken.
pub struct Reservation {
    amount: Amount,
    back: Box<dyn FnMut(Amount) + Send + Sync>,
}

impl Reservation {
    /// Sets `amount` aside; `back` hears what of it comes back, in base units, possibly in several parts.
    pub fn new(amount: Amount, back: impl FnMut(Amount) + Send + Sync + 'static) -> Self {
        Self { amount, back: Box::new(back) }
    }

    /// What is set aside, in base units of the quoted currency.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Gives back what exceeds `to`: a first request reserves a deposit, the ones that waited for it need none.
    pub fn trim(&mut self, to: Amount) {
        let surplus = self.amount.saturating_sub(to);
        if !surplus.is_zero() {
            self.amount = to;
            (self.back)(surplus);
        }
    }

    /// Gives everything back: nothing was signed, or nothing that was signed left the process.
    pub fn release(mut self) {
        self.trim(Amount::ZERO);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("amount", &self.amount).finish_non_exhaustive()
    }
}

/// Why a payment was not allowed. Nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The payment alone is over the limit of the wallet.
    #[error("{asked} is over the limit of {limit} per payment")]
    OverPayment {
        /// What was asked, with its unit.
        asked: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The payment is over what the caller allowed for this one request.
    #[error("{asked} is over the {limit} allowed for this request")]
    OverRequest {
        /// What was asked, with its unit.
        asked: String,
        /// What was allowed, with its unit.
        limit: String,
    },
    /// With what was already paid there, the host would get more than its share.
    #[error("{asked} more would put {host} over the limit of {limit}")]
    OverHost {
        /// The origin that asks.
        host: String,
        /// What was asked, with its unit.
        asked: String,
        /// The limit of the window, with its unit.
        limit: String,
    },
    /// With everything else that was paid, the whole budget of the window would be exceeded.
    #[error("{asked} more would exceed the budget of {limit}")]
    OverBudget {
        /// What was asked, with its unit.
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
    /// The wallet's hook picked none of the ways to pay.
    #[error("the wallet's owner declined")]
    Vetoed,
    /// A reason of another policy.
    #[error("{0}")]
    Other(Cow<'static, str>),
}
