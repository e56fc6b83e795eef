//! Who may pay by what: nobody by anything, until somebody says so.

use std::{collections::HashSet, sync::Arc};

use axum::http::request::Parts;
use mpp_core::store::BoxFuture;

use crate::token::PaymentMethod;

/// Asks the application about a caller and a payment method.
pub(super) type Hook = Arc<dyn Fn(Parts, PaymentMethod) -> BoxFuture<'static, bool> + Send + Sync>;

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

    pub(super) async fn is_given(&self, head: Parts, payment_method: &PaymentMethod) -> bool {
        if self.listed.as_ref().is_some_and(|list| !list.contains(payment_method)) {
            return false;
        }
        match &self.hook {
            Some(ask) => ask(head, payment_method.clone()).await,
            None => self.listed.is_some(),
        }
    }
}
