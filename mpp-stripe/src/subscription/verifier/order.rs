//! Orders to Stripe, whole: to begin a subscription, and to collect what one of its periods costs.

use std::{collections::BTreeMap, fmt, time::Duration};

use mpp_core::{
    Amount, Timestamp,
    agreement::{Agreement, Began, Cadence, Period},
    encoded,
    problem::Rejection,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Currency,
    api::Form,
    subscription::{
        billing::{
            contract::{CHALLENGE, Noted, TERMS},
            invoice::Agreed,
            read::Read,
        },
        id::is_id,
    },
};

/// An order to Stripe. Names payment methods and customers: its `Debug` is blind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(pub(super) Order);

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evidence(..)")
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "camelCase")]
pub(super) enum Order {
    Begin(Begin),
    Renew(Renew),
}

/// Begins a subscription.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begin {
    pub(super) challenge: String,
    pub(super) payment_method: String,
    /// Whom the payment method belongs to. `None`: it belongs to nobody yet.
    pub(super) customer: Option<String>,
    /// Who pays, in the payer's own words: the customer that was named, or the source.
    pub(super) payer: Option<String>,
    pub(super) terms: Terms,
    pub(super) description: Option<String>,
    pub(super) product: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    /// When it was made.
    pub(super) at: Timestamp,
}

/// What a period costs, and how long it is.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Terms {
    pub(super) amount: Amount,
    pub(super) currency: Currency,
    pub(super) cadence: Cadence,
}

/// Collects what a period costs.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Renew {
    pub(super) kept: Kept,
    pub(super) terms: Terms,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// What is kept of a subscription, to charge for it later and to end it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    pub(super) subscription: String,
    pub(super) customer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
}

/// Stripe knows an idempotency key for a day at least. An hour is left for clocks that differ.
const KEYS_LIVE: Duration = Duration::from_secs(23 * 3600);
/// As long as Stripe takes an idempotency key.
const LONGEST_KEY: usize = 255;

impl Terms {
    /// The amount as Stripe writes it; `None` beyond what it can.
    pub(super) fn charge(&self) -> Option<i64> {
        i64::try_from(self.amount.get()).ok()
    }

    /// What an invoice or a subscription must say.
    pub(super) fn of<'a>(&self, subscription: &'a str, customer: &'a str) -> Agreed<'a> {
        // Nothing is that much, so what is no amount fits no invoice.
        let amount = self.charge().unwrap_or(i64::MAX);
        Agreed { subscription, customer, amount, currency: self.currency }
    }

    pub(super) fn noted(&self) -> Option<String> {
        let amount = self.charge()?;
        Noted { amount, currency: self.currency, cadence: self.cadence }.text()
    }
}

impl Begin {
    /// Whether Stripe may have forgotten its keys: nothing is sent for it any more.
    pub(super) fn is_old(&self, now: &Timestamp) -> bool {
        self.at.plus(KEYS_LIVE).is_before(now)
    }

    /// The key of its subscription. It names nothing that another run of the same order could see differently.
    pub(super) fn key(&self) -> String {
        let terms = self.terms.noted().unwrap_or_default().replace(' ', "_");
        let payer = self.payer.as_deref().unwrap_or("-");
        key(&["mpp", &self.challenge, payer, &self.payment_method, &terms])
    }

    /// The key of what is made on the way: a customer, a price, an attachment to a customer.
    pub(super) fn key_of(&self, what: &str) -> String {
        key(&["mpp", what, &self.challenge, &self.payment_method])
    }

    /// The name of a product that is made for it.
    pub(super) fn name(&self) -> &str {
        self.description.as_deref().filter(|text| text.len() <= 250).unwrap_or("Subscription")
    }

    /// What a price of these terms is found by.
    pub(super) fn lookup_key(&self) -> String {
        let terms = self.terms.noted().unwrap_or_default();
        let what = [self.product.as_deref().unwrap_or(""), self.name(), &terms];
        format!("mpp_{}", hash(&what))
    }

    /// What Stripe keeps with the subscription: first what finds it again, then the seller's notes.
    pub(super) fn noted(&self, form: Form) -> Form {
        let ours = [
            ("machine_payment", "true"),
            ("mpp_sdk", concat!("mpp-rust/", env!("CARGO_PKG_VERSION"))),
            ("mpp_intent", "subscription"),
            (CHALLENGE, &self.challenge),
        ];
        let form =
            ours.into_iter().fold(form, |form, (key, text)| form.entry("metadata", key, text));
        let form = form.entry("metadata", TERMS, self.terms.noted().unwrap_or_default());
        let notes = self.metadata.iter();
        notes.fold(form, |form, (key, text)| form.entry("metadata", key, text))
    }
}

impl Renew {
    pub(super) fn of(agreement: &Agreement, period: &Period) -> Result<Self, Rejection> {
        let currency = Currency::parse(&agreement.currency).map_err(Rejection::internal)?;
        let (amount, cadence) = (agreement.amount, agreement.cadence);
        Ok(Self {
            kept: Kept::read(&agreement.began)?,
            terms: Terms { amount, currency, cadence },
            start: period.start.unix_seconds(),
            end: period.end.unix_seconds(),
        })
    }

    pub(super) fn span(&self) -> (i64, i64) {
        (self.start, self.end)
    }
}

impl Kept {
    pub(super) fn to_json(&self) -> Value {
        let Self { subscription, customer, account } = self;
        let mut kept = json!({ "subscription": subscription, "customer": customer });
        if let (Some(account), Some(members)) = (account, kept.as_object_mut()) {
            members.insert("account".to_owned(), account.as_str().into());
        }
        kept
    }

    pub(super) fn read(began: &Began) -> Result<Self, Rejection> {
        let kept = &began.kept;
        let id = |name, kind| kept.id_of(name, kind).map(str::to_owned);
        match (id("subscription", "sub_"), id("customer", "cus_")) {
            (Some(subscription), Some(customer)) => {
                Ok(Self { subscription, customer, account: id("account", "acct_") })
            }
            _ => Err(Rejection::internal("what is kept of the subscription cannot be read")),
        }
    }
}

/// The receipt's name of a subscription: opaque, and the same for as long as it lives.
pub(crate) fn name_of(subscription: &str) -> String {
    encoded::encode(subscription.as_bytes())
}

/// A key of parts, as long as Stripe takes it, hashed beyond.
fn key(parts: &[&str]) -> String {
    let plain = parts.join("_");
    if plain.len() <= LONGEST_KEY && is_id("", &plain.replace('-', "_")) {
        return plain;
    }
    format!("mpp_{}", hash(parts))
}

/// Parts, each with its length, so that none can be moved into its neighbour.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    encoded::encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use mpp_core::intent::PeriodUnit;

    use super::*;

    fn begin() -> Begin {
        let cadence = Cadence { unit: PeriodUnit::Month, count: NonZeroU64::MIN };
        Begin {
            challenge: "1jBu9USZiTKr4hhgUPk-GmL8ZIY9pZERuUoSYNWv02E".into(),
            payment_method: "pm_1Qabc32eZvKYlo2C7b8H1234".into(),
            customer: None,
            payer: None,
            terms: Terms { amount: Amount::new(2999), currency: Currency::USD, cadence },
            description: None,
            product: None,
            metadata: BTreeMap::new(),
            at: Timestamp::from_unix(0, 0),
        }
    }

    #[test]
    fn the_opaque_id_is_the_one_of_the_draft() {
        assert_eq!(name_of("sub_stripe_01"), "c3ViX3N0cmlwZV8wMQ");
    }

    #[test]
    fn a_key_differs_with_all_that_was_agreed_and_fits() {
        let with = |change: &dyn Fn(&mut Begin)| {
            let mut order = begin();
            change(&mut order);
            order.key()
        };
        let mut keys = vec![
            with(&|_| ()),
            with(&|o| o.challenge = "other".into()),
            with(&|o| o.payer = Some("cus_1".into())),
            with(&|o| o.payer = Some("x".repeat(300))),
            with(&|o| o.payer = Some("did:key:ä\r\n".into())),
            with(&|o| o.payment_method = "pm_2".into()),
            with(&|o| o.terms.amount = Amount::new(3000)),
            with(&|o| o.terms.currency = Currency::parse("eur").unwrap()),
            with(&|o| o.terms.cadence.unit = PeriodUnit::Week),
            with(&|o| o.terms.cadence.count = NonZeroU64::new(2).unwrap()),
        ];
        let plain = |key: &String| {
            key.len() <= 255
                && key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
        };
        assert!(keys.iter().all(plain), "{keys:?}");
        let said = "mpp_1jBu9USZiTKr4hhgUPk-GmL8ZIY9pZERuUoSYNWv02E_-_pm_1Qabc32eZvKYlo2C7b8H1234_2999_usd_1_month";
        assert_eq!(keys[0], said);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn an_order_is_read_as_it_was_written_and_not_shown() {
        let order = Evidence(Order::Begin(begin()));
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), order);
        assert_eq!(format!("{order:?}"), "Evidence(..)");
    }
}
