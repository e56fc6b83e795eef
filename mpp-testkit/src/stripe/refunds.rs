//! Refunds, whole or in part.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, with_nulls},
    events,
    refused::Refused,
};

const KIND: &str = "refund";

/// `POST /v1/refunds`.
pub(super) fn create(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(
        &[
            "payment_intent",
            "amount",
            "reason",
            "metadata[*]",
            "refund_application_fee",
            "reverse_transfer",
        ],
        &[],
    )?;
    let form = &ask.form;
    let intent = form.required("payment_intent")?;
    let asked = form.integer("amount")?;
    let metadata = form.metadata("metadata")?;
    let reason = form.text("reason");
    if reason.is_some_and(|reason| {
        !["duplicate", "fraudulent", "requested_by_customer"].contains(&reason)
    }) {
        return Err(Refused::invalid("Invalid reason").at("reason"));
    }
    let charged = books
        .find("payment_intent", intent, ask)
        .map_err(|_| Refused::no_such("payment_intent", intent, "payment_intent"))?
        .value
        .clone();
    if charged["status"] != "succeeded" {
        let said =
            format!("This PaymentIntent ({intent}) does not have a successful charge to refund.");
        return Err(Refused::invalid(said).code("payment_intent_unexpected_state").stored());
    }
    let left = charged["amount_received"].as_i64().unwrap_or_default() - refunded(books, intent);
    let amount = asked.unwrap_or(left);
    if left == 0 {
        let said = format!(
            "Charge {} has already been refunded.",
            charged["latest_charge"].as_str().unwrap_or_default()
        );
        return Err(Refused::invalid(said).code("charge_already_refunded").stored());
    }
    if amount < 1 {
        return Err(Refused::invalid("This value must be greater than or equal to 1.").at("amount"));
    }
    if amount > left {
        let said = format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        );
        return Err(Refused::invalid(said).at("amount").stored());
    }
    let id = books.fresh("re_");
    let balance = books.fresh("txn_");
    const NULLS: [&str; 4] =
        ["receipt_number", "source_transfer_reversal", "transfer_reversal", "customer_account"];
    let value = with_nulls(
        &NULLS,
        json!({
            "amount": amount, "balance_transaction": balance, "charge": charged["latest_charge"], "created": books.now(),
            "currency": charged["currency"], "customer": charged["customer"], "id": id, "metadata": metadata,
            "object": KIND, "payment_intent": intent, "payment_method": charged["payment_method"], "reason": reason,
            "status": "succeeded",
        }),
    );
    books.keep(KIND, ask.account.clone(), value.clone(), Hidden::default());
    events::emit(books, "refund.created", &value);
    Ok(value)
}

/// What was given back of a PaymentIntent, in its currency's smallest unit.
fn refunded(books: &Books, intent: &str) -> i64 {
    let of = books.of(KIND).filter(|refund| refund["payment_intent"] == intent);
    of.filter_map(|refund| refund["amount"].as_i64()).sum()
}
