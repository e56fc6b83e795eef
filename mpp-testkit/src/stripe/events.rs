//! Events: what happened, for webhooks.

use serde_json::{Value, json};

use super::books::{Books, Hidden, id_of};

const KIND: &str = "event";

/// Writes down that something happened to an object, as it is now.
pub(super) fn emit(books: &mut Books, what: &str, object: &Value) {
    let id = books.fresh("evt_");
    let (request, key) = books.asked.clone().unzip();
    let value = json!({
        "api_version": books.default_version, "created": books.now(), "data": { "object": object }, "id": id,
        "livemode": false, "object": KIND, "pending_webhooks": 1,
        "request": { "id": request, "idempotency_key": key.flatten() }, "type": what,
    });
    // Events of connected accounts go to the platform's endpoint too.
    let owner = books.owner_of(id_of(object));
    books.keep(KIND, owner, value, Hidden::default());
    books.undelivered.push_back(id);
}

/// Writes down that something happened to an object that is kept.
pub(super) fn emit_of(books: &mut Books, what: &str, kind: &str, id: &str) {
    if let Some(object) = books.record(kind, id).map(|record| record.value.clone()) {
        emit(books, what, &object);
    }
}
