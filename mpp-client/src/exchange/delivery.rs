//! The last step of a payment: its answer was read to the end.

use std::fmt;

use crate::{
    journal::{Entry, State},
    wallet::Wallet,
};

/// What is left to be told of a paid answer. Dropped untold, the answer is taken for lost on its way: the next request of
/// the same purpose asks for it again with the same credential.
pub struct Delivery {
    wallet: Wallet,
    entry: Entry,
}

impl Delivery {
    pub(super) fn new(wallet: Wallet, entry: Entry) -> Self {
        Self { wallet, entry }
    }

    /// Tells that the answer was read to its end.
    pub async fn done(mut self) {
        // A crash in here asks for the answer again after a restart.
        if let Err(e) = self.entry.end(State::Delivered, self.wallet.clock.now()).await {
            self.wallet.lags(&self.entry, &e);
        }
        self.wallet.closed(&self.entry);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivery(..)")
    }
}
