//! A session as a handler has it: an account that was proven, and a price.

use std::{fmt, sync::Arc, time::Duration};

use mpp_core::{Amount, Receipt, problem::Rejection, teller::Need, transport::Refusal};

use super::{
    Busy, Engine, ErasedTill, Meter,
    meter::{BATCH, Drawn, Held},
};
use crate::gate::judge::Again;

/// A payer's account, as the handler behind a metered route has it: to charge what it serves.
///
/// Nothing is served unpaid by it: a unit is had from [`Session::charge`] or from a [`Meter`], and both deduct first.
#[derive(Clone)]
pub struct Session(Arc<Inner>, u64);

struct Inner {
    engine: Arc<Engine>,
    till: Arc<dyn ErasedTill>,
    id: String,
    challenge: String,
    price: Amount,
    unit_type: Option<Arc<str>>,
    again: Again,
}

impl Session {
    pub(crate) fn new(
        (engine, till): (Arc<Engine>, Arc<dyn ErasedTill>),
        id: String,
        challenge: String,
        (price, unit_type): (Amount, Option<Arc<str>>),
        again: Again,
    ) -> Self {
        Self(Arc::new(Inner { engine, till, id, challenge, price, unit_type, again }), BATCH)
    }

    /// The account's name on its rail: a channel id.
    pub fn account(&self) -> &str {
        &self.0.id
    }

    /// The challenge that was answered.
    pub fn challenge(&self) -> &str {
        &self.0.challenge
    }

    /// What one unit costs here, in base units.
    pub fn unit_price(&self) -> Amount {
        self.0.price
    }

    /// What is counted here: `request`, `token`.
    pub fn unit_type(&self) -> Option<&str> {
        self.0.unit_type.as_deref()
    }

    /// Deducts units, all or none, before they are served.
    ///
    /// # Errors
    /// The refusal to answer with: the balance is short (402, with fresh challenges), or the account is closing.
    pub async fn charge(&self, units: u64) -> Result<(), Refusal> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        match till.clone().spend(engine.clone(), id.clone(), drawn).await {
            Ok(()) => Ok(()),
            Err(e) => Err(self.0.again.refuse(self.0.challenge.clone(), e).await),
        }
    }

    /// Sets aside so many units at a time for the streams and meters that are begun with this; 16 unless said otherwise. More of
    /// them make fewer writes, and a crash dearer: [`Meter`].
    pub fn in_batches_of(self, units: u64) -> Self {
        Self(self.0, units)
    }

    /// A meter for a stream.
    pub fn meter(&self) -> Meter {
        Meter::of(self.clone()).in_batches_of(self.1)
    }

    /// The receipt of the account as it stands now.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn receipt(&self) -> Result<Receipt, Rejection> {
        let Inner { engine, till, id, challenge, .. } = &*self.0;
        till.clone().receipt(engine.clone(), id.clone(), challenge.clone()).await
    }

    /// Gives back what was charged for a request that failed.
    pub(crate) async fn give_back(
        &self,
        units: u64,
        name: Option<String>,
    ) -> Result<(), Rejection> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().give_back(engine.clone(), id.clone(), drawn, name).await
    }

    pub(crate) fn busy(&self) -> Busy {
        self.0.engine.busy()
    }

    pub(super) async fn hold(
        &self,
        drawn: Drawn,
        last: Option<Held>,
    ) -> Result<Result<Held, Need>, Rejection> {
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().hold(engine.clone(), id.clone(), drawn, last).await
    }

    pub(super) async fn book(&self, held: Held) -> Result<(), Rejection> {
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().book(engine.clone(), id.clone(), held).await
    }

    pub(super) async fn changed(&self, patience: Duration) -> Result<bool, Rejection> {
        let drawn = Drawn { units: 1, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().changed(engine.clone(), id.clone(), drawn, patience).await
    }

    pub(super) async fn need(&self, units: u64) -> Result<Need, Rejection> {
        let drawn = Drawn { units, price: self.0.price };
        let Inner { engine, till, id, .. } = &*self.0;
        till.clone().need(engine.clone(), id.clone(), drawn).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account", &self.0.id).finish_non_exhaustive()
    }
}
