//! The simulated Stripe as a judge: which payments it holds, of what, and in whose words.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use mpp_testkit::stripe::Simulator;
use serde_json::Value;

use super::flow::Asked;
use crate::interop::party::Sdk;

/// The payments there were at some time.
pub(super) struct Tally {
    known: BTreeSet<String>,
    succeeded: usize,
}

impl Tally {
    /// As it is now.
    pub(super) fn of(stripe: &Simulator) -> Self {
        let all = stripe.payment_intents();
        let succeeded = all.iter().filter(|one| has_succeeded(one)).count();
        let known = all.iter().filter_map(|one| text(one, "id").map(str::to_owned)).collect();
        Self { known, succeeded }
    }

    /// The one payment that was made since, and that it succeeded.
    pub(super) fn one_since(&self, stripe: &Simulator) -> anyhow::Result<Value> {
        let mut new = stripe.payment_intents();
        new.retain(|one| text(one, "id").is_some_and(|id| !self.known.contains(id)));
        ensure!(new.len() == 1, "{} payments were made", new.len());
        let made = new.pop().unwrap_or_default();
        ensure!(has_succeeded(&made), "the payment's status is {}", made["status"]);
        Ok(made)
    }

    /// That nobody was charged since; a payment that failed is no matter.
    pub(super) fn is_unmoved(&self, stripe: &Simulator) -> anyhow::Result<()> {
        let now = Self::of(stripe).succeeded;
        ensure!(now == self.succeeded, "a card was charged");
        Ok(())
    }
}

/// That a payment is the one a route asked for, as its seller says it to Stripe, and the one its receipt names.
pub(super) fn is_as_asked(
    made: &Value,
    asked: &Asked,
    seller: Sdk,
    receipt: &Value,
) -> anyhow::Result<()> {
    let Asked { amount, currency, external_id, notes } = asked;
    ensure!(made["amount"] == *amount, "the amount is {} and not {amount}", made["amount"]);
    let received = &made["amount_received"];
    ensure!(*received == *amount, "{received} was received, and not {amount}");
    ensure!(made["currency"] == *currency, "the currency is {}", made["currency"]);
    let note = |name: &str| text(&made["metadata"], name);
    ensure!(note("machine_payment") == Some("true"), "it is not marked as a machine's payment");
    ensure!(note("mpp_intent") == Some("charge"), "it does not say its intent");
    ensure!(note("mpp_challenge_id").is_some_and(|id| !id.is_empty()), "it names no challenge");
    let sdk = note("mpp_sdk").context("it does not say whose it is")?;
    ensure!(sdk.starts_with(program(seller)), "it says it is of {sdk}");
    for (name, value) in *notes {
        ensure!(note(name) == Some(value), "the note {name} is {:?}", note(name));
    }
    let id = text(made, "id").unwrap_or_default();
    let reference = text(receipt, "reference").unwrap_or_default();
    ensure!(id == reference, "the receipt refers to {reference}, and the payment is {id}");
    let named = text(receipt, "externalId");
    ensure!(named == *external_id, "the receipt's external id is {named:?}");
    Ok(())
}

/// What an SDK calls itself to Stripe.
const fn program(seller: Sdk) -> &'static str {
    match seller {
        Sdk::Ours => concat!("mpp-rust/", env!("CARGO_PKG_VERSION")),
        Sdk::Mppx | Sdk::Legacy => "mppx/",
        Sdk::Pympp => "pympp/",
    }
}

fn has_succeeded(payment: &Value) -> bool {
    payment["status"] == "succeeded"
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::flow::asked, *};

    #[test]
    fn a_payment_that_differs_in_anything_is_named() {
        let good = json!({
            "id": "pi_1", "amount": 100, "amount_received": 100, "currency": "usd", "status": "succeeded",
            "metadata": {
                "machine_payment": "true", "mpp_intent": "charge", "mpp_challenge_id": "c", "mpp_sdk": "mppx/0.11.0",
                "plan": "pro",
            },
        });
        let receipt = json!({ "reference": "pi_1", "externalId": "order-1" });
        let judged = |made: &Value, receipt: &Value| {
            is_as_asked(made, &asked("/order"), Sdk::Mppx, receipt)
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(judged(&good, &receipt), None);
        for (at, value, said) in [
            ("/amount", json!(99), "amount"),
            ("/amount_received", json!(0), "received"),
            ("/currency", json!("eur"), "currency"),
            ("/metadata/machine_payment", json!("false"), "machine"),
            ("/metadata/mpp_sdk", json!("mpp-rs/0.18"), "mpp-rs"),
            ("/metadata/plan", json!("free"), "plan"),
            ("/id", json!("pi_2"), "pi_2"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = value;
            let told = judged(&bad, &receipt).unwrap_or_default();
            assert!(told.contains(said), "{at}: {told}");
        }
        let unnamed = judged(&good, &json!({ "reference": "pi_1" }));
        assert!(unnamed.is_some_and(|said| said.contains("external id")));
    }
}
