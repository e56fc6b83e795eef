//! Methods that exist for tests alone: coupons, and tabs that are opened before they are drawn upon.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use mpp_core::{
    Amount, Challenge, Charge, Draft, Encoded, Method, Realm, Receipt, Timestamp,
    binding::Keys,
    challenge::Demand,
    method::NoDetails,
    name::{CredentialHeader, IntentName, MethodName},
    payer::{Allowance, Became, Exposure, Hold, Outcome, PayError, Payer, Payment, Recall, Step},
};
use serde::{Deserialize, Serialize};

pub(crate) const SECRET: &str = "coupon-hunter2";
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

#[derive(Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) code: String,
}

macro_rules! method {
    ($name:ident, $wire:literal) => {
        pub(crate) struct $name;
        impl Method for $name {
            const NAME: MethodName = MethodName::from_static($wire);
            type Intent = Charge;
            type Details = NoDetails;
            type Payload = Code;
        }
    };
}
method!(Coupon, "coupon");
method!(Token, "token");

/// What payers did and heard.
pub(crate) type Diary = Arc<Mutex<Vec<String>>>;

/// What a rail says when it is asked.
#[derive(Default)]
pub(crate) struct Rail {
    /// Of a coupon; `None` is no answer.
    pub(crate) became: Option<Became>,
    /// Of an intent: paid, not paid, or forgotten.
    pub(crate) recall: Option<bool>,
}

/// Pays with coupons worth whatever is asked; writes down every one, and what became of it.
pub(crate) struct Holder<M> {
    pub(crate) diary: Diary,
    /// Opens a tab first.
    pub(crate) opens: Mutex<bool>,
    pub(crate) fails: Mutex<Option<PayError>>,
    /// What its coupons are worth something in, and what it costs at most to use one.
    pub(crate) currency: &'static str,
    pub(crate) fees: Amount,
    /// What it says became of every coupon, and whether it remembers intents.
    pub(crate) rail: Arc<Mutex<Rail>>,
    pub(crate) method: std::marker::PhantomData<fn() -> M>,
}

impl<M> Holder<M> {
    pub(crate) fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            opens: Mutex::new(false),
            fails: Mutex::new(None),
            currency: "usd",
            fees: Amount::ZERO,
            rail: Arc::default(),
            method: std::marker::PhantomData,
        }
    }

    /// Asks this rail what became of things.
    pub(crate) fn on(self, rail: &Arc<Mutex<Rail>>) -> Self {
        Self { rail: rail.clone(), ..self }
    }

    pub(crate) fn opening(self) -> Self {
        *self.opens.lock().unwrap() = true;
        self
    }
}

impl<M: Method<Intent = Charge, Payload = Code>> Payer for Holder<M> {
    type Method = M;

    fn exposes(&self, demand: &Demand<'_, M>) -> Option<Exposure> {
        let terms = &demand.request.terms;
        let most = terms.amount.checked_add(self.fees)?;
        let exposure = Exposure::new(most).of_which_fees(self.fees);
        (terms.currency == self.currency).then(|| exposure.in_unit(self.currency, 2))
    }

    fn declines(&self, demand: &Demand<'_, M>) -> Option<Cow<'static, str>> {
        let currency = &demand.request.terms.currency;
        (currency != self.currency).then(|| format!("no coupon is worth any {currency}").into())
    }

    async fn pay(&self, demand: &Demand<'_, M>, _: &Allowance) -> Result<Payment<M>, PayError> {
        if let Some(e) = self.fails.lock().unwrap().take() {
            return Err(e);
        }
        let opens = std::mem::take(&mut *self.opens.lock().unwrap());
        let (what, step) = if opens { ("open", Step::Manage) } else { ("pay", Step::Pay) };
        let note = format!("{what} {}", demand.challenge.method.as_str());
        self.diary.lock().unwrap().push(note);
        let diary = self.diary.clone();
        let hold = Hold::new(move |outcome| {
            let word = match outcome {
                Outcome::Accepted(_) => "accepted",
                Outcome::Refused(_) => "refused",
                _ => "unknown",
            };
            diary.lock().unwrap().push(word.to_owned());
        });
        let code = SECRET.to_owned();
        Ok(Payment { step, ..Payment::new(Code { code }).held(hold) })
    }

    async fn recall(&self, _: &Demand<'_, M>) -> Result<Recall<M>, PayError> {
        let remembers = self.rail.lock().unwrap().recall;
        Ok(match remembers {
            None => Recall::Unknown,
            Some(false) => Recall::Never,
            Some(true) => Recall::Paid(Payment::new(Code { code: SECRET.to_owned() })),
        })
    }

    async fn became(&self, _: &Demand<'_, M>, payload: &Code) -> Result<Became, PayError> {
        assert_eq!(payload.code, SECRET);
        let became = self.rail.lock().unwrap().became;
        became.ok_or_else(|| PayError::unknown("the rail does not answer"))
    }
}

/// A challenge over so many cents.
pub(crate) fn challenge(method: &str, cents: u128, change: impl FnOnce(&mut Draft)) -> Challenge {
    let request = serde_json::json!({ "amount": Amount::new(cents), "currency": "usd" });
    let mut draft = Draft {
        realm: Realm::parse("shop").unwrap(),
        method: MethodName::parse(method).unwrap(),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&request).unwrap(),
        expires: Some(Timestamp::parse("2100-01-01T00:00:00Z").unwrap()),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    };
    change(&mut draft);
    Keys::new("k".repeat(32)).unwrap().seal(draft)
}

pub(crate) fn header(name: &str) -> Option<CredentialHeader> {
    Some(CredentialHeader::parse(name).unwrap())
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        method: MethodName::from_static("coupon"),
        reference: "ref".into(),
        status: mpp_core::receipt::Status::Success,
        timestamp: Timestamp::parse(NOW).unwrap(),
        external_id: None,
        extra: serde_json::Map::new(),
    }
}
