//! How an invoice is collected: by one PaymentIntent, as often as it takes.

use serde_json::{Map, Value, json};

use super::{
    books::{Books, id_of},
    card::{Card, Outcome},
    customers::of_customer,
    events, invoices,
    payment_intents::{self, Charge},
    refused::Refused,
    subscriptions,
};

/// Charges what is open to this payment method, or to the subscription's. A decline is written down, and returned.
pub(super) fn collect(books: &mut Books, id: &str, method: Option<&str>) -> Result<(), Refused> {
    let Some(invoice) = books.record(invoices::KIND, id).map(|record| record.value.clone()) else {
        return Ok(());
    };
    let subscription = invoices::subscription_of(&invoice).unwrap_or_default().to_owned();
    let customer = invoice["customer"].as_str().unwrap_or_default().to_owned();
    let owing = books.record(subscriptions::KIND, &subscription);
    let (card, method) = match method {
        Some(method) => {
            (of_customer(books, method, &customer, "payment_method")?, Some(method.to_owned()))
        }
        None => match owing.and_then(|record| subscriptions::card(books, &record.value)) {
            Some(found) => found,
            None => return failed(books, id, Err(no_card())),
        },
    };
    if pending(books, id) {
        let said = "This invoice has a payment that is processing.";
        return Err(Refused::invalid(said).code("invoice_payment_intent_processing").stored());
    }
    if invoice["amount_due"] == 0 {
        paid(books, id);
        return Ok(());
    }
    let declined = charge(books, &invoice, &customer, card, method.as_deref());
    match (declined, card.charge()) {
        (Some(refused), _) => failed(books, id, Err(refused)),
        (None, Outcome::Succeeded) => {
            paid(books, id);
            Ok(())
        }
        (None, Outcome::Processing) => Ok(()),
        (None, Outcome::RequiresAction | Outcome::Declined(_)) => {
            let said = "This payment requires additional user action before it can be completed successfully.";
            failed(
                books,
                id,
                Err(Refused::card("invoice_payment_intent_requires_action", None, said)),
            )
        }
    }
}

/// Whether a payment of it is under way.
fn pending(books: &Books, invoice: &str) -> bool {
    let intent = payment(books, invoice);
    let record = intent.and_then(|intent| books.record("payment_intent", &intent));
    record.is_some_and(|record| record.value["status"] == "processing")
}

fn no_card() -> Refused {
    Refused::invalid("Cannot charge a customer that has no active card").code("missing").stored()
}

/// Tries the PaymentIntent that the invoice has, or makes one.
fn charge(
    books: &mut Books,
    invoice: &Value,
    customer: &str,
    card: Card,
    method: Option<&str>,
) -> Option<Refused> {
    if let Some(intent) = payment(books, id_of(invoice)) {
        return payment_intents::again(books, &intent, card, method);
    }
    let currency = invoice["currency"].as_str().unwrap_or_default();
    let amount = invoice["amount_due"].as_i64().unwrap_or_default();
    let charge = Charge {
        amount,
        currency,
        card: Some(card),
        token: None,
        payment_method: method,
        customer: Some(customer),
    };
    let description =
        if invoice["billing_reason"] == "subscription_create" { "creation" } else { "update" };
    let mut extra = Map::new();
    extra.insert("description".to_owned(), json!(format!("Subscription {description}")));
    let owner = books.owner_of(id_of(invoice));
    let charged = payment_intents::charged(books, owner, &charge, true, extra);
    invoices::keep_payment(books, invoice, &charged.id);
    charged.declined
}

/// The PaymentIntent of an invoice.
fn payment(books: &Books, invoice: &str) -> Option<String> {
    let payment = books.of(invoices::PAYMENT).find(|payment| payment["invoice"] == invoice)?;
    payment["payment"]["payment_intent"].as_str().map(str::to_owned)
}

/// What became of a PaymentIntent that was processing, for the invoice that it pays.
pub(super) fn concluded(books: &mut Books, intent: &str, declined: Option<Refused>) {
    let mut payments = books.of(invoices::PAYMENT);
    let payment = payments.find(|payment| payment["payment"]["payment_intent"] == intent);
    let Some(invoice) = payment.and_then(|payment| payment["invoice"].as_str()).map(str::to_owned)
    else {
        return;
    };
    drop(payments);
    match declined {
        Some(refused) => drop(failed(books, &invoice, Err(refused))),
        None => paid(books, &invoice),
    }
}

fn paid(books: &mut Books, id: &str) {
    let now = books.now();
    let invoice = books.change(invoices::KIND, id, |invoice| {
        attempted(invoice);
        invoice["status"] = "paid".into();
        invoice["amount_paid"] = invoice["amount_due"].clone();
        invoice["amount_remaining"] = 0.into();
        invoice["auto_advance"] = false.into();
        invoice["status_transitions"]["paid_at"] = now.into();
    });
    let payments = books.objects(invoices::PAYMENT);
    for payment in payments.iter().filter(|payment| payment["invoice"] == id) {
        books.change(invoices::PAYMENT, id_of(payment), |payment| {
            payment["status"] = "paid".into();
            payment["amount_paid"] = payment["amount_requested"].clone();
            payment["status_transitions"]["paid_at"] = now.into();
        });
    }
    events::emit(books, "invoice.paid", &invoice);
    let owed = matches!(status(books, &invoice).as_str(), "incomplete" | "past_due");
    move_to(books, &invoice, owed, "active");
}

fn failed(books: &mut Books, id: &str, why: Result<(), Refused>) -> Result<(), Refused> {
    let invoice = books.change(invoices::KIND, id, attempted);
    events::emit(books, "invoice.payment_failed", &invoice);
    let was_good = status(books, &invoice) == "active";
    move_to(books, &invoice, was_good, "past_due");
    why
}

fn attempted(invoice: &mut Value) {
    invoice["attempted"] = true.into();
    invoice["attempt_count"] = (invoice["attempt_count"].as_i64().unwrap_or_default() + 1).into();
}

fn status(books: &Books, invoice: &Value) -> String {
    let subscription = invoices::subscription_of(invoice);
    let record = subscription.and_then(|id| books.record(subscriptions::KIND, id));
    record.and_then(|record| record.value["status"].as_str()).unwrap_or_default().to_owned()
}

fn move_to(books: &mut Books, invoice: &Value, moves: bool, status: &str) {
    let Some(id) = invoices::subscription_of(invoice).filter(|_| moves) else { return };
    let first = invoice["billing_reason"] == "subscription_create";
    let value = books
        .change(subscriptions::KIND, id, |subscription| subscription["status"] = status.into());
    // The event of its making comes later, and tells its status.
    if !first || books.created(id) {
        events::emit(books, "customer.subscription.updated", &value);
    }
}
