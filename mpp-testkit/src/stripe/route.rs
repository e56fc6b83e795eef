//! Which endpoint is asked.

use serde_json::Value;

use super::{
    ask::Ask, books::Books, catalogue, customers, invoices, list, payment_intents, refunds,
    refused::Refused, subscriptions, tokens,
};

/// Does what is asked.
pub(super) fn route(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    let path = ask.path.strip_prefix("/v1/").unwrap_or_default();
    let segments = Vec::from_iter(path.split('/'));
    match segments.as_slice() {
        ["payment_intents" | "refunds", ..] => payments(books, ask, &segments),
        ["test_helpers", "shared_payment", ..] | ["shared_payment", ..] => {
            tokens::route(books, ask, &segments)
        }
        ["customers" | "payment_methods" | "products" | "prices", ..] => {
            catalogue(books, ask, &segments)
        }
        ["subscriptions" | "invoices" | "invoice_payments" | "events", ..] => {
            billing(books, ask, &segments)
        }
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}

fn payments(books: &mut Books, ask: &Ask, segments: &[&str]) -> Result<Value, Refused> {
    match (ask.method.as_str(), segments) {
        ("POST", ["payment_intents"]) => payment_intents::create(books, ask),
        ("GET", ["payment_intents"]) => list::list(books, ask, "payment_intent", &["customer"]),
        ("GET", ["payment_intents", "search"]) => list::search(books, ask, "payment_intent"),
        ("GET", ["payment_intents", id]) => list::get(books, ask, "payment_intent", id),
        ("POST", ["payment_intents", id, "cancel"]) => payment_intents::cancel(books, ask, id),
        ("POST", ["refunds"]) => refunds::create(books, ask),
        ("GET", ["refunds"]) => list::list(books, ask, "refund", &["payment_intent", "charge"]),
        ("GET", ["refunds", id]) => list::get(books, ask, "refund", id),
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}

fn catalogue(books: &mut Books, ask: &Ask, segments: &[&str]) -> Result<Value, Refused> {
    match (ask.method.as_str(), segments) {
        ("POST", ["customers"]) => customers::create(books, ask),
        ("GET", ["customers"]) => list::list(books, ask, "customer", &["email"]),
        ("GET", ["customers", "search"]) => list::search(books, ask, "customer"),
        ("GET", ["customers", id]) => list::get(books, ask, "customer", id),
        ("POST", ["customers", id]) => customers::update(books, ask, id),
        ("POST", ["payment_methods"]) => customers::create_method(books, ask),
        ("GET", ["payment_methods"]) => {
            list::list(books, ask, "payment_method", &["customer", "type"])
        }
        ("GET", ["payment_methods", id]) => customers::get_method(books, ask, id),
        ("POST", ["payment_methods", id, "attach"]) => customers::attach(books, ask, id),
        ("POST", ["payment_methods", id, "detach"]) => customers::detach(books, ask, id),
        ("POST", ["products"]) => catalogue::create_product(books, ask),
        ("GET", ["products"]) => list::list(books, ask, "product", &["active"]),
        ("GET", ["products", "search"]) => list::search(books, ask, "product"),
        ("GET", ["products", id]) => list::get(books, ask, "product", id),
        ("POST", ["products", id]) => catalogue::update(books, ask, "product", id),
        ("POST", ["prices"]) => catalogue::create_price(books, ask),
        ("GET", ["prices"]) => catalogue::list_prices(books, ask),
        ("GET", ["prices", "search"]) => list::search(books, ask, "price"),
        ("GET", ["prices", id]) => list::get(books, ask, "price", id),
        ("POST", ["prices", id]) => catalogue::update(books, ask, "price", id),
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}

fn billing(books: &mut Books, ask: &Ask, segments: &[&str]) -> Result<Value, Refused> {
    match (ask.method.as_str(), segments) {
        ("POST", ["subscriptions"]) => subscriptions::create(books, ask),
        ("GET", ["subscriptions"]) => subscriptions::list(books, ask),
        ("GET", ["subscriptions", "search"]) => list::search(books, ask, "subscription"),
        ("GET", ["subscriptions", id]) => list::get(books, ask, "subscription", id),
        ("POST", ["subscriptions", id]) => subscriptions::update(books, ask, id),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(books, ask, id),
        ("GET", ["invoices"]) => invoices::list(books, ask),
        ("GET", ["invoices", "search"]) => list::search(books, ask, "invoice"),
        ("GET", ["invoices", id]) => list::get(books, ask, "invoice", id),
        ("GET", ["invoices", id, "lines"]) => invoices::lines(books, ask, id),
        ("POST", ["invoices", id, act @ ("finalize" | "pay" | "void" | "mark_uncollectible")]) => {
            invoices::act(books, ask, id, act)
        }
        ("GET", ["invoice_payments"]) => {
            list::list(books, ask, "invoice_payment", &["invoice", "status"])
        }
        ("GET", ["invoice_payments", id]) => list::get(books, ask, "invoice_payment", id),
        ("GET", ["events"]) => list::list(books, ask, "event", &["type"]),
        ("GET", ["events", id]) => list::get(books, ask, "event", id),
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}
