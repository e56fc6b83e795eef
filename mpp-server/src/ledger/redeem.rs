//! A credential that is already on the books: served again where it was paid and not delivered, refused otherwise.

use std::sync::Arc;

use mpp_core::{
    credential::Fingerprint,
    problem::Rejection,
    store::{Key, Version},
};

use super::{Entry, Ledger, Order, State, Turn, consumed, in_flight};
use crate::offer::ErasedOffer;

impl Ledger {
    /// Goes on from where the payment stands. Nothing here takes new money: at most it finishes what was begun.
    pub(crate) async fn redeem(
        &self,
        key: Key,
        version: Version,
        entry: Entry,
        print: &Fingerprint,
        offer: Arc<dyn ErasedOffer>,
    ) -> Result<Turn, Rejection> {
        // Another proof for a challenge that one proof has answered: knowing an id is not having paid.
        if entry.print != *print {
            return Err(consumed());
        }
        let lapsed = self.lapsed(&entry);
        match entry.state {
            State::Settled => self.serve(key, version, entry).await,
            // Whoever was serving is gone; the swap in `serve` decides who takes over.
            State::Serving if lapsed => self.serve(key, version, entry).await,
            State::Reserved | State::Settling | State::Unknown if lapsed => {
                let found = Order::Resume(Box::new((version, entry)));
                let (version, entry) = self.settle(key.clone(), found, offer).await?;
                self.serve(key, version, entry).await
            }
            State::Unknown => Err(Rejection::unknown("the rail was asked a moment ago")),
            State::Reserved | State::Settling | State::Serving => Err(in_flight()),
            State::Delivered | State::Failed => Err(consumed()),
        }
    }
}
