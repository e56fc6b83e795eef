//! The simulator's clock: what is due happens in order, each thing at its own time.

use std::time::Duration;

use super::books::Books;

/// Moves the clock on, and lets what became due happen.
pub(super) fn advance(books: &mut Books, by: Duration) {
    books.move_on(i64::try_from(by.as_secs()).unwrap_or(i64::MAX));
    tick(books);
}

/// Lets what is due happen.
pub(super) fn tick(books: &mut Books) {
    let now = books.now();
    books.keyring.forget(now);
}
