//! A teller at its place, with its types and without.

use std::sync::{Arc, OnceLock};

use mpp_core::{
    Amount, Challenge, Encoded, Request,
    binding::Admitted,
    credential::Source,
    intent::{PriceError, Terms},
    method::{AskOf, TermsOf},
    name::MethodId,
    problem::{ProblemType, Reason, Rejection},
    store::BoxFuture,
    teller::Teller,
    verifier::{Asking, Minted},
};

use super::{Engine, ErasedTill, Take, Taken, books::Desk};
use crate::offer::Demanded;

/// One teller at one place.
pub(crate) struct Till<T: Teller> {
    pub(super) it: Arc<T>,
    pub(super) id: MethodId,
    pub(super) place: String,
}

impl<T: Teller> Till<T> {
    pub(crate) fn of(it: &Arc<T>) -> Arc<Self> {
        let place = it.settles_at().into_owned();
        Arc::new(Self { it: it.clone(), id: MethodId::of::<T::Method>(), place })
    }

    pub(crate) fn desk(self: &Arc<Self>, engine: &Arc<Engine>) -> Desk<T> {
        Desk { engine: engine.clone(), till: self.clone() }
    }
}

/// An offer to draw on accounts, its types forgotten.
pub(crate) trait ErasedMetered: Send + Sync {
    fn till(&self) -> Arc<dyn ErasedTill>;
    fn id(&self) -> &MethodId;
    fn place(&self) -> &str;
    fn price(&self) -> Amount;
    /// What is counted.
    fn unit_type(&self) -> Option<Arc<str>>;
    /// The request where every demand has the same, without a future.
    fn lasting(&self) -> Option<Encoded>;
    fn demand<'a>(
        &'a self,
        engine: &'a Arc<Engine>,
        asking: Asking<'a>,
    ) -> BoxFuture<'a, Result<Demanded, Rejection>>;
    /// Whether a challenge asks what this offer asks.
    fn asked(&self, challenge: &Challenge) -> bool;
    /// Takes a credential.
    fn take(
        self: Arc<Self>,
        engine: Arc<Engine>,
        admitted: Admitted,
        take: Take,
    ) -> BoxFuture<'static, Result<Taken, Rejection>>;
    /// What a proven payer is told of its account here.
    fn fields<'a>(
        &'a self,
        engine: &'a Arc<Engine>,
        payer: &'a Source,
    ) -> BoxFuture<'a, Result<Vec<(&'static str, String)>, Rejection>>;
}

/// An offer to draw on accounts at a rate.
pub(crate) struct Metered<T: Teller> {
    till: Arc<Till<T>>,
    terms: TermsOf<T::Method>,
    unit_type: Option<Arc<str>>,
    lasting: OnceLock<Encoded>,
}

impl<T: Teller> Metered<T> {
    pub(crate) fn at(it: &Arc<T>, ask: &AskOf<T::Method>) -> Result<Self, PriceError> {
        let terms = it.terms(ask)?;
        // A unit for nothing would be served for ever.
        if terms.amount().is_zero() {
            return Err(PriceError::Nothing);
        }
        // The shared terms of an intent do not name it, and what is on the wire does.
        let wire = serde_json::to_value(&terms).unwrap_or_default();
        let unit_type = wire.get("unitType").and_then(|name| name.as_str()).map(Arc::from);
        Ok(Self { till: Till::of(it), terms, unit_type, lasting: OnceLock::new() })
    }
}

impl<T: Teller> ErasedMetered for Metered<T> {
    fn till(&self) -> Arc<dyn ErasedTill> {
        self.till.clone()
    }

    fn id(&self) -> &MethodId {
        &self.till.id
    }

    fn place(&self) -> &str {
        &self.till.place
    }

    fn price(&self) -> Amount {
        self.terms.amount()
    }

    fn unit_type(&self) -> Option<Arc<str>> {
        self.unit_type.clone()
    }

    fn lasting(&self) -> Option<Encoded> {
        self.lasting.get().cloned()
    }

    fn demand<'a>(
        &'a self,
        engine: &'a Arc<Engine>,
        asking: Asking<'a>,
    ) -> BoxFuture<'a, Result<Demanded, Rejection>> {
        Box::pin(async move {
            let known = match asking.hint {
                Some(id) => self.till.desk(engine).hinted(id).await?,
                None => None,
            };
            let Minted { details, not_after, lasting } =
                self.till.it.details(&self.terms, asking, known.as_ref()).await?;
            let request = Request::<T::Method> { terms: self.terms.clone(), details };
            let request = Encoded::of(&request).map_err(Rejection::internal)?;
            if lasting && known.is_none() {
                let _ = self.lasting.set(request.clone());
            }
            Ok(Demanded { request, not_after })
        })
    }

    fn asked(&self, challenge: &Challenge) -> bool {
        self.lasting.get() == Some(&challenge.request)
            || challenge
                .request
                .decode::<TermsOf<T::Method>>()
                .is_ok_and(|terms| terms == self.terms)
    }

    fn take(
        self: Arc<Self>,
        engine: Arc<Engine>,
        admitted: Admitted,
        take: Take,
    ) -> BoxFuture<'static, Result<Taken, Rejection>> {
        Box::pin(async move {
            let claim = admitted.claim::<T::Method>()?;
            let ours = claim.request.terms == self.terms;
            let take = Take { at_terms: ours, price: self.terms.amount(), ..take };
            self.till.desk(&engine).take(claim, take).await
        })
    }

    fn fields<'a>(
        &'a self,
        engine: &'a Arc<Engine>,
        payer: &'a Source,
    ) -> BoxFuture<'a, Result<Vec<(&'static str, String)>, Rejection>> {
        Box::pin(async move { self.till.desk(engine).fields_of(payer, &self.terms).await })
    }
}

/// A challenge of another price: what was signed under it is not to be spent at this one.
pub(super) fn other_terms() -> Rejection {
    let detail = "This challenge was issued at another price or to another recipient.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
}
