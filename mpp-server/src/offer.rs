//! What a route can be paid with: an ask, and the verifiers that can take it.

pub(crate) mod offers;

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use mpp_core::{
    Challenge, Draft, Encoded, Intent, Method, Request,
    binding::{Admitted, Keys, Stem},
    intent::{Metered as Reused, Once, PriceError, SubscriptionTerms, Terms},
    method::{AskOf, TermsOf},
    name::MethodId,
    problem::{ProblemType, Reason, Rejection},
    store::{BoxFuture, Key},
    teller::Teller,
    time::Timestamp,
    verifier::{Asking, Minted, Spend, Verifier},
};
use serde_json::value::RawValue;

use crate::{
    gate::Gate,
    ledger::Ledger,
    rail::Rail,
    session::{Engine, ErasedMetered, ErasedTill, Metered, Till},
};

pub use self::offers::{NotOffered, Offers};

/// One way to pay for a route: a method at a price. Made by [`Offers`].
#[derive(Clone)]
pub struct Offer {
    way: Way,
    stem: Arc<OnceLock<(GateId, Stem)>>,
    made: MadeTo,
}

/// Who is asked by an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MadeTo {
    Everybody,
    /// Not this caller ([`Route::offering`](crate::Route::offering)).
    Others,
    /// Its method cannot take the ask, and asked something else here before: what was paid by it is held against the least
    /// that covers the ask.
    Nobody,
}

/// Whether a challenge of it is answered once, or again and again.
#[derive(Clone)]
enum Way {
    Once(Arc<dyn ErasedOffer>),
    Metered(Arc<dyn ErasedMetered>),
}

/// Which gate sealed with a stem: an offer may stand at two gates with keys of their own.
pub(crate) type GateId = u64;

impl Offer {
    /// The method and intent it is paid by.
    pub fn id(&self) -> &MethodId {
        match &self.way {
            Way::Once(offer) => offer.rail().id(),
            Way::Metered(offer) => offer.id(),
        }
    }

    /// Where it settles, as its method says.
    pub fn settles_at(&self) -> &str {
        match &self.way {
            Way::Once(offer) => offer.rail().settles_at(),
            Way::Metered(offer) => offer.place(),
        }
    }

    /// Whether its challenges are answered again and again, each credential drawing on an account.
    pub fn is_metered(&self) -> bool {
        matches!(self.way, Way::Metered(_))
    }

    pub(crate) fn new(offer: Arc<dyn ErasedOffer>) -> Self {
        Self::by(Way::Once(offer))
    }

    fn by(way: Way) -> Self {
        Self { way, stem: Arc::default(), made: MadeTo::Everybody }
    }

    /// The same offer, which is made to this caller only where that is allowed.
    pub(crate) fn only_if(self, allowed: bool) -> Self {
        match self.made {
            MadeTo::Everybody if !allowed => Self { made: MadeTo::Others, ..self },
            _ => self,
        }
    }

    /// Whether a challenge is of its method and intent.
    pub(crate) fn is_by(&self, challenge: &Challenge) -> bool {
        let MethodId { method, intent } = self.id();
        *method == challenge.method && *intent == challenge.intent
    }

    /// Whether it is not made to this caller.
    pub(crate) fn is_withheld(&self) -> bool {
        self.made != MadeTo::Everybody
    }

    /// Whether its method cannot take what is asked: it is made to nobody, and stands for what was paid by it before
    /// ([`Verifier::covering`]).
    pub fn is_left_out(&self) -> bool {
        self.made == MadeTo::Nobody
    }

    pub(crate) fn once(&self) -> Option<&Arc<dyn ErasedOffer>> {
        match &self.way {
            Way::Once(offer) => Some(offer),
            Way::Metered(_) => None,
        }
    }

    pub(crate) fn metered(&self) -> Option<&Arc<dyn ErasedMetered>> {
        match &self.way {
            Way::Once(_) => None,
            Way::Metered(offer) => Some(offer),
        }
    }

    /// The request where every demand has the same, without a future.
    pub(crate) fn lasting(&self) -> Option<Encoded> {
        match &self.way {
            Way::Once(offer) => offer.lasting(),
            Way::Metered(offer) => offer.lasting(),
        }
    }

    pub(crate) fn demand<'a>(
        &'a self,
        engine: &'a Arc<Engine>,
        asking: Asking<'a>,
    ) -> BoxFuture<'a, Result<Demanded, Rejection>> {
        match &self.way {
            Way::Once(offer) => offer.demand(asking),
            Way::Metered(offer) => offer.demand(engine, asking),
        }
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_free(&self) -> bool {
        self.once().is_some_and(|offer| offer.is_free())
    }

    /// Seals a challenge of this offer, from a hash begun with its first where the same gate asks again.
    pub(crate) fn seal(&self, gate: GateId, keys: &Keys, draft: Draft) -> Challenge {
        let (sealed_by, stem) = self.stem.get_or_init(|| (gate, keys.stem(&draft)));
        if *sealed_by == gate { stem.seal(draft) } else { keys.seal(draft) }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offer({})", self.id())
    }
}

/// What can be put on a route for intent `I`. Every [`Verifier`] of a once-only method can, and every [`Teller`] of a metered one; the
/// regime `R` picks the half, so that a session method never meets the once-only path.
pub trait Sell<I: Intent, R = <I as Intent>::Reuse>: Send + Sync + 'static {
    /// The method and intent it sells by.
    fn id() -> MethodId;

    /// The offer at an ask, if it can be said exactly.
    ///
    /// # Errors
    /// As for [`Verifier::terms`].
    fn offer(self: &Arc<Self>, ask: &I::Ask) -> Result<Offer, PriceError>;

    /// What was paid by it before is held against this where it makes no offer at an ask: an offer to nobody, if the method can
    /// say what would cover the ask.
    fn left_out(self: &Arc<Self>, ask: &I::Ask) -> Option<Offer>;

    /// Lets a gate look after what settles there, whatever the ask: what a crash left open, accounts.
    fn tended_by(self: &Arc<Self>, gate: &Gate);
}

impl<I: Intent<Reuse = Once>, V: Verifier<Method: Method<Intent = I>>> Sell<I, Once> for V {
    fn id() -> MethodId {
        MethodId::of::<V::Method>()
    }

    fn offer(self: &Arc<Self>, ask: &I::Ask) -> Result<Offer, PriceError> {
        Ok(Offer::new(Arc::new(ByVerifier::at(self, self.terms(ask)?))))
    }

    fn left_out(self: &Arc<Self>, ask: &I::Ask) -> Option<Offer> {
        let offer = Offer::new(Arc::new(ByVerifier::at(self, self.covering(ask)?)));
        Some(Offer { made: MadeTo::Nobody, ..offer })
    }

    fn tended_by(self: &Arc<Self>, gate: &Gate) {
        gate.settles_through(&Rail::of(self));
    }
}

impl<I: Intent<Reuse = Reused>, T: Teller<Method: Method<Intent = I>>> Sell<I, Reused> for T {
    fn id() -> MethodId {
        MethodId::of::<T::Method>()
    }

    fn offer(self: &Arc<Self>, ask: &I::Ask) -> Result<Offer, PriceError> {
        Ok(Offer::by(Way::Metered(Arc::new(Metered::at(self, ask)?))))
    }

    /// None: what an account holds is drawn on at no other rate.
    fn left_out(self: &Arc<Self>, _: &I::Ask) -> Option<Offer> {
        None
    }

    fn tended_by(self: &Arc<Self>, gate: &Gate) {
        let till: Arc<dyn ErasedTill> = Till::of(self);
        gate.tends(&till);
    }
}

/// A request to be put in a challenge, and until when.
pub(crate) struct Demanded {
    pub(crate) request: Encoded,
    pub(crate) not_after: Option<Timestamp>,
}

impl Demanded {
    /// A request that every demand has.
    pub(crate) fn lasting(request: Encoded) -> Self {
        Self { request, not_after: None }
    }
}

/// A proof that was found good.
pub(crate) struct Checked {
    pub(crate) spends: Option<(Key, Option<Timestamp>)>,
    pub(crate) evidence: Box<RawValue>,
    pub(crate) external_id: Option<String>,
    /// The money moved before the proof was shown.
    pub(crate) moved: bool,
}

/// An offer with its types forgotten.
pub(crate) trait ErasedOffer: Send + Sync {
    fn rail(&self) -> &Rail;
    fn demand<'a>(&'a self, asking: Asking<'a>) -> BoxFuture<'a, Result<Demanded, Rejection>>;
    /// The request where every demand has the same, without a future.
    fn lasting(&self) -> Option<Encoded>;
    /// Whether it asks for nothing.
    fn is_free(&self) -> bool;
    /// What it asks a period, where it sells subscriptions.
    fn plan(&self) -> Option<&SubscriptionTerms>;
    /// Whether a challenge asks what this offer asks: of two offers by one method, the one to answer by.
    fn asked(&self, challenge: &Challenge) -> bool;
    /// Whether what a challenge asks is at least what this offer asks, in the same currency and to the same recipient.
    fn is_covered_by(&self, request: &Encoded) -> bool;
    /// Has the proof checked on the terms of its challenge. Where those are not the offer's, it is good only for money that
    /// had moved and covers the offer.
    fn check<'a>(&'a self, admitted: Admitted) -> BoxFuture<'a, Result<Checked, Rejection>>;
}

struct ByVerifier<V: Verifier> {
    it: Arc<V>,
    rail: Rail,
    terms: TermsOf<V::Method>,
    lasting: OnceLock<Encoded>,
    ask: PhantomData<fn() -> AskOf<V::Method>>,
}

impl<V: Verifier> ByVerifier<V> {
    fn at(it: &Arc<V>, terms: TermsOf<V::Method>) -> Self {
        let (rail, lasting) = (Rail::of(it), OnceLock::new());
        Self { it: it.clone(), rail, terms, lasting, ask: PhantomData }
    }

    /// Whether what was paid at other terms is enough for these.
    fn is_paid_by(&self, paid: &TermsOf<V::Method>) -> bool {
        let ours = &self.terms;
        (paid.currency(), paid.recipient()) == (ours.currency(), ours.recipient())
            && paid.amount() >= ours.amount()
    }
}

impl<V: Verifier> ErasedOffer for ByVerifier<V> {
    fn rail(&self) -> &Rail {
        &self.rail
    }

    fn lasting(&self) -> Option<Encoded> {
        self.lasting.get().cloned()
    }

    fn demand<'a>(&'a self, asking: Asking<'a>) -> BoxFuture<'a, Result<Demanded, Rejection>> {
        Box::pin(async move {
            let Minted { details, not_after, lasting } =
                self.it.details(&self.terms, asking).await?;
            let request = Request::<V::Method> { terms: self.terms.clone(), details };
            let request = Encoded::of(&request).map_err(Rejection::internal)?;
            if lasting {
                let _ = self.lasting.set(request.clone());
            }
            Ok(Demanded { request, not_after })
        })
    }

    fn is_free(&self) -> bool {
        self.terms.amount().is_zero()
    }

    fn plan(&self) -> Option<&SubscriptionTerms> {
        (&self.terms as &dyn Any).downcast_ref()
    }

    fn asked(&self, challenge: &Challenge) -> bool {
        // The text we wrote is the usual case; another spelling of the same terms is ours too.
        self.lasting.get() == Some(&challenge.request)
            || challenge
                .request
                .decode::<TermsOf<V::Method>>()
                .is_ok_and(|terms| terms == self.terms)
    }

    fn is_covered_by(&self, request: &Encoded) -> bool {
        request.decode().is_ok_and(|paid| self.is_paid_by(&paid))
    }

    fn check<'a>(&'a self, admitted: Admitted) -> BoxFuture<'a, Result<Checked, Rejection>> {
        Box::pin(async move {
            let claim = admitted.claim::<V::Method>()?;
            let terms = &claim.request.terms;
            let ours = *terms == self.terms;
            let evidence =
                self.it.check(&claim).await.map_err(|e| match ours || !e.kind.fresh {
                    true => e,
                    false => other_terms().because(e),
                })?;
            let moved = self.it.has_moved(&evidence);
            // The scope ties a challenge to its route, and this to its price: neither a change of price nor a cheap
            // credential on a dear route passes (S2). Nor is whoever paid before a change invited to pay again.
            if !ours && !moved {
                return Err(other_terms());
            }
            if !ours && !self.is_paid_by(terms) {
                return Err(paid_too_little());
            }
            let mark = |spend: Spend<'_>| -> Result<_, Rejection> {
                Ok((Ledger::mark_key(V::Method::NAME.as_str(), &spend.proof)?, spend.until))
            };
            let spends = self.it.spends(&evidence).map(mark).transpose()?;
            // What was paid is booked under its own name.
            let external_id = terms.external_id().map(str::to_owned);
            let evidence =
                serde_json::value::to_raw_value(&evidence).map_err(Rejection::internal)?;
            Ok(Checked { spends, evidence, external_id, moved })
        })
    }
}

fn other_terms() -> Rejection {
    let detail = "This challenge was issued at another price or to another recipient.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
}

/// The money is there, and a fresh challenge would ask for all of it again.
pub(crate) fn paid_too_little() -> Rejection {
    let detail = "This payment is known, and does not cover what is asked today. Do not pay again: contact the seller.";
    Rejection::new(ProblemType::DENIED, Reason::WRONG_TERMS, detail)
}
