//! Invoices of subscriptions: drafted, finalised, paid, voided or given up.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, id_of, with_nulls},
    collect, events, list,
    refused::Refused,
    subscriptions,
};

pub(super) const KIND: &str = "invoice";
pub(super) const PAYMENT: &str = "invoice_payment";

/// How long a renewal is a draft.
const DRAFT: i64 = 60 * 60;

/// An invoice for the subscription's period as it is now. It is a draft.
pub(super) fn draft(books: &mut Books, subscription: &str, reason: &str) -> String {
    let Some(record) = books.record(subscriptions::KIND, subscription) else {
        return String::new();
    };
    let (owner, value) = (record.owner.clone(), record.value.clone());
    let (id, now) = (books.fresh("in_"), books.now());
    let first = reason == "subscription_create";
    let line = line(books, &id, &value);
    let amount = line["amount"].clone();
    let started = if first { now } else { previous(books, subscription).unwrap_or(now) };
    const NULLS: [&str; 33] = [
        "account_name",
        "account_tax_ids",
        "application",
        "automatically_finalizes_at",
        "custom_fields",
        "customer_account",
        "customer_address",
        "customer_email",
        "customer_name",
        "customer_phone",
        "customer_shipping",
        "default_payment_method",
        "default_source",
        "description",
        "due_date",
        "effective_at",
        "ending_balance",
        "footer",
        "from_invoice",
        "hosted_invoice_url",
        "invoice_pdf",
        "last_finalization_error",
        "latest_revision",
        "next_payment_attempt",
        "number",
        "on_behalf_of",
        "receipt_number",
        "rendering",
        "shipping_cost",
        "shipping_details",
        "statement_descriptor",
        "subscription",
        "webhooks_delivered_at",
    ];
    const ZEROS: [&str; 7] = [
        "amount_overpaid",
        "amount_paid",
        "amount_shipping",
        "attempt_count",
        "post_payment_credit_notes_amount",
        "pre_payment_credit_notes_amount",
        "starting_balance",
    ];
    const SUMS: [&str; 6] = [
        "amount_due",
        "amount_remaining",
        "subtotal",
        "subtotal_excluding_tax",
        "total",
        "total_excluding_tax",
    ];
    const EMPTY: [&str; 7] = [
        "customer_tax_ids",
        "default_tax_rates",
        "discounts",
        "total_discount_amounts",
        "total_pretax_credit_amounts",
        "total_taxes",
        "issuer",
    ];
    let mut invoice = with_nulls(
        &NULLS,
        json!({
            "account_country": "US", "attempted": false, "auto_advance": true,
            "automatic_tax": {
                "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null,
            },
            "billing_reason": reason, "collection_method": "charge_automatically", "created": now,
            "currency": value["currency"], "customer": value["customer"], "customer_tax_exempt": "none", "id": id,
            "lines": { "data": [line], "has_more": false, "object": "list", "url": format!("/v1/invoices/{id}/lines") },
            "livemode": false, "metadata": {}, "object": KIND,
            "parent": {
                "quote_details": null, "type": "subscription_details",
                "subscription_details": { "metadata": value["metadata"], "subscription": subscription },
            },
            "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
            "period_end": now, "period_start": started, "status": "draft", "test_clock": null,
            "status_transitions": {
                "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null,
            },
        }),
    );
    if let Some(members) = invoice.as_object_mut() {
        members.extend(ZEROS.map(|name| (name.to_owned(), json!(0))));
        members.extend(SUMS.map(|name| (name.to_owned(), amount.clone())));
        members.extend(EMPTY.map(|name| (name.to_owned(), json!([]))));
        members.insert("issuer".to_owned(), json!({ "type": "self" }));
        if !first {
            members.insert("automatically_finalizes_at".to_owned(), (now + DRAFT).into());
        }
    }
    books.keep(KIND, owner, invoice.clone(), Hidden::default());
    books.change(subscriptions::KIND, subscription, |value| {
        value["latest_invoice"] = id.as_str().into()
    });
    events::emit(books, "invoice.created", &invoice);
    id
}

/// The start of the period that was invoiced last.
fn previous(books: &Books, subscription: &str) -> Option<i64> {
    let of = |invoice: &Value| subscription_of(invoice) == Some(subscription);
    let last = books.of(KIND).rev().find(|invoice| of(invoice))?;
    last["lines"]["data"][0]["period"]["start"].as_i64()
}

/// The subscription that an invoice is of.
pub(super) fn subscription_of(invoice: &Value) -> Option<&str> {
    invoice["parent"]["subscription_details"]["subscription"].as_str()
}

fn line(books: &mut Books, invoice: &str, subscription: &Value) -> Value {
    let item = &subscription["items"]["data"][0];
    let (price, quantity) = (&item["price"], item["quantity"].as_i64().unwrap_or(1));
    let amount = price["unit_amount"].as_i64().unwrap_or_default().saturating_mul(quantity);
    json!({
        "amount": amount, "currency": subscription["currency"],
        "description": format!("{quantity} × {}", price["product"].as_str().unwrap_or_default()),
        "discount_amounts": [], "discountable": true, "discounts": [], "id": books.fresh("il_"), "invoice": invoice,
        "livemode": false, "metadata": {}, "object": "line_item",
        "parent": {
            "invoice_item_details": null, "type": "subscription_item_details",
            "subscription_item_details": {
                "invoice_item": null, "proration": false, "proration_details": { "credited_items": null },
                "subscription": subscription["id"], "subscription_item": item["id"],
            },
        },
        "period": { "end": item["current_period_end"], "start": item["current_period_start"] },
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": { "price": price["id"], "product": price["product"] }, "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity, "quantity_decimal": quantity.to_string(), "subscription": subscription["id"],
        "subtotal": amount, "taxes": [],
    })
}

/// Makes a draft final: it is open then, and paid where nothing is due.
pub(super) fn finalize(books: &mut Books, id: &str) {
    let now = books.now();
    let number = format!("SIM-{:04}", books.of(KIND).count());
    let value = books.change(KIND, id, |invoice| {
        invoice["status"] = "open".into();
        invoice["number"] = number.into();
        invoice["status_transitions"]["finalized_at"] = now.into();
        invoice["effective_at"] = now.into();
        invoice["automatically_finalizes_at"] = Value::Null;
    });
    events::emit(books, "invoice.finalized", &value);
}

/// What is asked of one invoice: `POST /v1/invoices/:id/…`.
pub(super) fn act(books: &mut Books, ask: &Ask, id: &str, act: &str) -> Result<Value, Refused> {
    ask.only(&["auto_advance", "payment_method", "off_session", "paid_out_of_band"], &[])?;
    let status = books.find(KIND, id, ask)?.value["status"].as_str().unwrap_or_default().to_owned();
    let from: &[&str] = match act {
        "finalize" => &["draft"],
        "pay" => &["draft", "open", "uncollectible"],
        "void" => &["open", "uncollectible"],
        _ => &["open"],
    };
    if !from.contains(&status.as_str()) {
        return Err(refused_in(&status));
    }
    if status == "draft" {
        finalize(books, id);
    }
    match act {
        "pay" => collect::collect(books, id, ask.form.text("payment_method"))?,
        "void" => stop(books, id, "void", "voided_at"),
        "mark_uncollectible" => stop(books, id, "uncollectible", "marked_uncollectible_at"),
        _ => {}
    }
    Ok(books.find(KIND, id, ask)?.value.clone())
}

fn refused_in(status: &str) -> Refused {
    let (said, code) = match status {
        "paid" => ("Invoice is already paid", Some("invoice_already_paid")),
        _ => ("This invoice cannot be changed that way in its status", None),
    };
    let refused = Refused::invalid(said).stored();
    match code {
        Some(code) => refused.code(code),
        None => refused,
    }
}

fn stop(books: &mut Books, id: &str, status: &str, when: &str) {
    let now = books.now();
    let value = books.change(KIND, id, |invoice| {
        invoice["status"] = status.into();
        invoice["status_transitions"][when] = now.into();
        invoice["auto_advance"] = false.into();
    });
    let what = if status == "void" { "voided" } else { "marked_uncollectible" };
    events::emit(books, &format!("invoice.{what}"), &value);
}

/// `GET /v1/invoices`.
pub(super) fn list(books: &Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(
        &[
            "limit",
            "starting_after",
            "ending_before",
            "created[gt]",
            "created[gte]",
            "created[lt]",
            "created[lte]",
            "customer",
            "status",
            "subscription",
            "collection_method",
        ],
        &[],
    )?;
    let form = &ask.form;
    let wanted = |invoice: &Value| {
        list::fits(form, invoice, &["customer", "status", "collection_method"])
            && form.text("subscription").is_none_or(|id| subscription_of(invoice) == Some(id))
    };
    let found = books.seen(KIND, ask).map(|record| &record.value);
    list::page(ask, found.filter(|invoice| wanted(invoice)).collect())
}

/// `GET /v1/invoices/:id/lines`.
pub(super) fn lines(books: &Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&["limit", "starting_after", "ending_before"], &[])?;
    Ok(books.find(KIND, id, ask)?.value["lines"].clone())
}

/// The payments of an invoice, as its member `payments`.
pub(super) fn payments(books: &Books, id: &str) -> Value {
    let data = Vec::from_iter(books.of(PAYMENT).filter(|payment| payment["invoice"] == id));
    json!({ "data": data, "has_more": false, "object": "list", "url": format!("/v1/invoice_payments?invoice={id}") })
}

/// The payment of an invoice that is not decided, or else a new one by this PaymentIntent.
pub(super) fn keep_payment(books: &mut Books, invoice: &Value, intent: &str) {
    let (id, owner) = (books.fresh("inpay_"), books.owner_of(id_of(invoice)));
    let value = json!({
        "amount_paid": null, "amount_requested": invoice["amount_due"], "created": books.now(),
        "currency": invoice["currency"], "id": id, "invoice": invoice["id"], "is_default": true, "livemode": false,
        "object": PAYMENT, "payment": { "payment_intent": intent, "type": "payment_intent" }, "status": "open",
        "status_transitions": { "canceled_at": null, "paid_at": null },
    });
    books.keep(PAYMENT, owner, value, Hidden::default());
}
