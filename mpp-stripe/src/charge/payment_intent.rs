//! A PaymentIntent as far as it is read: which payment it is, how much of it moved, and whether more may.

use serde_json::Value;

use super::connect::is_id;

/// What Stripe says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PaymentIntent {
    /// `pi_…`
    pub(super) id: String,
    pub(super) status: Status,
    amount: u64,
    received: u64,
    currency: String,
    /// The challenge that it was made for.
    pub(super) challenge: Option<String>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The money moved.
    Succeeded,
    /// It never will.
    Canceled,
    /// It was declined. Only its owner could give it another card, and does not.
    Declined,
    /// It waits for its payer, who is not there.
    RequiresAction,
    /// It may move yet.
    Open,
}

impl Status {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "succeeded" => Self::Succeeded,
            "canceled" => Self::Canceled,
            "requires_payment_method" => Self::Declined,
            "requires_action" => Self::RequiresAction,
            // `processing`, `requires_capture`, `requires_confirmation`, and what may be invented yet.
            _ => Self::Open,
        }
    }
}

impl PaymentIntent {
    /// Reads one; `None` where it is none.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        if text("object") != Some("payment_intent") {
            return None;
        }
        let number = |name: &str| body.get(name).and_then(Value::as_u64);
        let id = text("id").filter(|id| id.starts_with("pi_") && is_id(id))?;
        let challenge = body.get("metadata").and_then(|notes| notes.get("mpp_challenge_id"));
        Some(Self {
            id: id.to_owned(),
            status: Status::parse(text("status")?),
            amount: number("amount")?,
            received: number("amount_received")?,
            currency: text("currency")?.to_owned(),
            challenge: challenge.and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Whether all of this moved, and nothing else.
    pub(super) fn moved(&self, amount: u64, currency: &str) -> bool {
        self.status == Status::Succeeded
            && self.amount == amount
            && self.received == amount
            && self.currency == currency
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_moved_is_what_was_asked_or_it_did_not() {
        let read = |amount, received, currency: &str, status: &str| {
            let body = json!({ "object": "payment_intent", "id": "pi_1", "amount": amount,
                "amount_received": received, "currency": currency, "status": status });
            PaymentIntent::read(&body).unwrap().moved(500, "usd")
        };
        assert!(read(500, 500, "usd", "succeeded"));
        for (amount, received, currency, status) in [
            (500, 499, "usd", "succeeded"),
            (499, 499, "usd", "succeeded"),
            (501, 501, "usd", "succeeded"),
            (500, 500, "eur", "succeeded"),
            (500, 500, "usd", "processing"),
            (500, 0, "usd", "requires_capture"),
        ] {
            assert!(
                !read(amount, received, currency, status),
                "{amount} {received} {currency} {status}"
            );
        }
    }

    #[test]
    fn what_is_no_payment_intent_is_not_read_as_one() {
        let good = json!({ "object": "payment_intent", "id": "pi_1", "amount": 1, "amount_received": 1,
            "currency": "usd", "status": "succeeded" });
        assert!(PaymentIntent::read(&good).is_some());
        for (member, value) in [
            ("object", json!("charge")),
            ("id", json!("../x")),
            ("id", json!("pi_1/cancel")),
            ("id", json!("")),
            ("amount", json!(-1)),
            ("amount", json!(1.5)),
            ("amount_received", json!(null)),
            ("currency", json!(7)),
            ("status", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert_eq!(PaymentIntent::read(&bad), None, "{bad}");
        }
        assert_eq!(PaymentIntent::read(&json!([])), None);
    }
}
