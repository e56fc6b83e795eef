//! A subscription as Stripe has it, and whether it is still the narrow one that was agreed.

use mpp_core::{agreement::Cadence, intent::PeriodUnit};
use serde_json::Value;

use super::{invoice::Agreed, read::Read};
use crate::Currency;

/// A subscription of Stripe's. What was agreed stands in its metadata, as it was said when it began.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) anchor: i64,
    body: Value,
}

/// What a period costs and how long it is, as it stands in a subscription's metadata: `2999 usd 1 month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) cadence: Cadence,
}

/// Where in the metadata of a subscription stands what.
pub(crate) const CHALLENGE: &str = "mpp_challenge_id";
pub(crate) const TERMS: &str = "mpp_terms";
pub(crate) const CALLED_OFF: &str = "mpp_called_off";

impl Contract {
    pub(crate) fn read(body: Value) -> Option<Self> {
        let id = body.id_of("id", "sub_")?.to_owned();
        let customer = body.id_of("customer", "cus_")?.to_owned();
        let anchor = body.number("billing_cycle_anchor")?;
        body.text("status")?;
        Some(Self { id, customer, anchor, body })
    }

    /// Whether it was begun by this challenge.
    pub(crate) fn is_of(&self, challenge: &str) -> bool {
        self.body.noted(CHALLENGE) == Some(challenge)
    }

    /// What was agreed, where it is one of ours.
    pub(crate) fn noted(&self) -> Option<Noted> {
        Noted::read(self.body.noted(TERMS)?)
    }

    /// Whether it was called off because it is not what was agreed: nothing paid for it counts.
    pub(crate) fn is_called_off(&self) -> bool {
        self.body.noted(CALLED_OFF).is_some()
    }

    /// Whether nothing can be charged for it any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.body.text("status"), Some("canceled" | "incomplete_expired"))
    }

    /// Whether its first invoice is not paid yet.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.body.text("status") == Some("incomplete")
    }

    /// When it ended, or will by what was said, in Unix seconds.
    pub(crate) fn ends(&self) -> Option<i64> {
        let at_end = self.body.flag("cancel_at_period_end") == Some(true);
        let ended = self.body.number("ended_at").or_else(|| self.body.number("cancel_at"));
        ended.or_else(|| self.period_end().filter(|_| at_end))
    }

    /// The end of the period that it is in by Stripe's clock.
    pub(crate) fn period_end(&self) -> Option<i64> {
        self.body.only("items")?.number("current_period_end")
    }

    /// Why it is not the narrow subscription that was agreed; `None`: it is.
    pub(crate) fn unfit(&self, agreed: &Agreed<'_>, cadence: &Cadence) -> Option<&'static str> {
        if self.id != agreed.subscription || self.customer != agreed.customer {
            return Some("it is another's");
        }
        if self.body.text("collection_method") != Some("charge_automatically") {
            return Some("it is collected by hand");
        }
        if !BROADER.into_iter().all(|name| self.body.nothing(name)) || self.is_taxed() {
            return Some("a trial, a pause, a schedule, a discount or a tax is in it");
        }
        let Some(item) = self.body.only("items") else {
            return Some("it has not one item");
        };
        let price = item.get("price").filter(|price| is_price(price, agreed, cadence));
        let plain = item.nothing("discounts") && item.nothing("tax_rates");
        if price.is_some() && plain && item.number("quantity") == Some(1) {
            None
        } else {
            Some("its item is not one of the price that was agreed")
        }
    }

    fn is_taxed(&self) -> bool {
        !self.body.get("automatic_tax").is_none_or(|tax| tax.nothing("enabled"))
    }
}

/// What a subscription of this profile has not.
const BROADER: [&str; 8] = [
    "discounts",
    "default_tax_rates",
    "trial_end",
    "schedule",
    "pause_collection",
    "pending_update",
    "pending_invoice_item_interval",
    "billing_schedules",
];

/// Whether a price is one fixed amount every so often.
pub(crate) fn is_price(price: &Value, agreed: &Agreed<'_>, cadence: &Cadence) -> bool {
    let Some((unit, count)) = interval(cadence) else { return false };
    let recurring = price.get("recurring");
    let every = recurring.is_some_and(|every| {
        every.text("interval") == Some(unit)
            && every.number("interval_count").and_then(|n| u64::try_from(n).ok()) == Some(count)
            && every.text("usage_type") == Some("licensed")
            && every.nothing("meter")
            && every.nothing("trial_period_days")
    });
    every
        && price.number("unit_amount") == Some(agreed.amount)
        && price.text("currency") == Some(agreed.currency.as_str())
        && price.text("billing_scheme") == Some("per_unit")
        && price.nothing("transform_quantity")
}

/// A cadence in Stripe's words, where Stripe can say it: no period is longer than three years.
pub(crate) fn interval(cadence: &Cadence) -> Option<(&'static str, u64)> {
    let (unit, most) = match cadence.unit {
        PeriodUnit::Day => ("day", 1095),
        PeriodUnit::Week => ("week", 156),
        PeriodUnit::Month => ("month", 36),
        _ => return None,
    };
    let count = cadence.count.get();
    (count <= most).then_some((unit, count))
}

impl Noted {
    pub(crate) fn text(&self) -> Option<String> {
        let (unit, count) = interval(&self.cadence)?;
        Some(format!("{} {} {count} {unit}", self.amount, self.currency))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let amount = words.next()?.parse().ok().filter(|amount| *amount > 0)?;
        let currency = Currency::parse(words.next()?).ok()?;
        let count = words.next()?.parse().ok()?;
        let unit = match words.next()? {
            "day" => PeriodUnit::Day,
            "week" => PeriodUnit::Week,
            "month" => PeriodUnit::Month,
            _ => return None,
        };
        words.next().is_none().then_some(Self {
            amount,
            currency,
            cadence: Cadence { unit, count },
        })
    }
}
