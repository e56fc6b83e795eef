//! Subscriptions of one item: made and paid for at once, changed, and cancelled.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, id_of, with_nulls},
    card::{Card, Outcome},
    catalogue::{self, Terms},
    collect,
    customers::{merge, of_customer},
    events, invoices, list,
    period::Every,
    refused::Refused,
};

pub(super) const KIND: &str = "subscription";

const KNOWN: [&str; 24] = [
    "customer",
    "items[][price]",
    "items[][quantity]",
    "items[][metadata][*]",
    "items[][price_data][currency]",
    "items[][price_data][product]",
    "items[][price_data][unit_amount]",
    "items[][price_data][recurring][interval]",
    "items[][price_data][recurring][interval_count]",
    "payment_behavior",
    "collection_method",
    "proration_behavior",
    "default_payment_method",
    "metadata[*]",
    "description",
    "off_session",
    "cancel_at_period_end",
    "application_fee_percent",
    "on_behalf_of",
    "transfer_data[destination]",
    "transfer_data[amount_percent]",
    "currency",
    "payment_settings[save_default_payment_method]",
    "payment_settings[payment_method_types][]",
];

/// What a subscription is begun with.
struct Plan {
    price: Value,
    quantity: i64,
    every: Every,
    method: Option<String>,
    card: Option<Card>,
}

/// `POST /v1/subscriptions`.
pub(super) fn create(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&KNOWN, &[])?;
    let form = &ask.form;
    let customer = form.required("customer")?;
    if books.find("customer", customer, ask).is_err() {
        return Err(Refused::no_such("customer", customer, "customer"));
    }
    let metadata = form.metadata("metadata")?;
    one_of(ask, "collection_method", &["charge_automatically"])?;
    one_of(ask, "proration_behavior", &["none", "create_prorations", "always_invoice"])?;
    let behaviors = ["allow_incomplete", "default_incomplete", "error_if_incomplete"];
    let behavior = one_of(ask, "payment_behavior", &behaviors)?.unwrap_or("allow_incomplete");
    let ending = form.flag("cancel_at_period_end")?.unwrap_or(false);
    let plan = plan(books, ask, customer)?;
    if behavior == "error_if_incomplete" {
        payable(plan.card)?;
    }
    let id = keep(books, ask, customer, &plan);
    books.change(KIND, &id, |subscription| {
        subscription["metadata"] = Value::Object(metadata);
        subscription["description"] = form.text("description").into();
        subscription["on_behalf_of"] = form.text("on_behalf_of").into();
        subscription["cancel_at_period_end"] = ending.into();
    });
    let invoice = invoices::draft(books, &id, "subscription_create");
    invoices::finalize(books, &invoice);
    if behavior != "default_incomplete" {
        // What was declined is told by the subscription's status.
        let _ = collect::collect(books, &invoice, None);
    }
    events::emit_of(books, "customer.subscription.created", KIND, &id);
    Ok(books.find(KIND, &id, ask)?.value.clone())
}

/// Whether the first payment will succeed or at least not fail: nothing is made otherwise.
fn payable(card: Option<Card>) -> Result<(), Refused> {
    match card.map(Card::charge) {
        Some(Outcome::Succeeded | Outcome::Processing) => Ok(()),
        Some(Outcome::Declined(refused)) => Err(refused),
        Some(Outcome::RequiresAction) => {
            let said = "Payment for this subscription requires additional user action before it can be completed.";
            Err(Refused::card("subscription_payment_intent_requires_action", None, said))
        }
        None => {
            let said = "This customer has no attached payment source or default payment method.";
            Err(Refused::invalid(said).code("resource_missing").stored())
        }
    }
}

fn one_of<'a>(ask: &'a Ask, name: &str, known: &[&str]) -> Result<Option<&'a str>, Refused> {
    match ask.form.text(name) {
        Some(value) if !known.contains(&value) => {
            let said = format!("Invalid {name}: must be one of {}", known.join(", "));
            Err(Refused::invalid(said).at(name))
        }
        value => Ok(value),
    }
}

fn plan(books: &mut Books, ask: &Ask, customer: &str) -> Result<Plan, Refused> {
    let form = &ask.form;
    if form
        .pairs
        .iter()
        .any(|(name, _)| name.starts_with("items[") && !name.starts_with("items[0]"))
    {
        return Err(
            Refused::invalid("The simulator knows subscriptions of one item alone").at("items")
        );
    }
    let (method, card) = match form.text("default_payment_method") {
        Some(method) => (
            Some(method.to_owned()),
            Some(of_customer(books, method, customer, "default_payment_method")?),
        ),
        None => (None, customer_card(books, customer)),
    };
    let quantity = form.integer("items[0][quantity]")?.unwrap_or(1);
    if quantity < 1 {
        return Err(Refused::invalid("Invalid positive integer").at("items[0][quantity]"));
    }
    let price = match form.text("items[0][price]") {
        Some(price) => books
            .find("price", price, ask)
            .map_err(|_| Refused::no_such("price", price, "items[0][price]"))?
            .value
            .clone(),
        None if form.has("items") => {
            let terms = Terms::read(ask, "items[0][price_data]")?;
            let product = form.required("items[0][price_data][product]")?;
            books.find("product", product, ask).map_err(|_| {
                Refused::no_such("product", product, "items[0][price_data][product]")
            })?;
            catalogue::keep_price(books, ask, &terms, product)
        }
        None => return Err(Refused::missing("items")),
    };
    let every = every(&price).filter(|_| price["active"] == true);
    let every = every.ok_or_else(|| {
        Refused::invalid("The price must be active and recurring").at("items[0][price]")
    })?;
    Ok(Plan { price, quantity, every, method, card })
}

/// How often a price is due.
pub(super) fn every(price: &Value) -> Option<Every> {
    let recurring = &price["recurring"];
    Every::read(recurring["interval"].as_str()?, recurring["interval_count"].as_i64()?)
}

fn customer_card(books: &Books, customer: &str) -> Option<Card> {
    let record = books.record("customer", customer)?;
    let method = record.value["invoice_settings"]["default_payment_method"].as_str()?;
    books.record("payment_method", method)?.hidden.card
}

/// What a subscription is charged to: its own method, else its customer's.
pub(super) fn card(books: &Books, subscription: &Value) -> Option<(Card, Option<String>)> {
    let customer = subscription["customer"].as_str().unwrap_or_default();
    match subscription["default_payment_method"].as_str() {
        Some(method) => {
            Some((books.record("payment_method", method)?.hidden.card?, Some(method.to_owned())))
        }
        None => Some((customer_card(books, customer)?, None)),
    }
}

fn keep(books: &mut Books, ask: &Ask, customer: &str, plan: &Plan) -> String {
    let (id, now) = (books.fresh("sub_"), books.now());
    let item = item(books, &id, plan, now);
    const NULLS: [&str; 24] = [
        "application",
        "application_fee_percent",
        "billing_cycle_anchor_config",
        "billing_thresholds",
        "cancel_at",
        "canceled_at",
        "customer_account",
        "days_until_due",
        "default_source",
        "description",
        "ended_at",
        "latest_invoice",
        "managed_payments",
        "next_pending_invoice_item_invoice",
        "on_behalf_of",
        "pause_collection",
        "pending_invoice_item_interval",
        "pending_setup_intent",
        "pending_update",
        "schedule",
        "test_clock",
        "transfer_data",
        "trial_end",
        "trial_start",
    ];
    let rest = json!({
        "cancellation_details": { "comment": null, "feedback": null, "reason": null, "feedback_option": null },
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
            "issuer": { "type": "self" },
        },
        "payment_settings": {
            "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
        },
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "items": {
            "data": [item], "has_more": false, "object": "list",
            "url": format!("/v1/subscription_items?subscription={id}"),
        },
    });
    let mut value = with_nulls(
        &NULLS,
        json!({
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": now, "billing_mode": { "flexible": null, "type": "classic" },
            "billing_schedules": [], "cancel_at_period_end": false, "collection_method": "charge_automatically",
            "created": now, "currency": plan.price["currency"], "customer": customer,
            "default_payment_method": plan.method, "default_tax_rates": [], "discounts": [], "id": id,
            "livemode": false, "metadata": {}, "object": KIND, "start_date": now, "status": "incomplete",
        }),
    );
    if let (Some(members), Value::Object(rest)) = (value.as_object_mut(), rest) {
        members.extend(rest);
    }
    books.keep(KIND, ask.account.clone(), value, Hidden::default());
    id
}

fn item(books: &mut Books, subscription: &str, plan: &Plan, now: i64) -> Value {
    let price = &plan.price;
    let end = plan.every.end(now, now);
    let id = books.fresh("si_");
    let legacy = with_nulls(
        &["meter", "nickname", "tiers_mode", "transform_usage", "trial_period_days"],
        json!({
            "active": true, "amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"],
            "billing_scheme": "per_unit", "created": price["created"], "currency": price["currency"],
            "id": price["id"], "interval": plan.every.interval(), "interval_count": plan.every.count(),
            "livemode": false, "metadata": {}, "object": "plan", "product": price["product"], "usage_type": "licensed",
        }),
    );
    json!({
        "billed_until": end, "billing_thresholds": null, "created": now, "current_period_end": end,
        "current_period_start": now, "discounts": [], "id": id, "metadata": {}, "object": "subscription_item",
        "plan": legacy, "price": price, "quantity": plan.quantity, "subscription": subscription, "tax_rates": [],
    })
}

/// `POST /v1/subscriptions/:id`.
pub(super) fn update(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(
        &[
            "cancel_at_period_end",
            "default_payment_method",
            "metadata[*]",
            "description",
            "proration_behavior",
            "payment_behavior",
        ],
        &[],
    )?;
    let form = &ask.form;
    let subscription = living(books, ask, id)?;
    let metadata = form.metadata("metadata")?;
    let method = form.text("default_payment_method");
    if let Some(method) = method {
        let customer = subscription["customer"].as_str().unwrap_or_default();
        of_customer(books, method, customer, "default_payment_method")?;
    }
    let ending = form.flag("cancel_at_period_end")?;
    let now = books.now();
    let value = books.change(KIND, id, |subscription| {
        if let Some(method) = method {
            subscription["default_payment_method"] = method.into();
        }
        if let Some(description) = form.text("description") {
            subscription["description"] = description.into();
        }
        if let Some(ending) = ending {
            let end = subscription["items"]["data"][0]["current_period_end"].clone();
            subscription["cancel_at_period_end"] = ending.into();
            subscription["cancel_at"] = if ending { end } else { Value::Null };
            subscription["canceled_at"] = if ending { now.into() } else { Value::Null };
            let reason = if ending { "cancellation_requested".into() } else { Value::Null };
            subscription["cancellation_details"]["reason"] = reason;
        }
        merge(&mut subscription["metadata"], metadata);
    });
    events::emit(books, "customer.subscription.updated", &value);
    Ok(value)
}

/// `DELETE /v1/subscriptions/:id`: now, and not at the end of the period.
pub(super) fn cancel(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&["invoice_now", "prorate", "cancellation_details[*]"], &[])?;
    living(books, ask, id)?;
    Ok(end(books, id, "canceled"))
}

/// Ends one.
pub(super) fn end(books: &mut Books, id: &str, status: &str) -> Value {
    let now = books.now();
    let value = books.change(KIND, id, |subscription| {
        subscription["status"] = status.into();
        subscription["ended_at"] = now.into();
        if subscription["canceled_at"].is_null() {
            subscription["canceled_at"] = now.into();
        }
        if subscription["cancellation_details"]["reason"].is_null() {
            subscription["cancellation_details"]["reason"] = "cancellation_requested".into();
        }
    });
    let what = if status == "canceled" { "deleted" } else { "updated" };
    events::emit(books, &format!("customer.subscription.{what}"), &value);
    value
}

fn living(books: &Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    let value = &books.find(KIND, id, ask)?.value;
    if value["ended_at"].is_null() {
        return Ok(value.clone());
    }
    Err(Refused::not_found(KIND, id).stored())
}

/// `GET /v1/subscriptions`: without those that have ended, unless they are asked for.
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
            "price",
        ],
        &[],
    )?;
    let form = &ask.form;
    let wanted = |subscription: &Value| {
        let status = match form.text("status") {
            Some("all") => true,
            Some(status) => subscription["status"] == status,
            None => subscription["ended_at"].is_null(),
        };
        let price = form.text("price");
        status
            && list::fits(form, subscription, &["customer"])
            && price.is_none_or(|price| id_of(&subscription["items"]["data"][0]["price"]) == price)
    };
    let found = books.seen(KIND, ask).map(|record| &record.value);
    list::page(ask, found.filter(|subscription| wanted(subscription)).collect())
}
