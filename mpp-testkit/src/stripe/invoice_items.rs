//! Invoice items: what waits for a customer's next invoice.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, with_nulls},
    list,
    refused::Refused,
};

const KIND: &str = "invoiceitem";

/// `POST /v1/invoiceitems`.
pub(super) fn create(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&["customer", "amount", "currency", "description", "subscription"], &[])?;
    let form = &ask.form;
    let customer = form.required("customer")?;
    if books.find("customer", customer, ask).is_err() {
        return Err(Refused::no_such("customer", customer, "customer"));
    }
    let (currency, amount) = (form.required("currency")?, form.integer("amount")?.unwrap_or(0));
    let (id, now) = (books.fresh("ii_"), books.now());
    const NULLS: [&str; 7] = [
        "customer_account",
        "invoice",
        "parent",
        "pricing",
        "proration_details",
        "tax_rates",
        "test_clock",
    ];
    let value = with_nulls(
        &NULLS,
        json!({
            "amount": amount, "currency": currency, "customer": customer, "date": now, "created": now,
            "description": form.text("description"), "discountable": true, "discounts": [], "id": id,
            "livemode": false, "metadata": {}, "net_amount": amount, "object": KIND,
            "period": { "end": now, "start": now }, "proration": false, "quantity": 1,
            "subscription": form.text("subscription"),
        }),
    );
    books.keep(KIND, ask.account.clone(), value.clone(), Hidden::default());
    Ok(value)
}

/// `GET /v1/invoiceitems`: this simulator puts none on an invoice, so that all of them wait.
pub(super) fn list(books: &Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&["customer", "pending", "limit", "starting_after", "ending_before"], &[])?;
    let pending = ask.form.flag("pending")?.unwrap_or(true);
    let found = books.seen(KIND, ask).map(|record| &record.value);
    let wanted = |item: &&Value| {
        pending && item["deleted"] != true && list::fits(&ask.form, item, &["customer"])
    };
    list::page(ask, found.filter(wanted).collect())
}

/// `DELETE /v1/invoiceitems/:id`.
pub(super) fn delete(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&[], &[])?;
    if books.find(KIND, id, ask)?.value["deleted"] == true {
        return Err(Refused::not_found(KIND, id).stored());
    }
    books.change(KIND, id, |item| item["deleted"] = true.into());
    Ok(json!({ "deleted": true, "id": id, "object": KIND }))
}
