//! A metered method that exists for tests alone: a tab at a bar, raised by notes of hand.

use std::sync::{Arc, Mutex, MutexGuard};

use mpp_core::{
    Amount, Challenge, Draft, Encoded, Method, Realm, Receipt, Timestamp,
    binding::Keys,
    challenge::Demand,
    intent::Session,
    method::NoDetails,
    name::{IntentName, MethodName},
    payer::{
        Allowance, Became, Exposure, Hold, Outcome, PayError, Payer, Payment, Recall, Site, Step,
        Wish,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) struct Tab;

impl Method for Tab {
    const NAME: MethodName = MethodName::from_static("tab");
    type Intent = Session;
    type Details = NoDetails;
    type Payload = Note;
}

/// What a patron signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) action: String,
    pub(crate) total: u128,
}

/// How a patron's tab stands, as the patron has it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) deposit: u128,
    pub(crate) signed: u128,
    /// How often a stream delivered something.
    pub(crate) delivered: u32,
    /// What was done and heard, in order.
    pub(crate) diary: Vec<String>,
}

/// Pays by tab: opens one with a deposit, and raises it.
#[derive(Clone)]
pub(crate) struct Patron {
    pub(crate) books: Arc<Mutex<Standing>>,
    /// What it deposits at a time.
    pub(crate) deposit: u128,
    /// Opens by a managed step of its own.
    pub(crate) opens_apart: bool,
    /// Tops up ahead of need once so little is left.
    pub(crate) low: u128,
    /// What its rail says of what it signed.
    pub(crate) became: Became,
}

impl Patron {
    pub(crate) fn new(deposit: u128) -> Self {
        Self { books: Arc::default(), deposit, opens_apart: false, low: 0, became: Became::Open }
    }

    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.books.lock().unwrap()
    }

    pub(crate) fn said(&self) -> String {
        self.standing().diary.join(", ")
    }

    fn note(&self, action: &str, total: u128) -> Payment<Tab> {
        self.standing().diary.push(format!("{action} {total}"));
        let standing = self.books.clone();
        let (of, deposit, before) = (action.to_owned(), self.deposit, self.standing().signed);
        let hold = Hold::new(move |outcome| {
            let mut standing = standing.lock().unwrap();
            let word = match outcome {
                Outcome::Accepted(_) => "accepted",
                Outcome::Refused(problem) => {
                    let lost = problem.as_ref().is_some_and(|p| p.status == 410);
                    let invalid = problem.is_some_and(|p| p.suffix().ends_with("signature"));
                    if lost {
                        (standing.deposit, standing.signed) = (0, 0);
                    }
                    if invalid {
                        standing.signed = before;
                    }
                    "refused"
                }
                _ => "unknown",
            };
            standing.diary.push(word.to_owned());
            match (of.as_str(), word) {
                ("open", "accepted") => (standing.deposit, standing.signed) = (deposit, total),
                ("topUp", "accepted") => standing.deposit += total,
                ("close", "accepted") => (standing.deposit, standing.signed) = (0, 0),
                _ => {}
            }
        });
        Payment::new(Note { action: action.to_owned(), total }).held(hold)
    }

    /// What it would do for a total: an action, its amount, and what that puts at stake.
    fn towards(&self, total: u128) -> (&'static str, u128, u128) {
        let standing = self.standing();
        match standing.deposit {
            0 => ("open", total, self.deposit),
            deposit if total > deposit => ("topUp", self.deposit, self.deposit),
            _ => ("voucher", total, 0),
        }
    }

    fn next_total(&self, demand: &Demand<'_, Tab>) -> u128 {
        self.standing().signed + demand.request.terms.amount.get()
    }

    fn wanted(&self, wish: &Wish) -> Option<(&'static str, u128, u128)> {
        let (deposit, signed) = {
            let standing = self.standing();
            (standing.deposit, standing.signed)
        };
        if deposit == 0 {
            return None;
        }
        match wish {
            Wish::Need(need) => {
                let required: u128 = need.get("required")?.as_str()?.parse().ok()?;
                (required > signed).then(|| self.towards(required))
            }
            Wish::TopUp(more) => Some(("topUp", more.get(), more.get())),
            Wish::Close => Some(("close", signed, 0)),
            _ => None,
        }
    }
}

fn at_stake(amount: u128) -> Exposure {
    Exposure::new(Amount::new(amount)).in_unit("usd", 2)
}

impl Payer for Patron {
    type Method = Tab;

    fn exposes(&self, demand: &Demand<'_, Tab>) -> Option<Exposure> {
        Some(at_stake(self.towards(self.next_total(demand)).2))
    }

    async fn pay(
        &self,
        demand: &Demand<'_, Tab>,
        within: &Allowance,
    ) -> Result<Payment<Tab>, PayError> {
        let (action, amount, stake) = self.towards(self.next_total(demand));
        assert!(within.up_to.get() >= stake);
        let payment = self.note(action, amount);
        let apart = action == "topUp" || action == "open" && self.opens_apart;
        if action == "voucher" {
            self.standing().signed = amount;
        }
        Ok(Payment { step: if apart { Step::Manage } else { Step::Pay }, ..payment })
    }

    async fn recall(&self, _: &Demand<'_, Tab>) -> Result<Recall<Tab>, PayError> {
        Ok(Recall::Never)
    }

    async fn became(&self, _: &Demand<'_, Tab>, _: &Note) -> Result<Became, PayError> {
        Ok(self.became)
    }

    fn exposes_for(&self, _: &Demand<'_, Tab>, wish: &Wish) -> Option<Exposure> {
        self.wanted(wish).map(|(_, _, stake)| at_stake(stake))
    }

    async fn grant(
        &self,
        _: &Demand<'_, Tab>,
        wish: &Wish,
        within: &Allowance,
    ) -> Result<Option<Payment<Tab>>, PayError> {
        let Some((action, amount, stake)) = self.wanted(wish) else { return Ok(None) };
        assert!(within.up_to.get() >= stake);
        let payment = self.note(action, amount);
        if action == "voucher" {
            self.standing().signed = amount;
        }
        Ok(Some(payment))
    }

    fn wishes(&self, _: &Demand<'_, Tab>) -> Option<Wish> {
        let standing = self.standing();
        let left = standing.deposit.saturating_sub(standing.signed);
        (left < self.low).then(|| Wish::TopUp(Amount::new(self.deposit)))
    }

    fn hear(&self, receipt: &Receipt) {
        self.standing().diary.push(format!("heard {}", receipt.reference));
    }

    fn delivered(&self, _: &Demand<'_, Tab>) {
        self.standing().delivered += 1;
    }

    fn hint(&self, _: &Site) -> Option<String> {
        (self.standing().deposit > 0).then(|| "tab-1".to_owned())
    }

    async fn remember(&self, to: &Site, snapshot: &str) -> Result<(), PayError> {
        self.standing().diary.push(format!("remembers {snapshot} of {}", to.resource));
        Ok(())
    }
}

/// A challenge over so many cents a unit.
pub(crate) fn tab(cents: u128, change: impl FnOnce(&mut Draft)) -> Challenge {
    let request = json!({ "amount": Amount::new(cents), "currency": "usd" });
    let mut draft = Draft {
        realm: Realm::parse("bar").unwrap(),
        method: MethodName::from_static("tab"),
        intent: IntentName::from_static("session"),
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

/// The receipt of a tab of which so much was spent.
pub(crate) fn bill(spent: u128) -> Receipt {
    let mut extra = serde_json::Map::new();
    extra.insert("spent".into(), Value::String(spent.to_string()));
    Receipt {
        method: MethodName::from_static("tab"),
        reference: "tab-1".into(),
        status: mpp_core::receipt::Status::Success,
        timestamp: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        external_id: None,
        extra,
    }
}
