//! Who may pay by what: nobody by anything, until somebody says so.

use std::{collections::HashSet, sync::Arc};

use axum::http::request::Parts;
use mpp_core::store::BoxFuture;

use crate::token::{PaymentMethod, Wanted};

/// Asks the application about a caller, a payment method, and what would be spent by it.
pub(super) type Hook =
    Arc<dyn Fn(Parts, PaymentMethod, Wanted) -> BoxFuture<'static, bool> + Send + Sync>;

/// A list, a question, or both: then both must say yes.
#[derive(Clone, Default)]
pub(super) struct Leave {
    listed: Option<HashSet<PaymentMethod>>,
    hook: Option<Hook>,
}

impl Leave {
    pub(super) fn listed(self, list: HashSet<PaymentMethod>) -> Self {
        Self { listed: Some(list), ..self }
    }

    pub(super) fn asking(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }

    pub(super) async fn is_given(
        &self,
        head: Parts,
        payment_method: &PaymentMethod,
        wanted: &Wanted,
    ) -> bool {
        if self.listed.as_ref().is_some_and(|list| !list.contains(payment_method)) {
            return false;
        }
        match &self.hook {
            Some(ask) => ask(head, payment_method.clone(), wanted.clone()).await,
            None => self.listed.is_some(),
        }
    }
}
