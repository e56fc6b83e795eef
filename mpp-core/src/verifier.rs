//! The server seam of methods whose challenges are answered once.

use std::{borrow::Cow, future::Future};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Realm,
    binding::Claim,
    fate::Fate,
    intent::{Intent, Once, PriceError},
    method::{AskOf, DetailsOf, Method, TermsOf},
    problem::Rejection,
    time::Timestamp,
    transport::Resource,
};

/// The server half of a method whose challenges are answered once.
///
/// The order of money is check, mark, settle, serve; the marks are the ledger's. What a verifier owes is that
/// [`check`](Verifier::check) writes nothing, and that [`settle`](Verifier::settle) needs the evidence and nothing else:
/// the live path and the path after a crash run the same function on the same bytes.
pub trait Verifier: Send + Sync + 'static {
    /// The method it sells by.
    type Method: Method<Intent: Intent<Reuse = Once>>;
    /// The order to the rail, whole. Secret at rest, and kept as long as the ledger keeps the payment.
    type Evidence: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Where the money goes on its rail, in one spelling: chain and recipient, an account, a node. A payment on the books is
    /// gone on with by a verifier of the same place and no other. Pure.
    fn settles_at(&self) -> Cow<'_, str>;

    /// An ask in this method's own units. Pure. What it returns for a route is also what a claim on that route must ask,
    /// member for member; but for money that had moved at other terms, which [`check`](Verifier::check) sees too.
    ///
    /// # Errors
    /// Why this method cannot take the ask: [`PriceError::Unit`] where it is in another unit, [`PriceError::BelowMinimum`]
    /// where it is less than the rail takes, anything else where it cannot be said exactly. It then makes no offer, and the
    /// route is paid by its other methods; a route that is left without any is an error that says all of these.
    fn terms(&self, ask: &AskOf<Self::Method>) -> Result<TermsOf<Self::Method>, PriceError>;

    /// What would pay for an ask that [`terms`](Verifier::terms) refuses: the ask in this method's own units, rounded up, and at
    /// the terms' currency and recipient. Nobody is asked for it. It is what money that this method took before is held
    /// against, where the price has since become one that it cannot take. Pure.
    ///
    /// `None`, as a method has it that does not say: what was paid by it then buys nothing at such a price, and its payer is
    /// told to contact the seller.
    fn covering(&self, ask: &AskOf<Self::Method>) -> Option<TermsOf<Self::Method>> {
        let _ = ask;
        None
    }

    /// The costly rest of a demand: Lightning mints an invoice here. It may fail, be limited, and bound the challenge's expiry.
    fn details(
        &self,
        terms: &TermsOf<Self::Method>,
        asking: Asking<'_>,
    ) -> impl Future<Output = Result<Minted<DetailsOf<Self::Method>>, Rejection>> + Send;

    /// Whether the proof proves the payment. Reads, never writes; may run any number of times.
    ///
    /// A claim may be [late](Claim::late): shown after its challenge's end, for a payer who had paid before and was held up.
    /// Whether the money had moved before that end is the verifier's to judge, by the rail's own word for when it moved; what
    /// moved later pays for nothing, since the price may be another by now. Of what is returned for a late claim only evidence
    /// that [has moved](Verifier::has_moved) is taken. A late claim costs the rail no more questions than a timely one.
    ///
    /// A claim's terms may be others than the route has today, of before a change of price or made for another request: it is
    /// judged by its own. The caller then goes on only with evidence that has moved and pays for what is asked now. A
    /// claim that this verifier would not have asked for (another recipient, details that are not its own) it refuses as
    /// [`Reason::WRONG_TERMS`](crate::problem::Reason::WRONG_TERMS): of several verifiers of one method the next is then asked.
    ///
    /// # Errors
    /// What the payer needs to know. On a late claim: [`Claim::in_time`] where the proof is an order that is yet to be sent,
    /// or moved its money after the end; [`Rejection::unknown`] where the rail does not show the money yet, since somebody who
    /// may have paid is not to be told to pay again.
    fn check(
        &self,
        claim: &Claim<Self::Method>,
    ) -> impl Future<Output = Result<Self::Evidence, Rejection>> + Send;

    /// What this uses up, if it can be used up: a transaction hash, a preimage, a token id, in one spelling. No default: decide.
    fn spends<'e>(&self, evidence: &'e Self::Evidence) -> Option<Spend<'e>>;

    /// Whether the money had moved before the proof was shown: a hash, a preimage. It is then booked before anything else,
    /// on a route that charges on success too: there is nothing to hold back, and a handler that fails must not make it
    /// forgotten. Nor is it refused because its challenge ended meanwhile, for as long as [`LATE`](crate::binding::LATE). Pure.
    /// No default: decide.
    fn has_moved(&self, evidence: &Self::Evidence) -> bool;

    /// Takes the money, from the evidence alone.
    ///
    /// Two runs on the same evidence must move money once: send the same transaction again, or give the rail an
    /// idempotency key made from the evidence. The ledger's leases make a second run rare, not impossible.
    ///
    /// At a price of nothing no run moves anything, and a route that only identifies runs it each time a proof is shown:
    /// what it needs of the settlement is [who](crate::fate::Settlement::by).
    fn settle(&self, evidence: &Self::Evidence) -> impl Future<Output = Fate> + Send;

    /// Asks the rail what became of it. Required: no default is a truth.
    fn reconcile(&self, evidence: &Self::Evidence) -> impl Future<Output = Fate> + Send;
}

/// What a payment uses up: the ledger marks it, and no other challenge is ever paid with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend<'e> {
    /// The proof in one spelling: `0xAB` and `ab` must not be two. Only its hash is stored.
    pub proof: Cow<'e, str>,
    /// From when on [`Verifier::check`] refuses this proof by itself, in a late claim too, so that its mark may be forgotten;
    /// `None`: never. Of a proof that is good for one challenge alone: [`LATE`](crate::binding::LATE) after its end.
    pub until: Option<Timestamp>,
}

impl<'e> Spend<'e> {
    /// Uses up a proof that would be good for ever.
    pub fn of(proof: impl Into<Cow<'e, str>>) -> Self {
        Self { proof: proof.into(), until: None }
    }

    /// Uses up a proof that is no good after `until`.
    pub fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }
}

/// Who asks, and why again: what a costly demand may depend on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Asking<'a> {
    /// What is asked for.
    pub at: &'a Resource,
    /// In whose name it is answered.
    pub realm: &'a Realm,
    /// When the challenge will end, unless the details end earlier.
    pub until: &'a Timestamp,
    /// Who asks, where the adapter can tell; what minting is limited by.
    pub client: Option<&'a str>,
    /// The account the client says it has.
    pub hint: Option<&'a str>,
    /// What was refused just now.
    pub after: Option<&'a Rejection>,
}

impl<'a> Asking<'a> {
    /// Somebody asks for a resource, for the first time.
    pub fn new(at: &'a Resource, realm: &'a Realm, until: &'a Timestamp) -> Self {
        Self { at, realm, until, client: None, hint: None, after: None }
    }

    /// Says who asks.
    pub fn client(self, client: Option<&'a str>) -> Self {
        Self { client, ..self }
    }

    /// Says which account the asker says it has.
    pub fn hint(self, hint: Option<&'a str>) -> Self {
        Self { hint, ..self }
    }

    /// Says what was refused just now.
    pub fn after(self, after: Option<&'a Rejection>) -> Self {
        Self { after, ..self }
    }
}

/// The details of one demand, or of every demand.
#[derive(Clone, Debug)]
pub struct Minted<D> {
    /// The method's own members of the request.
    pub details: D,
    /// The challenge must end no later.
    pub not_after: Option<Timestamp>,
    /// Whether every demand on the same terms gets these details, so that the request is encoded once and kept.
    pub lasting: bool,
}

impl<D> Minted<D> {
    /// Details for one demand, which must end by `not_after`.
    pub fn once(details: D, not_after: Option<Timestamp>) -> Self {
        Self { details, not_after, lasting: false }
    }

    /// Details that every demand on the same terms gets: they depend on nothing in [`Asking`].
    pub fn lasting(details: D) -> Self {
        Self { details, not_after: None, lasting: true }
    }
}
