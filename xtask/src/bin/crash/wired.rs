//! The verifier of a real method, with a place to die on either side of what it sends.

use std::borrow::Cow;

use mpp_core::{
    binding::Claim,
    fate::Fate,
    intent::PriceError,
    method::{AskOf, DetailsOf, TermsOf},
    problem::Rejection,
    verifier::{Asking, Minted, Spend, Verifier},
};

use crate::tripwire::Fuse;

/// It does as the verifier does.
pub(crate) struct Wired<V> {
    it: V,
    fuse: Fuse,
}

impl<V> Wired<V> {
    pub(crate) fn new(it: V, fuse: &Fuse) -> Self {
        Self { it, fuse: fuse.clone() }
    }
}

impl<V: Verifier> Verifier for Wired<V> {
    type Method = V::Method;
    type Evidence = V::Evidence;

    fn settles_at(&self) -> Cow<'_, str> {
        self.it.settles_at()
    }

    fn terms(&self, ask: &AskOf<V::Method>) -> Result<TermsOf<V::Method>, PriceError> {
        self.it.terms(ask)
    }

    async fn details(
        &self,
        terms: &TermsOf<V::Method>,
        asking: Asking<'_>,
    ) -> Result<Minted<DetailsOf<V::Method>>, Rejection> {
        self.it.details(terms, asking).await
    }

    async fn check(&self, claim: &Claim<V::Method>) -> Result<V::Evidence, Rejection> {
        self.it.check(claim).await
    }

    fn spends<'e>(&self, evidence: &'e V::Evidence) -> Option<Spend<'e>> {
        self.it.spends(evidence)
    }

    fn has_moved(&self, evidence: &V::Evidence) -> bool {
        self.it.has_moved(evidence)
    }

    async fn settle(&self, evidence: &V::Evidence) -> Fate {
        self.fuse.pass("before send");
        let fate = self.it.settle(evidence).await;
        self.fuse.pass("after send");
        fate
    }

    async fn reconcile(&self, evidence: &V::Evidence) -> Fate {
        self.it.reconcile(evidence).await
    }
}
