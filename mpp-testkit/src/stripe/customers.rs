//! Customers, and the payment methods that are attached to them.

use serde_json::{Map, Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, with_nulls},
    card::{Card, nobody},
    payment_intents::known_card,
    refused::Refused,
};

const KIND: &str = "customer";
const METHOD: &str = "payment_method";

const KNOWN: [&str; 7] = [
    "email",
    "name",
    "description",
    "phone",
    "metadata[*]",
    "payment_method",
    "invoice_settings[default_payment_method]",
];

/// `POST /v1/customers`.
pub(super) fn create(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&KNOWN, &[])?;
    let form = &ask.form;
    let metadata = form.metadata("metadata")?;
    if let Some(method) = form.text("payment_method") {
        known_card(books, method, "payment_method")?.attach()?;
    }
    let (id, now) = (books.fresh("cus_"), books.now());
    let prefix = books.fresh("").to_ascii_uppercase();
    const NULLS: [&str; 5] = ["address", "default_source", "discount", "shipping", "test_clock"];
    let value = with_nulls(
        &NULLS,
        json!({
            "balance": 0, "created": now, "currency": null, "delinquent": false,
            "description": form.text("description"), "email": form.text("email"), "id": id,
            "invoice_prefix": prefix.get(..8),
            "invoice_settings": {
                "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
            },
            "livemode": false, "metadata": metadata, "name": form.text("name"), "next_invoice_sequence": 1,
            "object": KIND, "phone": form.text("phone"), "preferred_locales": [], "tax_exempt": "none",
        }),
    );
    books.keep(KIND, ask.account.clone(), value, Hidden::default());
    if let Some(method) = form.text("payment_method") {
        attached(books, ask, method, &id)?;
    }
    set_default(books, ask, &id)?;
    Ok(books.find(KIND, &id, ask)?.value.clone())
}

/// `POST /v1/customers/:id`.
pub(super) fn update(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&KNOWN, &[])?;
    books.find(KIND, id, ask)?;
    let metadata = ask.form.metadata("metadata")?;
    set_default(books, ask, id)?;
    Ok(books.change(KIND, id, |customer| {
        for name in ["email", "name", "description", "phone"] {
            if let Some(text) = ask.form.text(name) {
                customer[name] = text.into();
            }
        }
        merge(&mut customer["metadata"], metadata);
    }))
}

/// Puts new members of metadata over the old.
pub(super) fn merge(metadata: &mut Value, new: Map<String, Value>) {
    if let Some(members) = metadata.as_object_mut() {
        members.extend(new);
    }
}

fn set_default(books: &mut Books, ask: &Ask, id: &str) -> Result<(), Refused> {
    const PARAM: &str = "invoice_settings[default_payment_method]";
    let Some(method) = ask.form.text(PARAM) else { return Ok(()) };
    of_customer(books, method, id, PARAM)?;
    books.change(KIND, id, |customer| {
        customer["invoice_settings"]["default_payment_method"] = method.into()
    });
    Ok(())
}

/// The card of a payment method that must be attached to this customer.
pub(super) fn of_customer(
    books: &Books,
    method: &str,
    customer: &str,
    param: &str,
) -> Result<Card, Refused> {
    let card = known_card(books, method, param)?;
    let attached =
        books.record(METHOD, method).is_some_and(|record| record.value["customer"] == customer);
    if attached {
        return Ok(card);
    }
    let said = format!(
        "The customer does not have a payment method with the ID {method}. The payment method must be attached to the customer."
    );
    Err(Refused::invalid(said).code("resource_missing").at(param))
}

/// `POST /v1/payment_methods`: a card by one of Stripe's test tokens, `tok_visa`.
pub(super) fn create_method(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&["type", "card[token]", "metadata[*]", "billing_details[*]"], &[])?;
    let form = &ask.form;
    if form.required("type")? != "card" {
        return Err(Refused::invalid("This account takes cards alone").at("type"));
    }
    let token = form.required("card[token]")?;
    let named = token.strip_prefix("tok_").map(|rest| format!("pm_card_{rest}"));
    let card = named
        .as_deref()
        .and_then(Card::of)
        .ok_or_else(|| Refused::no_such("token", token, "card[token]"))?;
    let metadata = form.metadata("metadata")?;
    let id = books.fresh("pm_");
    Ok(keep_method(books, ask, &id, card, None, metadata))
}

/// `GET /v1/payment_methods/:id`: Stripe shows its test cards under their names, too.
pub(super) fn get_method(books: &Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&[], &[])?;
    match (books.find(METHOD, id, ask), Card::of(id)) {
        (Err(_), Some(card)) => Ok(shown(id, card, None, books.now(), Map::new())),
        (found, _) => Ok(found?.value.clone()),
    }
}

/// `POST /v1/payment_methods/:id/attach`.
pub(super) fn attach(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&["customer"], &[])?;
    let customer = ask.form.required("customer")?;
    if books.find(KIND, customer, ask).is_err() {
        return Err(Refused::no_such("customer", customer, "customer"));
    }
    known_card(books, id, "id")?.attach()?;
    attached(books, ask, id, customer)
}

/// `POST /v1/payment_methods/:id/detach`.
pub(super) fn detach(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&[], &[])?;
    books.find(METHOD, id, ask)?;
    Ok(books.change(METHOD, id, |method| method["customer"] = Value::Null))
}

/// A test card is attached as a payment method of its own; one that exists, once.
fn attached(books: &mut Books, ask: &Ask, id: &str, customer: &str) -> Result<Value, Refused> {
    if let Some(card) = Card::of(id) {
        let id = books.fresh("pm_");
        return Ok(keep_method(books, ask, &id, card, Some(customer), Map::new()));
    }
    let owner = books.find(METHOD, id, ask)?.value["customer"].clone();
    if !owner.is_null() && owner != customer {
        let said = "The payment method you provided has already been attached to a customer.";
        return Err(Refused::invalid(said).stored());
    }
    Ok(books.change(METHOD, id, |method| method["customer"] = customer.into()))
}

fn keep_method(
    books: &mut Books,
    ask: &Ask,
    id: &str,
    card: Card,
    customer: Option<&str>,
    metadata: Map<String, Value>,
) -> Value {
    let value = shown(id, card, customer, books.now(), metadata);
    let hidden = Hidden { card: Some(card), ..Hidden::default() };
    books.keep(METHOD, ask.account.clone(), value.clone(), hidden);
    value
}

fn shown(
    id: &str,
    card: Card,
    customer: Option<&str>,
    now: i64,
    metadata: Map<String, Value>,
) -> Value {
    json!({
        "billing_details": nobody(), "card": card.shown(), "created": now, "customer": customer,
        "customer_account": null, "id": id, "livemode": false, "metadata": metadata, "object": METHOD, "type": "card",
    })
}
