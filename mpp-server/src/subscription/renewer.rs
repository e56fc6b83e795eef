//! Renewers with their types forgotten: what charges for later periods, and ends them.

use std::sync::Arc;

use mpp_core::{
    agreement::{Agreement, Period},
    problem::Rejection,
    renewer::Renewer,
    store::BoxFuture,
    time::Timestamp,
};
use serde_json::value::{RawValue, to_raw_value};

use crate::rail::Rail;

pub(crate) trait ErasedRenewer: Send + Sync {
    /// Where its orders settle.
    fn rail(&self) -> &Rail;
    fn renewal(&self, of: &Agreement, period: &Period) -> Result<Box<RawValue>, Rejection>;
    fn cancel(
        self: Arc<Self>,
        agreement: Agreement,
        from: Timestamp,
    ) -> BoxFuture<'static, Result<(), Rejection>>;
}

pub(crate) struct ByRenewer<R> {
    it: Arc<R>,
    rail: Rail,
}

impl<R: Renewer> ByRenewer<R> {
    pub(crate) fn new(it: &Arc<R>) -> Self {
        Self { it: it.clone(), rail: Rail::of(it) }
    }
}

impl<R: Renewer> ErasedRenewer for ByRenewer<R> {
    fn rail(&self) -> &Rail {
        &self.rail
    }

    fn renewal(&self, of: &Agreement, period: &Period) -> Result<Box<RawValue>, Rejection> {
        // Whatever its method says of it: nobody is to pay for what we cannot read.
        let order = self.it.renewal(of, period).map_err(Rejection::internal)?;
        to_raw_value(&order).map_err(Rejection::internal)
    }

    fn cancel(
        self: Arc<Self>,
        agreement: Agreement,
        from: Timestamp,
    ) -> BoxFuture<'static, Result<(), Rejection>> {
        Box::pin(async move { self.it.cancel(&agreement, &from).await })
    }
}
