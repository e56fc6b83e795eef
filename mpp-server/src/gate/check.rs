//! A proof that is on no book: which offers its challenge may answer, and what their verifiers say to it.

use std::sync::Arc;

use mpp_core::{
    Challenge,
    binding::Admitted,
    credential::Fingerprint,
    problem::{ProblemType, Reason, Rejection},
};

use super::{Gate, judge::unavailable};
use crate::{
    ledger::Opening,
    offer::{Checked, ErasedOffer, Offer, paid_too_little},
    route::Route,
};

/// An offer that a challenge may answer.
pub(super) struct Answerable {
    pub(super) offer: Arc<dyn ErasedOffer>,
    /// It is not made to this caller.
    pub(super) withheld: bool,
}

impl Answerable {
    /// As its verifier says. What is not offered to this caller sends no order; money that had moved is taken: somebody was
    /// asked for it here, and has paid.
    async fn check(&self, admitted: Admitted) -> Result<Checked, Rejection> {
        let checked = self.offer.check(admitted).await;
        if !self.withheld {
            return checked;
        }
        match checked {
            // Of nothing nothing has moved, whatever its evidence says.
            Ok(checked) if checked.moved && !self.offer.is_free() => Ok(checked),
            Ok(_) => Err(not_offered()),
            Err(e) if e.kind.fresh => Err(not_offered().because(e)),
            Err(e) => Err(e),
        }
    }
}

impl Gate {
    /// Checks a proof that is on no book. A crash or a hang-up here leaves nothing: checking writes nothing.
    pub(super) async fn check(
        &self,
        admitted: Admitted,
        print: Fingerprint,
        offers: &[Answerable],
    ) -> Result<Opening, Rejection> {
        let challenge = admitted.challenge();
        let (id, expires) = (challenge.id().as_str().to_owned(), challenge.expires.clone());
        // `admit` lets nothing without an end pass.
        let expires =
            expires.ok_or_else(|| Rejection::internal("an admitted challenge without an end"))?;
        let late = admitted.is_late();
        let (checked, offer) = self.prove(admitted, offers).await?;
        let offer = &offer.offer;
        let Checked { spends, evidence, external_id, moved } = checked;
        if late && !moved {
            // Nothing moved, and nothing will: the order is not sent.
            return Err(Rejection::expired(&expires));
        }
        let rail = offer.rail().clone();
        Ok(Opening { print, challenge: id, expires, spends, evidence, external_id, moved, rail })
    }

    /// Asks the verifiers of these offers in turn, all in the time that one settlement may take, and says whose proof it is.
    pub(super) async fn prove<'a>(
        &self,
        admitted: Admitted,
        offers: &'a [Answerable],
    ) -> Result<(Checked, &'a Answerable), Rejection> {
        let checked = tokio::time::timeout(self.0.ledger.deadline, ask(admitted, offers)).await;
        // Nothing was sent, so the same credential may be shown again.
        checked.map_err(|late| unavailable().because(late))?
    }
}

/// Asks one verifier after the other, as long as they say that the challenge is not theirs.
async fn ask(
    admitted: Admitted,
    offers: &[Answerable],
) -> Result<(Checked, &Answerable), Rejection> {
    let mut refusal = not_offered();
    for offer in offers {
        let refused = match offer.check(admitted.clone()).await {
            Ok(_) if offer.withheld && !is_enough(offers, admitted.challenge()) => {
                return Err(paid_too_little());
            }
            Ok(checked) => return Ok((checked, offer)),
            Err(refused) => refused,
        };
        if refused.reason != Reason::WRONG_TERMS && offer.offer.asked(admitted.challenge()) {
            return Err(refused);
        }
        // What knows of money, or cannot tell, outweighs what invites to pay: only one of them may be the payer's offer.
        if refusal.kind.fresh {
            refusal = refused;
        }
    }
    Err(refusal)
}

/// The offers a challenge may answer, by its method and intent: first the one whose text it bears, then those at its terms.
///
/// Terms alone do not tell offers apart: two may differ in what their method adds, and after a restart, until it is asked
/// for again, no offer has a text yet. The rest may still honour what was paid before a price changed.
pub(super) fn answerable(offers: &[Offer], challenge: &Challenge) -> Vec<Answerable> {
    let same = |o: &&Offer| o.is_by(challenge);
    let answers = |o: &Offer| {
        let offer = o.once()?.clone();
        Some(Answerable { offer, withheld: o.is_withheld() })
    };
    let mut found: Vec<_> = offers.iter().filter(same).filter_map(answers).collect();
    if found.len() > 1 {
        found.sort_by_cached_key(|Answerable { offer, .. }| match offer.lasting() {
            Some(text) if text == challenge.request => 0,
            _ if offer.asked(challenge) => 1,
            _ => 2,
        });
    }
    found
}

/// Whether a route has an offer by the method and intent of a challenge.
pub(super) fn offers_by(route: &Route, challenge: &Challenge) -> bool {
    route.offers.iter().any(|offer| offer.is_by(challenge))
}

/// Whether money by an offer that is not made to this caller is as much as this caller is asked by the same method, where it
/// is asked by that at all: the price for one is no price for another (S2).
fn is_enough(offers: &[Answerable], challenge: &Challenge) -> bool {
    let mut made = offers.iter().filter(|offer| !offer.withheld).peekable();
    made.peek().is_none() || made.any(|it| it.offer.is_covered_by(&challenge.request))
}

/// Whatever a credential proves, it is by a way to pay that is not offered here, or not to this caller: 402, with those that are.
pub(crate) fn not_offered() -> Rejection {
    let detail = "This resource is not paid for by the method of this challenge.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::NOT_OFFERED, detail)
}
