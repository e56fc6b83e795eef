//! Which endpoint is asked.

use serde_json::Value;

use super::{ask::Ask, books::Books, list, payment_intents, refused::Refused, tokens};

/// Does what is asked.
pub(super) fn route(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    let path = ask.path.strip_prefix("/v1/").unwrap_or_default();
    let segments = Vec::from_iter(path.split('/'));
    match (ask.method.as_str(), segments.as_slice()) {
        ("POST", ["payment_intents"]) => payment_intents::create(books, ask),
        ("GET", ["payment_intents"]) => list::list(books, ask, "payment_intent", &["customer"]),
        ("GET", ["payment_intents", "search"]) => list::search(books, ask, "payment_intent"),
        ("GET", ["payment_intents", id]) => list::get(books, ask, "payment_intent", id),
        ("POST", ["payment_intents", id, "cancel"]) => payment_intents::cancel(books, ask, id),
        (_, ["test_helpers", "shared_payment", ..] | ["shared_payment", ..]) => {
            tokens::route(books, ask, &segments)
        }
        _ => Err(Refused::no_url(&ask.method, &ask.path)),
    }
}
