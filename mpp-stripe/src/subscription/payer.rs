//! The client half: shows a payment method where a subscription was allowed by hand, and nowhere else.

use std::{borrow::Cow, fmt, num::NonZeroU64};

use mpp_core::{
    Amount,
    agreement::Cadence,
    challenge::Demand,
    intent::{PeriodUnit, Plan, PriceError},
    payer::{Allowance, Became, Exposure, PayError, Payment, Recall},
};

use super::{Customer, Payload, StripeSubscription};
use crate::{Currency, token::PaymentMethod};

/// Subscribes by a payment method that the seller can charge every period, until somebody cancels.
///
/// A wallet has one only where it is added by hand, and it subscribes to nothing before
/// [`up_to`](Self::up_to) says what may recur: so much at most, and no more often. What a wallet's policy is asked about, and what
/// its limits and budgets count, is one period's amount: the first charge. The later ones are taken by the seller without a request,
/// and no client sees them; [`up_to`](Self::up_to) is what bounds them.
///
/// The payment method must be set up for charges without its owner, in the account of the seller.
///
/// ```
/// use mpp_stripe::subscription::Payer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let payer = Payer::new("pm_1Qabc32eZvKYlo2C7b8H1234".parse()?)
///     .of_customer("cus_S7x1Pq5R9n2Lm4".parse()?)
///     .only_to(["profile_1MqDcVKA5fEO2tZvKQm9g8Yj"])
///     .up_to("10 usd per month".parse()?)?;
/// # let _ = payer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Payer {
    method: PaymentMethod,
    kind: String,
    customer: Option<Customer>,
    sellers: Option<Vec<String>>,
    recurring: Vec<Recurring>,
}

/// What may recur.
#[derive(Clone, Copy, Debug)]
struct Recurring {
    amount: Amount,
    currency: Currency,
    cadence: Cadence,
}

/// Why a challenge is left alone. Holds no secret, and no text of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("the challenge asks for no subscription that a card can pay")]
    Unaskable,
    #[error("the seller is not among those that this payer may subscribe to (only_to)")]
    Seller,
    #[error("the seller takes no payment method of this type (of_type)")]
    Type,
    #[error(
        "it charges again every period, and nothing may recur until it is said: allow it with up_to"
    )]
    NothingRecurs,
    #[error(
        "it charges more, more often or in another currency than was allowed to recur: see up_to"
    )]
    Beyond,
}

impl Payer {
    /// Shows this payment method, a card. It subscribes to nothing before [`up_to`](Self::up_to) says what may recur.
    pub fn new(method: PaymentMethod) -> Self {
        let kind = "card".to_owned();
        Self { method, kind, customer: None, sellers: None, recurring: Vec::new() }
    }

    /// Says which type of payment method it is: `link`; `card` unless said otherwise.
    pub fn of_type(self, kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..self }
    }

    /// Names the customer that the payment method belongs to at the seller. One that belongs to somebody is taken with it alone.
    pub fn of_customer(self, customer: Customer) -> Self {
        Self { customer: Some(customer), ..self }
    }

    /// Subscribes only to these sellers, by their Business Network Profiles; to any unless said otherwise.
    pub fn only_to<'a>(self, networks: impl IntoIterator<Item = &'a str>) -> Self {
        Self { sellers: Some(networks.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Lets this much recur, and no more often: `10 usd per month` allows 10 dollars every month, and every two months, and every 31
    /// days. Said again it allows that too; amounts of several subscriptions are not added up here.
    ///
    /// # Errors
    /// [`PriceError::Unit`] for what is no currency of Stripe's, and [`PriceError::Amount`] for an amount that it cannot say.
    pub fn up_to(mut self, most: Plan) -> Result<Self, PriceError> {
        let unit = most.per_period.unit().to_ascii_lowercase();
        let currency = Currency::parse(&unit).map_err(|_| PriceError::Unit)?;
        let amount = most.per_period.in_unit(&unit, currency.decimals())?;
        self.recurring.push(Recurring { amount, currency, cadence: most.cadence });
        Ok(self)
    }

    fn stakes(&self, demand: &Demand<'_, StripeSubscription>) -> Result<Exposure, Why> {
        let (terms, details) = (&demand.request.terms, &demand.request.details.method_details);
        let currency = Currency::parse(&terms.currency).map_err(|_| Why::Unaskable)?;
        let broader = terms.recipient.is_some() || terms.subscription_expires.is_some();
        if broader || terms.amount.is_zero() || details.network_id.is_empty() {
            return Err(Why::Unaskable);
        }
        if self.sellers.as_ref().is_some_and(|ours| !ours.contains(&details.network_id)) {
            return Err(Why::Seller);
        }
        if !details.payment_method_types.contains(&self.kind) {
            return Err(Why::Type);
        }
        if self.recurring.is_empty() {
            return Err(Why::NothingRecurs);
        }
        let asked = Recurring { amount: terms.amount, currency, cadence: terms.cadence() };
        if !self.recurring.iter().any(|allowed| allowed.covers(&asked)) {
            return Err(Why::Beyond);
        }
        let unit = currency.as_str().to_owned();
        Ok(Exposure::new(terms.amount).in_unit(unit, currency.decimals()))
    }
}

impl Recurring {
    /// Whether that is no more than this, and no more often.
    fn covers(&self, asked: &Self) -> bool {
        let often = match (days(&asked.cadence), days(&self.cadence)) {
            _ if asked.cadence.unit == self.cadence.unit => {
                asked.cadence.count >= self.cadence.count
            }
            (Some((shortest, _)), Some((_, longest))) => shortest >= longest,
            _ => false,
        };
        asked.currency == self.currency && asked.amount <= self.amount && often
    }
}

/// The fewest and the most days that a period has.
fn days(cadence: &Cadence) -> Option<(u64, u64)> {
    let (fewest, most) = match cadence.unit {
        PeriodUnit::Day => (1, 1),
        PeriodUnit::Week => (7, 7),
        PeriodUnit::Month => (28, 31),
        _ => return None,
    };
    let of = |days| NonZeroU64::get(cadence.count).checked_mul(days);
    Some((of(fewest)?, of(most)?))
}

impl mpp_core::payer::Payer for Payer {
    type Method = StripeSubscription;

    /// One period's amount. It recurs.
    fn exposes(&self, demand: &Demand<'_, StripeSubscription>) -> Option<Exposure> {
        self.stakes(demand).ok()
    }

    fn declines(&self, demand: &Demand<'_, StripeSubscription>) -> Option<Cow<'static, str>> {
        self.stakes(demand).err().map(|why| why.to_string().into())
    }

    async fn pay(
        &self,
        demand: &Demand<'_, StripeSubscription>,
        within: &Allowance,
    ) -> Result<Payment<StripeSubscription>, PayError> {
        self.stakes(demand).map_err(|why| {
            PayError::untouched("the challenge asks for something that this payer does not pay")
                .because(why)
        })?;
        if within.up_to < demand.request.terms.amount {
            return Err(PayError::untouched("a period costs more than allowed"));
        }
        let payment_method = self.method.as_str().to_owned();
        Ok(Payment::new(Payload { payment_method, customer: self.customer.clone() }))
    }

    /// Never: nothing is put at stake before the payment method is shown.
    async fn recall(
        &self,
        _demand: &Demand<'_, StripeSubscription>,
    ) -> Result<Recall<StripeSubscription>, PayError> {
        Ok(Recall::Never)
    }

    /// Open: what was charged stands in the seller's account, which a payer does not see.
    async fn became(
        &self,
        _demand: &Demand<'_, StripeSubscription>,
        _payload: &Payload,
    ) -> Result<Became, PayError> {
        Ok(Became::Open)
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer")
            .field("kind", &self.kind)
            .field("sellers", &self.sellers)
            .field("recurring", &self.recurring)
            .finish_non_exhaustive()
    }
}
