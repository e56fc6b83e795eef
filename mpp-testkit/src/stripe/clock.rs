//! The simulator's clock: what is due happens in order, each thing at its own time.

use std::time::Duration;

use serde_json::Value;

use super::{
    books::{Books, id_of},
    collect, events, invoices, subscriptions,
};

/// How long a subscription may wait for its first payment.
const INCOMPLETE: i64 = 23 * 60 * 60;

/// Something that happens by itself.
enum Due {
    /// A draft is made final and collected.
    Collection(String),
    /// A period ends.
    Renewal(String),
    /// A first payment never came.
    Expiry(String),
}

/// Moves the clock on, and lets what became due happen.
pub(super) fn advance(books: &mut Books, by: Duration) {
    books.move_on(i64::try_from(by.as_secs()).unwrap_or(i64::MAX));
    tick(books);
}

/// Lets what is due happen.
pub(super) fn tick(books: &mut Books) {
    let now = books.now();
    while let Some((at, due)) = next(books).filter(|(at, _)| *at <= now) {
        books.stand_at(Some(at));
        happen(books, due);
    }
    books.stand_at(None);
    books.keyring.forget(now);
}

/// What is due first.
fn next(books: &Books) -> Option<(i64, Due)> {
    let renewals = books.of(subscriptions::KIND).filter_map(ending);
    let collections = books.of(invoices::KIND).filter_map(|invoice| {
        let at = invoice["automatically_finalizes_at"].as_i64()?;
        let due = invoice["status"] == "draft" && invoice["auto_advance"] == true;
        due.then(|| (at, Due::Collection(id_of(invoice).to_owned())))
    });
    renewals.chain(collections).min_by_key(|(at, _)| *at)
}

fn ending(subscription: &Value) -> Option<(i64, Due)> {
    let id = id_of(subscription).to_owned();
    match subscription["status"].as_str()? {
        "active" | "past_due" => {
            let end = subscription["items"]["data"][0]["current_period_end"].as_i64()?;
            Some((end, Due::Renewal(id)))
        }
        "incomplete" => {
            Some((subscription["created"].as_i64()?.saturating_add(INCOMPLETE), Due::Expiry(id)))
        }
        _ => None,
    }
}

fn happen(books: &mut Books, due: Due) {
    match due {
        Due::Collection(id) => {
            invoices::finalize(books, &id);
            // A decline is in the books: open, and past due.
            let _ = collect::collect(books, &id, None);
        }
        Due::Renewal(id) => renew(books, &id),
        Due::Expiry(id) => drop(subscriptions::end(books, &id, "incomplete_expired")),
    }
}

/// Begins the next period with a draft, or ends with the last.
fn renew(books: &mut Books, id: &str) {
    let Some(record) = books.record(subscriptions::KIND, id) else { return };
    if record.value["cancel_at_period_end"] == true {
        subscriptions::end(books, id, "canceled");
        return;
    }
    let item = &record.value["items"]["data"][0];
    let start = item["current_period_end"].as_i64().unwrap_or_default();
    let anchor = record.value["billing_cycle_anchor"].as_i64().unwrap_or_default();
    let Some(every) = subscriptions::every(&item["price"]) else { return };
    let end = every.end(anchor, start);
    let value = books.change(subscriptions::KIND, id, |subscription| {
        let item = &mut subscription["items"]["data"][0];
        item["current_period_start"] = start.into();
        item["current_period_end"] = end.into();
        item["billed_until"] = end.into();
    });
    invoices::draft(books, id, "subscription_cycle");
    events::emit(books, "customer.subscription.updated", &value);
}
