//! An invoice as Stripe has it, and whether it is the one charge of one period that was agreed.

use serde_json::Value;

use super::read::Read;
use crate::Currency;

/// An invoice of Stripe's.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) status: Status,
    /// The period of its one line, in Unix seconds.
    pub(crate) span: Option<(i64, i64)>,
    body: Value,
}

/// How an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Draft,
    Open,
    Paid,
    /// Voided, or given up: it is not collected.
    Closed,
}

/// What an invoice must be for.
#[derive(Clone, Debug)]
pub(crate) struct Agreed<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) customer: &'a str,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
}

impl Invoice {
    pub(crate) fn read(body: Value) -> Option<Self> {
        let id = body.id_of("id", "in_")?.to_owned();
        let status = match body.text("status")? {
            "draft" => Status::Draft,
            "open" => Status::Open,
            "paid" => Status::Paid,
            "void" | "uncollectible" => Status::Closed,
            _ => return None,
        };
        let period = body.only("lines").and_then(|line| line.get("period"));
        let span = period.and_then(|p| Some((p.number("start")?, p.number("end")?)));
        Some(Self { id, status, span, body })
    }

    /// Whether it is the one a subscription began with.
    pub(crate) fn is_first(&self) -> bool {
        self.body.text("billing_reason") == Some("subscription_create")
    }

    /// Whether somebody made it by hand: its seller's own business, whatever subscription it names.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.body.text("billing_reason") == Some("manual")
    }

    /// The subscription it belongs to.
    pub(crate) fn subscription(&self) -> Option<&str> {
        let parent = self.body.get("parent")?;
        let ours = parent.text("type") == Some("subscription_details");
        parent.get("subscription_details").filter(|_| ours)?.id_of("subscription", "sub_")
    }

    /// What was paid on it, from whatever source.
    pub(crate) fn paid(&self) -> Option<i64> {
        self.body.number("amount_paid")
    }

    /// Whether Stripe has tried to collect it.
    pub(crate) fn was_tried(&self) -> bool {
        self.body.flag("attempted") == Some(true)
    }

    /// The PaymentIntents that paid it, or were to; only of an invoice whose payments were asked for.
    pub(crate) fn payment_intents(&self) -> Vec<&str> {
        let payments = self.body.get("payments").and_then(|list| list.get("data"));
        let all = payments.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|one| one.get("payment")?.id_of("payment_intent", "pi_")).collect()
    }

    /// Why it is not the paid charge of that period; `None`: it is.
    pub(crate) fn unfit(&self, agreed: &Agreed<'_>, span: (i64, i64)) -> Option<&'static str> {
        if self.status != Status::Paid {
            return Some("it is not paid");
        }
        let settled = self.paid() == Some(agreed.amount) && self.body.nothing("amount_remaining");
        if !settled {
            return Some("another amount was paid");
        }
        self.unpayable(agreed, span)
    }

    /// Why it is not what was agreed to be charged for that period, paid or not; `None`: it is.
    pub(crate) fn unpayable(&self, agreed: &Agreed<'_>, span: (i64, i64)) -> Option<&'static str> {
        let body = &self.body;
        let amount = |name: &str| body.number(name) == Some(agreed.amount);
        if self.subscription() != Some(agreed.subscription) {
            return Some("it is of another subscription");
        }
        if body.id_of("customer", "cus_") != Some(agreed.customer) {
            return Some("it is of another customer");
        }
        if body.text("collection_method") != Some("charge_automatically") {
            return Some("it is collected by hand");
        }
        if body.text("currency") != Some(agreed.currency.as_str()) {
            return Some("it is in another currency");
        }
        if !["subtotal", "total", "amount_due"].into_iter().all(amount) {
            return Some("it is for another amount");
        }
        if !ADDITIONS.into_iter().all(|name| body.nothing(name)) || taxed(body) {
            return Some("a discount, a tax or a credit is in it");
        }
        if self.span != Some(span) {
            return Some("it is not for exactly that period");
        }
        match body.only("lines") {
            Some(line) => unfit_line(line, agreed),
            None => Some("it has not one line"),
        }
    }
}

/// What would change the amount, or what of it is charged.
const ADDITIONS: [&str; 10] = [
    "discounts",
    "total_discount_amounts",
    "total_taxes",
    "total_pretax_credit_amounts",
    "starting_balance",
    "ending_balance",
    "pre_payment_credit_notes_amount",
    "post_payment_credit_notes_amount",
    "amount_overpaid",
    "amount_shipping",
];

fn taxed(body: &Value) -> bool {
    !body.get("automatic_tax").is_none_or(|tax| tax.nothing("enabled"))
}

fn unfit_line(line: &Value, agreed: &Agreed<'_>) -> Option<&'static str> {
    let parent = line.get("parent");
    let of_item = parent.and_then(|p| p.text("type")) == Some("subscription_item_details");
    let item = parent.and_then(|p| p.get("subscription_item_details")).filter(|_| of_item);
    let Some(item) = item else {
        return Some("its line is of no subscription item");
    };
    if !item.nothing("proration") {
        return Some("its line is prorated");
    }
    if item.id_of("subscription", "sub_").is_some_and(|of| of != agreed.subscription) {
        return Some("its line is of another subscription");
    }
    let as_agreed = line.number("amount") == Some(agreed.amount)
        && line.text("currency") == Some(agreed.currency.as_str())
        && line.number("quantity") == Some(1);
    let plain = ["discount_amounts", "discounts", "taxes", "pretax_credit_amounts"];
    if as_agreed && plain.into_iter().all(|name| line.nothing(name)) {
        None
    } else {
        Some("its line is for another amount")
    }
}
