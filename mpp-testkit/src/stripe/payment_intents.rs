//! PaymentIntents: made, confirmed in the same call, and cancelled.

use serde_json::{Map, Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, with_nulls},
    card::{Card, Outcome, generic_decline},
    collect,
    currency::{chargeable, currency},
    events,
    refused::Refused,
    tokens,
};

const KIND: &str = "payment_intent";

const KNOWN: [&str; 27] = [
    "amount",
    "currency",
    "confirm",
    "automatic_payment_methods[enabled]",
    "automatic_payment_methods[allow_redirects]",
    "payment_method_types[]",
    "payment_method",
    "metadata[*]",
    "application_fee_amount",
    "on_behalf_of",
    "transfer_data[destination]",
    "transfer_data[amount]",
    "transfer_group",
    "customer",
    "receipt_email",
    "description",
    "hooks[inputs][tax][calculation]",
    "off_session",
    "error_on_requires_action",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "return_url",
    "setup_future_usage",
    "capture_method",
    "confirmation_method",
    "use_stripe_sdk",
    "payment_method_data[type]",
];

const PREVIEW: [&str; 2] =
    ["shared_payment_granted_token", "payment_method_data[shared_payment_granted_token]"];

/// What is charged, and to what.
pub(super) struct Charge<'a> {
    pub(super) amount: i64,
    pub(super) currency: &'a str,
    pub(super) card: Option<Card>,
    pub(super) token: Option<&'a str>,
    pub(super) payment_method: Option<&'a str>,
    pub(super) customer: Option<&'a str>,
}

/// A PaymentIntent and, where it was declined, the error.
pub(super) struct Charged {
    pub(super) id: String,
    pub(super) declined: Option<Refused>,
}

/// `POST /v1/payment_intents`.
pub(super) fn create(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&KNOWN, &PREVIEW)?;
    let form = &ask.form;
    let amount = form.required_integer("amount")?;
    let currency = currency(form.required("currency")?, "currency")?;
    chargeable(amount, &currency)?;
    let extra = extra(books, ask, amount)?;
    let confirm = form.flag("confirm")?.unwrap_or(false);
    let strict = form.flag("error_on_requires_action")?.unwrap_or(false)
        || form.flag("off_session")?.unwrap_or(false);
    let source = source(books, ask, amount, &currency, confirm)?;
    let charge = Charge {
        amount,
        currency: &currency,
        card: source.card,
        token: source.token.as_deref(),
        payment_method: source.payment_method.as_deref(),
        customer: form.text("customer"),
    };
    let challenged = matches!(source.card.map(Card::charge), Some(Outcome::RequiresAction));
    if confirm && strict && challenged {
        let said = "Your card was declined. This transaction requires authentication.";
        return Err(Refused::card(
            "authentication_required",
            Some("authentication_required"),
            said,
        ));
    }
    let charged = charged(books, ask.account.clone(), &charge, confirm, extra);
    let value = books.find(KIND, &charged.id, ask)?.value.clone();
    match charged.declined {
        Some(refused) => {
            let charge = value["latest_charge"].clone();
            Err(refused.with("charge", charge).with(KIND, value))
        }
        None => Ok(value),
    }
}

struct Source {
    card: Option<Card>,
    token: Option<String>,
    payment_method: Option<String>,
}

/// What is charged: a token, a payment method, or nothing yet.
fn source(
    books: &mut Books,
    ask: &Ask,
    amount: i64,
    currency: &str,
    confirm: bool,
) -> Result<Source, Refused> {
    let form = &ask.form;
    let tokens = Vec::from_iter(PREVIEW.iter().filter_map(|name| Some((*name, form.text(name)?))));
    let method = form.text("payment_method");
    match (tokens.as_slice(), method) {
        ([], None) if confirm => {
            let said =
                "You cannot confirm this PaymentIntent because it's missing a payment method.";
            Err(Refused::invalid(said).code("payment_intent_unexpected_state"))
        }
        ([], None) => Ok(Source { card: None, token: None, payment_method: None }),
        ([], Some(method)) => {
            let card = known_card(books, method, "payment_method")?;
            Ok(Source { card: Some(card), token: None, payment_method: Some(method.to_owned()) })
        }
        ([(param, token)], None) => {
            let card = tokens::good_for(books, token, amount, currency, param)?;
            // The token's method is cloned into one of the seller's, which no later call takes.
            let clone = books.fresh("pm_");
            Ok(Source {
                card: Some(card),
                token: Some((*token).to_owned()),
                payment_method: Some(clone),
            })
        }
        _ => {
            let said = "You may only specify one of these parameters: payment_method, shared_payment_granted_token.";
            Err(Refused::invalid(said).at("payment_method"))
        }
    }
}

/// The card of a test payment method, or of one that the account has.
pub(super) fn known_card(books: &Books, id: &str, param: &str) -> Result<Card, Refused> {
    let kept = || books.record("payment_method", id)?.hidden.card;
    Card::of(id).or_else(kept).ok_or_else(|| Refused::no_such("PaymentMethod", id, param))
}

/// The members that come from the form as they are.
fn extra(books: &Books, ask: &Ask, amount: i64) -> Result<Map<String, Value>, Refused> {
    let form = &ask.form;
    let mut extra = Map::new();
    extra.insert("metadata".to_owned(), Value::Object(form.metadata("metadata")?));
    for name in [
        "description",
        "receipt_email",
        "on_behalf_of",
        "transfer_group",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "setup_future_usage",
    ] {
        extra.insert(name.to_owned(), form.text(name).into());
    }
    if let Some(customer) = form.text("customer")
        && books.find("customer", customer, ask).is_err()
    {
        return Err(Refused::no_such("customer", customer, "customer"));
    }
    let part = |name: &str| {
        let part = form.integer(name)?;
        match part {
            Some(part) if part < 0 || part > amount => {
                let said =
                    format!("The {name} must be between 0 and the amount of the PaymentIntent.");
                Err(Refused::invalid(said).at(name))
            }
            _ => Ok(part),
        }
    };
    extra.insert("application_fee_amount".to_owned(), part("application_fee_amount")?.into());
    let (share, destination) =
        (part("transfer_data[amount]")?, form.text("transfer_data[destination]"));
    let transfer = match (share, destination) {
        (None, None) => Value::Null,
        (Some(_), None) => return Err(Refused::missing("transfer_data[destination]")),
        (None, Some(destination)) => json!({ "destination": destination }),
        (Some(share), Some(destination)) => json!({ "destination": destination, "amount": share }),
    };
    extra.insert("transfer_data".to_owned(), transfer);
    let types = form.list("payment_method_types");
    let automatic = form.flag("automatic_payment_methods[enabled]")?;
    let redirects = form.text("automatic_payment_methods[allow_redirects]");
    if !types.is_empty() && automatic == Some(true) {
        let said = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.";
        return Err(Refused::invalid(said).at("payment_method_types"));
    }
    let enabled = automatic.unwrap_or(types.is_empty());
    let automatic = match (enabled, redirects) {
        (false, _) => Value::Null,
        (true, None) => json!({ "enabled": true, "allow_redirects": "always" }),
        (true, Some(redirects)) => json!({ "enabled": true, "allow_redirects": redirects }),
    };
    extra.insert("automatic_payment_methods".to_owned(), automatic);
    let types = if types.is_empty() { vec!["card", "link"] } else { types };
    extra.insert("payment_method_types".to_owned(), types.into());
    let calculation = form.text("hooks[inputs][tax][calculation]");
    if let Some(calculation) = calculation {
        extra.insert(
            "hooks".to_owned(),
            json!({ "inputs": { "tax": { "calculation": calculation } } }),
        );
    }
    Ok(extra)
}

/// Makes a PaymentIntent and, if it is to be, confirms it.
pub(super) fn charged(
    books: &mut Books,
    owner: Option<String>,
    charge: &Charge<'_>,
    confirm: bool,
    extra: Map<String, Value>,
) -> Charged {
    let id = books.fresh("pi_");
    let secret = books.fresh(&format!("{id}_secret_"));
    let mut value = blank(books.now(), charge, &id, &secret);
    if let Some(members) = value.as_object_mut() {
        members.extend(extra);
    }
    let token = charge.token.map(str::to_owned);
    books.keep(KIND, owner, value, Hidden { card: charge.card, token, network: None });
    let declined = match charge.card {
        Some(card) if confirm => settle(books, &id, card.charge()),
        Some(_) => {
            books.change(KIND, &id, |intent| intent["status"] = "requires_confirmation".into());
            None
        }
        None => None,
    };
    Charged { id, declined }
}

/// Tries one again, with another card.
pub(super) fn again(
    books: &mut Books,
    id: &str,
    card: Card,
    method: Option<&str>,
) -> Option<Refused> {
    if let Some(record) = books.record_mut(KIND, id) {
        record.hidden.card = Some(card);
        record.value["payment_method"] = method.into();
        record.value["last_payment_error"] = Value::Null;
    }
    settle(books, id, card.charge())
}

/// Writes down what became of it, and returns the decline.
fn settle(books: &mut Books, id: &str, outcome: Outcome) -> Option<Refused> {
    let charge = books.fresh("ch_");
    let record = books.record(KIND, id)?;
    let token = record.hidden.token.clone();
    let amount = record.value["amount"].as_i64().unwrap_or_default();
    let (what, declined) = match outcome {
        Outcome::Succeeded => {
            books.change(KIND, id, |intent| {
                intent["status"] = "succeeded".into();
                intent["amount_received"] = amount.into();
                intent["latest_charge"] = charge.into();
                intent["processing"] = Value::Null;
            });
            consume(books, token, amount);
            ("succeeded", None)
        }
        Outcome::Processing => {
            books.change(KIND, id, |intent| {
                intent["status"] = "processing".into();
                intent["latest_charge"] = charge.into();
                intent["processing"] = json!({ "type": "card", "card": {} });
            });
            consume(books, token, 0);
            ("processing", None)
        }
        Outcome::RequiresAction => {
            books.change(KIND, id, |intent| {
                intent["status"] = "requires_action".into();
                intent["next_action"] = json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} });
            });
            ("requires_action", None)
        }
        Outcome::Declined(refused) => {
            books.change(KIND, id, |intent| {
                intent["status"] = "requires_payment_method".into();
                intent["latest_charge"] = charge.into();
                intent["last_payment_error"] = refused.as_last_error();
                intent["payment_method"] = Value::Null;
                intent["processing"] = Value::Null;
            });
            ("payment_failed", Some(refused))
        }
    };
    events::emit_of(books, &format!("{KIND}.{what}"), KIND, id);
    declined
}

fn consume(books: &mut Books, token: Option<String>, captured: i64) {
    if let Some(token) = token {
        tokens::consume(books, &token, captured);
    }
}

/// Ends one that is processing.
pub(super) fn conclude(books: &mut Books, id: &str, succeeds: bool) -> Option<()> {
    books.record(KIND, id).filter(|record| record.value["status"] == "processing")?;
    let outcome = if succeeds { Outcome::Succeeded } else { Outcome::Declined(generic_decline()) };
    let declined = settle(books, id, outcome);
    collect::concluded(books, id, declined);
    Some(())
}

/// `POST /v1/payment_intents/:id/cancel`.
pub(super) fn cancel(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&["cancellation_reason"], &[])?;
    let status = books.find(KIND, id, ask)?.value["status"].clone();
    if status == "succeeded" || status == "canceled" || status == "processing" {
        let said =
            format!("You cannot cancel this PaymentIntent because it has a status of {status}.");
        return Err(Refused::invalid(said).code("payment_intent_unexpected_state").stored());
    }
    let (now, reason) = (books.now(), ask.form.text("cancellation_reason"));
    Ok(books.change(KIND, id, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = reason.into();
    }))
}

/// One that nobody has confirmed.
fn blank(now: i64, charge: &Charge<'_>, id: &str, secret: &str) -> Value {
    const NULLS: [&str; 25] = [
        "allowed_payment_method_types",
        "application",
        "application_fee_amount",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "customer_account",
        "description",
        "excluded_payment_method_types",
        "last_payment_error",
        "latest_charge",
        "managed_payments",
        "next_action",
        "on_behalf_of",
        "payment_method_configuration_details",
        "processing",
        "receipt_email",
        "review",
        "setup_future_usage",
        "shipping",
        "source",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ];
    with_nulls(
        &NULLS,
        json!({
            "amount": charge.amount, "amount_capturable": 0, "amount_details": { "tip": {} }, "amount_received": 0,
            "capture_method": "automatic_async", "client_secret": secret, "confirmation_method": "automatic",
            "created": now, "currency": charge.currency, "customer": charge.customer, "id": id, "livemode": false,
            "metadata": {}, "object": KIND, "payment_method": charge.payment_method, "payment_method_options": {},
            "payment_method_types": ["card"], "status": "requires_payment_method",
        }),
    )
}
