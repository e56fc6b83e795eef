//! `subscription`: a charge a period (draft-payment-intent-subscription).

use std::{num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Intent, Once, Price, PriceError, Terms};
use crate::{Amount, agreement::Cadence, name::IntentName, time::Timestamp};

/// The intent `subscription`.
///
/// Activating answers a challenge once. Later periods are not answers to it: they are charged by the server, and who
/// may read is decided by identity; hence [`Once`].
#[derive(Debug)]
pub struct Subscription;

impl Intent for Subscription {
    const NAME: IntentName = IntentName::from_static("subscription");
    type Reuse = Once;
    type Terms = SubscriptionTerms;
    type Ask = Plan;
}

/// The shared members of a subscription request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionTerms {
    /// The price of one period, in base units.
    pub amount: Amount,
    /// In what, as the method has it.
    pub currency: String,
    /// The unit periods are counted in.
    pub period_unit: PeriodUnit,
    /// How many units a period has: a decimal string on the wire, without sign or leading zero.
    #[serde(serialize_with = "write_count", deserialize_with = "read_count")]
    pub period_count: NonZeroU64,
    /// To whom, as the method has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_expires: Option<Timestamp>,
    /// Shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The server's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// A unit of time. A month is a calendar month from the first anchor; a method that cannot say it exactly refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PeriodUnit {
    /// 86,400 seconds.
    Day,
    /// 604,800 seconds.
    Week,
    /// A calendar month, clamped to its last day.
    Month,
}

impl SubscriptionTerms {
    /// Asks for an amount a period in a currency; the rest of the members come from `plan`.
    pub fn of(plan: &Plan, amount: Amount, currency: impl Into<String>) -> Self {
        Self {
            amount,
            currency: currency.into(),
            period_unit: plan.cadence.unit,
            period_count: plan.cadence.count,
            recipient: None,
            subscription_expires: plan.expires.clone(),
            description: plan.per_period.description.clone(),
            external_id: plan.per_period.external_id.clone(),
        }
    }

    /// How long a period is.
    pub fn cadence(&self) -> Cadence {
        Cadence { unit: self.period_unit, count: self.period_count }
    }
}

impl Terms for SubscriptionTerms {
    fn amount(&self) -> Amount {
        self.amount
    }
    fn currency(&self) -> &str {
        &self.currency
    }
    fn recipient(&self) -> Option<&str> {
        self.recipient.as_deref()
    }
    fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }
}

/// What a server's author asks: a price every so often.
///
/// ```
/// let plan: mpp_core::intent::Plan = "9.99 usd per month".parse()?;
/// assert_eq!(plan.per_period.in_unit("usd", 2)?.get(), 999);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The price of one period, with its description and name.
    pub per_period: Price,
    /// How long a period is.
    pub cadence: Cadence,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

impl Plan {
    /// So much for each period.
    pub fn new(per_period: Price, cadence: Cadence) -> Self {
        Self { per_period, cadence, expires: None }
    }

    /// Ends by itself.
    pub fn until(self, end: Timestamp) -> Self {
        Self { expires: Some(end), ..self }
    }
}

impl FromStr for Plan {
    type Err = PriceError;

    /// Reads `9.99 usd per month`, `5 usd per 2 weeks`, `1 usd per 30 days`.
    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (price, period) = text.split_once(" per ").ok_or(PriceError::Form)?;
        let period = period.trim();
        let (count, unit) = period.split_once(' ').unwrap_or(("1", period));
        let plain = count.bytes().all(|c| c.is_ascii_digit()) && !count.starts_with('0');
        let count = count.parse().ok().filter(|_| plain).ok_or(PriceError::Form)?;
        let unit = match unit.trim().strip_suffix('s').unwrap_or(unit.trim()) {
            "day" => PeriodUnit::Day,
            "week" => PeriodUnit::Week,
            "month" => PeriodUnit::Month,
            _ => return Err(PriceError::Form),
        };
        Ok(Self::new(price.parse()?, Cadence { unit, count }))
    }
}

fn write_count<S: Serializer>(count: &NonZeroU64, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(count)
}

fn read_count<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroU64, D::Error> {
    crate::text::parsed(d, |text| {
        let plain = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
        text.parse().ok().filter(|_| plain).ok_or("a positive decimal without sign or leading zero")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_count(count: &str) -> serde_json::Result<SubscriptionTerms> {
        serde_json::from_str(&format!(
            r#"{{"amount":"5","currency":"usd","periodUnit":"week","periodCount":{count}}}"#
        ))
    }

    #[test]
    fn a_plan_is_read_as_it_is_said() {
        let read =
            |text: &str| text.parse::<Plan>().map(|p| (p.cadence.unit, p.cadence.count.get()));
        assert_eq!(read("9.99 usd per month"), Ok((PeriodUnit::Month, 1)));
        assert_eq!(read("5 usd per 2 weeks"), Ok((PeriodUnit::Week, 2)));
        assert_eq!(read("1 usd per 30 days"), Ok((PeriodUnit::Day, 30)));
        for bad in [
            "1 usd",
            "1 usd per year",
            "1 usd per 0 days",
            "1 usd per 02 days",
            "1 usd per ",
            "1 per day",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_period_count_is_a_plain_positive_decimal() {
        assert_eq!(with_count("\"2\"").unwrap().period_count.get(), 2);
        for bad in ["\"0\"", "\"02\"", "\"+2\"", "\"-2\"", "\"\"", "2", "\"2.0\""] {
            assert!(with_count(bad).is_err(), "{bad}");
        }
    }
}
