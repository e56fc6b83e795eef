//! A route that asks who it is, and for no money.

use std::{fmt, sync::Arc};

use mpp_core::{Charge, Price, amount::Decimal};

use super::{Paywall, Selling};
use crate::{error::ConfigError, gate::Gate, offer::Sell};

impl Gate {
    /// Asks who it is, and for nothing: a charge of zero in a unit (`"usd"`), answered by a proof of account that moves no
    /// money. The same credential may be shown again until its challenge ends, at the very address it was made for. It is
    /// proven anew each time and stands in no ledger.
    ///
    /// The handler finds the account in [`Paid::payer`](crate::Paid::payer), as it does for a payment. So what was paid once
    /// can be polled freely by whoever paid:
    ///
    /// ```
    /// # use std::{collections::HashMap, sync::{Arc, Mutex}};
    /// # use mpp_core::{Charge, Method, credential::Source, verifier::Verifier};
    /// # use mpp_server::{ConfigError, Gate, Paid};
    /// # #[cfg(feature = "axum")]
    /// # fn app<V>(gate: Gate, method: &Arc<V>) -> Result<axum::Router, ConfigError>
    /// # where V: Verifier<Method: Method<Intent = Charge>>
    /// # {
    /// use axum::{Router, extract::Path, http::StatusCode, routing::{get, post}};
    ///
    /// // Whose job is whose; a real one lies in a database.
    /// let jobs = Arc::new(Mutex::new(HashMap::<usize, Source>::new()));
    ///
    /// let owners = jobs.clone();
    /// let start = async move |paid: Paid| {
    ///     let Some(payer) = paid.payer else { return Err(StatusCode::FORBIDDEN) };
    ///     let mut jobs = owners.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    ///     let id = jobs.len();
    ///     jobs.insert(id, payer);
    ///     Ok(id.to_string())
    /// };
    /// let poll = async move |Path(id): Path<usize>, who: Paid| {
    ///     let jobs = jobs.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    ///     match (jobs.get(&id), &who.payer) {
    ///         (Some(owner), Some(who)) if owner == who => Ok("half done"),
    ///         _ => Err(StatusCode::NOT_FOUND),
    ///     }
    /// };
    /// let app = Router::new()
    ///     .route("/jobs", post(start).route_layer(gate.charge("1 usd")?.via(method).layer()?))
    ///     .route("/jobs/{id}", get(poll).route_layer(gate.identify("usd").via(method).layer()?));
    /// # Ok(app)
    /// # }
    /// ```
    ///
    /// A proof that may be shown once is [`Gate::charge`] with a price of zero. Whoever reads a credential on its way can
    /// show it as well, until its challenge ends ([`challenges_live_for`](crate::gate::GateBuilder::challenges_live_for)).
    pub fn identify(&self, unit: impl Into<String>) -> Identifying {
        let nothing = Price::new(Decimal::default(), unit);
        Identifying(self.sell(nothing))
    }
}

/// The methods by which a route can be told who it is. Made by [`Gate::identify`], ends in a [`Paywall`].
#[must_use]
pub struct Identifying(Selling<Charge>);

impl Identifying {
    /// Takes proofs of this method's accounts too; first named is first offered.
    pub fn via<S: Sell<Charge>>(self, seller: &Arc<S>) -> Self {
        Self(self.0.via(seller))
    }

    /// Looks for credentials in `Payment-Authorization`: `Authorization` belongs to the application.
    pub fn in_payment_authorization(self) -> Self {
        Self(self.0.in_payment_authorization())
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// None of the methods proves accounts in this unit, as for [`Selling::layer`]; [`ConfigError::NotFree`] where one asks for
    /// more than nothing whatever it is asked.
    pub fn layer(self) -> Result<Paywall, ConfigError> {
        self.0.reusable().layer()
    }
}

impl fmt::Debug for Identifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identifying").field(&self.0).finish()
    }
}
