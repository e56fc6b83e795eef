//! Shared payment tokens: granted to the seller, or issued by an agent.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden},
    card::{Card, nobody},
    currency::currency,
    refused::Refused,
};

const GRANTED: &str = "shared_payment.granted_token";
const ISSUED: &str = "shared_payment.issued_token";

/// The parameters of a token.
struct Terms {
    payment_method: String,
    card: Card,
    currency: String,
    max_amount: i64,
    expires_at: Option<i64>,
    network: Option<String>,
    external: Option<String>,
    metadata: Value,
}

/// The endpoints of tokens. Without a preview's version there are none.
pub(super) fn route(books: &mut Books, ask: &Ask, segments: &[&str]) -> Result<Value, Refused> {
    if !ask.version.shares_payments() {
        return Err(Refused::no_url(&ask.method, &ask.path));
    }
    match (ask.method.as_str(), segments) {
        ("POST", ["test_helpers", "shared_payment", "granted_tokens"]) => grant(books, ask),
        ("POST", ["test_helpers", "shared_payment", "granted_tokens", id, "revoke"])
        | ("POST", ["shared_payment", "issued_tokens", id, "revoke"]) => revoke(books, ask, id),
        ("GET", ["shared_payment", "granted_tokens", id]) => {
            ask.only(&[], &[])?;
            expire(books, id);
            granted(books, id).ok_or_else(|| Refused::not_found(GRANTED, id))
        }
        ("POST", ["shared_payment", "issued_tokens"]) => issue(books, ask),
        ("GET", ["shared_payment", "issued_tokens", id]) => {
            ask.only(&[], &[])?;
            expire(books, id);
            Ok(books.find(ISSUED, id, ask)?.value.clone())
        }
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}

/// A token without a call.
pub(super) fn mint(
    books: &mut Books,
    payment_method: &str,
    currency: &str,
    max_amount: u64,
    expires_at: i64,
) -> String {
    let terms = Terms {
        payment_method: payment_method.to_owned(),
        card: Card::of(payment_method).unwrap_or(Card::Declined),
        currency: currency.to_ascii_lowercase(),
        max_amount: i64::try_from(max_amount).unwrap_or(i64::MAX),
        expires_at: Some(expires_at),
        network: None,
        external: None,
        metadata: Value::Null,
    };
    let id = books.fresh("spt_");
    keep_granted(books, None, &id, &terms);
    id
}

fn grant(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    let mut known = vec![
        "payment_method",
        "customer",
        "usage_limits[currency]",
        "usage_limits[max_amount]",
        "usage_limits[expires_at]",
        "shared_metadata[*]",
    ];
    if books.knows_seller_details {
        known.extend(["seller_details[network_id]", "seller_details[external_id]", "metadata[*]"]);
    }
    ask.only(&known, &[])?;
    let terms = terms(books, ask, "seller_details[network_id]")?;
    let id = books.fresh("spt_");
    keep_granted(books, ask.account.clone(), &id, &terms);
    Ok(granted(books, &id).unwrap_or_default())
}

fn issue(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    let known = [
        "payment_method",
        "usage_limits[currency]",
        "usage_limits[max_amount]",
        "usage_limits[expires_at]",
        "seller_details[network_business_profile]",
        "seller_details[external_id]",
        "shared_metadata[*]",
        "return_url",
        "setup_future_usage",
        "use_stripe_sdk",
        "metadata[*]",
    ];
    ask.only(&known, &[])?;
    ask.form.required("seller_details[network_business_profile]")?;
    let terms = terms(books, ask, "seller_details[network_business_profile]")?;
    // The seller sees the same token under the same id.
    let id = books.fresh("spt_");
    keep_granted(books, ask.account.clone(), &id, &terms);
    let value = json!({
        "created": books.now(), "deactivated_at": null, "deactivated_reason": null, "id": id, "livemode": false,
        "next_action": null, "object": ISSUED, "payment_method": terms.payment_method,
        "seller_details": {
            "external_id": terms.external.clone().unwrap_or_default(),
            "network_business_profile": terms.network.clone().unwrap_or_default(),
        },
        "setup_future_usage": ask.form.text("setup_future_usage"), "shared_metadata": terms.metadata,
        "status": "active", "usage_details": used(&terms.currency, 0), "usage_limits": limits(&terms),
        "use_stripe_sdk": ask.form.flag("use_stripe_sdk")?,
    });
    books.keep(ISSUED, ask.account.clone(), value.clone(), Hidden::default());
    Ok(value)
}

fn terms(books: &Books, ask: &Ask, network: &str) -> Result<Terms, Refused> {
    let form = &ask.form;
    let payment_method = form.required("payment_method")?;
    let currency = currency(form.required("usage_limits[currency]")?, "usage_limits[currency]")?;
    let max_amount = form.required_integer("usage_limits[max_amount]")?;
    if max_amount < 1 {
        let said = "This value must be greater than or equal to 1.";
        return Err(Refused::invalid(said).at("usage_limits[max_amount]"));
    }
    let expires_at = form.integer("usage_limits[expires_at]")?;
    if expires_at.is_some_and(|at| at <= books.now()) {
        let said = "The expiry must be in the future.";
        return Err(Refused::invalid(said).at("usage_limits[expires_at]"));
    }
    let shared = form.metadata("shared_metadata")?;
    form.metadata("metadata")?;
    let card = Card::of(payment_method)
        .or_else(|| books.record("payment_method", payment_method)?.hidden.card)
        .ok_or_else(|| Refused::no_such("PaymentMethod", payment_method, "payment_method"))?;
    Ok(Terms {
        payment_method: payment_method.to_owned(),
        card,
        currency,
        max_amount,
        expires_at,
        network: form.text(network).map(str::to_owned),
        external: form.text("seller_details[external_id]").map(str::to_owned),
        metadata: if shared.is_empty() { Value::Null } else { Value::Object(shared) },
    })
}

fn keep_granted(books: &mut Books, owner: Option<String>, id: &str, terms: &Terms) {
    let value = json!({
        "agent_details": { "network_business_profile": null },
        "created": books.now(), "deactivated_at": null, "deactivated_reason": null, "id": id, "livemode": false,
        "object": GRANTED,
        "payment_method_details": { "billing_details": nobody(), "type": "card", "card": shown(terms.card) },
        "shared_metadata": terms.metadata, "usage_details": used(&terms.currency, 0), "usage_limits": limits(terms),
    });
    let network = terms.network.clone();
    books.keep(
        GRANTED,
        owner,
        value,
        Hidden { card: Some(terms.card), network, ..Hidden::default() },
    );
}

fn granted(books: &Books, id: &str) -> Option<Value> {
    books.record(GRANTED, id).map(|record| record.value.clone())
}

fn revoke(books: &mut Books, ask: &Ask, id: &str) -> Result<Value, Refused> {
    ask.only(&[], &[])?;
    let kind = if ask.path.contains("issued_tokens") { ISSUED } else { GRANTED };
    books.find(kind, id, ask)?;
    expire(books, id);
    if !active(books, id) {
        return Err(Refused::invalid("This token is deactivated already").stored());
    }
    deactivate(books, id, "revoked");
    Ok(books.find(kind, id, ask)?.value.clone())
}

fn active(books: &Books, id: &str) -> bool {
    books.record(GRANTED, id).is_some_and(|record| record.value["deactivated_at"].is_null())
}

/// Ends a token and what the agent sees of it.
fn deactivate(books: &mut Books, id: &str, reason: &str) {
    let now = books.now();
    for kind in [GRANTED, ISSUED] {
        books.change(kind, id, |token| {
            token["deactivated_at"] = now.into();
            token["deactivated_reason"] = reason.into();
            if kind == ISSUED {
                token["status"] = "deactivated".into();
            }
        });
    }
}

fn expire(books: &mut Books, id: &str) {
    let now = books.now();
    let expired = books.record(GRANTED, id).is_some_and(|record| {
        record.value["usage_limits"]["expires_at"].as_i64().is_some_and(|at| at <= now)
    });
    if expired && active(books, id) {
        deactivate(books, id, "expired");
    }
}

/// Whether a token is good for this charge, and the card behind it.
pub(super) fn good_for(
    books: &mut Books,
    id: &str,
    amount: i64,
    currency: &str,
    param: &str,
) -> Result<Card, Refused> {
    expire(books, id);
    let Some(record) = books.record(GRANTED, id) else {
        return Err(Refused::no_such("shared_payment_granted_token", id, param).stored());
    };
    let refuse = |code: &str, said: String| {
        Err(Refused::invalid(said).code(&format!("shared_payment_token_{code}")).at(param).stored())
    };
    let (token, hidden) = (&record.value, &record.hidden);
    if let Some(reason) = token["deactivated_reason"].as_str() {
        return refuse(reason, format!("The shared payment token {id} is deactivated: {reason}."));
    }
    let stranger = |network: &&String| *network != "internal" && **network != books.network_id;
    if hidden.network.as_ref().filter(stranger).is_some() {
        return refuse(
            "wrong_seller",
            format!("The shared payment token {id} is not for this account."),
        );
    }
    let limits = &token["usage_limits"];
    if limits["currency"] != currency {
        return refuse(
            "currency_mismatch",
            format!("The shared payment token {id} is not for {currency}."),
        );
    }
    if limits["max_amount"].as_i64().is_none_or(|most| amount > most) {
        return refuse(
            "amount_exceeded",
            format!("The amount is over the limit of the shared payment token {id}."),
        );
    }
    Ok(hidden.card.unwrap_or(Card::Declined))
}

/// Uses a token up. `captured` is in the currency's smallest unit.
pub(super) fn consume(books: &mut Books, id: &str, captured: i64) {
    for kind in [GRANTED, ISSUED] {
        books.change(kind, id, |token| {
            token["usage_details"]["amount_captured"]["value"] = captured.into()
        });
    }
    if active(books, id) {
        deactivate(books, id, "consumed");
    }
}

/// A token shows less of a card than a payment method does.
fn shown(card: Card) -> Value {
    let mut shown = card.shown();
    if let Some(members) = shown.as_object_mut() {
        for name in ["generated_from", "regulated_status", "three_d_secure_usage"] {
            members.remove(name);
        }
    }
    shown
}

fn limits(terms: &Terms) -> Value {
    json!({ "currency": terms.currency, "expires_at": terms.expires_at, "max_amount": terms.max_amount })
}

fn used(currency: &str, value: i64) -> Value {
    json!({ "amount_captured": { "currency": currency, "value": value } })
}
