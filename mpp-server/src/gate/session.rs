//! Credentials of sessions at the gate: which offer they draw by, and what a proven payer is told of its account.

use std::sync::Arc;

use mpp_core::{
    Challenge, Credential,
    binding::{Admitted, Recognised},
    problem::{Reason, Rejection},
    transport::Wants,
};

use super::{
    Gate,
    check::answerable,
    judge::{Again, Place},
};
use crate::{
    answer::Asked,
    offer::Offer,
    permit::{Acknowledged, Admission, Paid, Permit},
    route::Route,
    session::{Engine, ErasedMetered, Session, Take, Taken},
};

impl Gate {
    /// Takes a credential that draws on an account: fit, check, apply. It is on none of the ledger's books.
    pub(super) async fn draw(
        &self,
        route: &Route,
        known: Recognised,
        (asked, wants): (Option<Asked>, Wants),
        again: impl FnOnce() -> Again,
        place: Place<'_>,
    ) -> Result<Admission, Rejection> {
        known.fits_place(place.at)?;
        let challenge = known.challenge().id().as_str().to_owned();
        let units = match wants {
            Wants::Content { units } => Some(route.units.saturating_mul(units)),
            _ => None,
        };
        let name = asked.map(|asked| asked.name_under(&challenge));
        let offers = drawable(&route.offers, known.challenge());
        let admitted = known.admit_metered(&self.now())?;
        let engine = &self.0.engine;
        let (offer, taken) =
            first_that_takes(&offers, engine, &admitted, (units, name.clone())).await?;
        let Taken { id, receipt, payer, serve, closed, due } = taken;
        let Some(units) = serve else {
            let fields = vec![(ACCOUNT, id)];
            return Ok(Admission::Acknowledge(Acknowledged {
                receipt: Some(receipt),
                fields,
                closed,
            }));
        };
        let till = (engine.clone(), offer.till());
        let rate = (offer.price(), offer.unit_type());
        let session = Session::new(till, id, (challenge.clone(), units, due), rate, again());
        let paid = Paid { receipt: Some(receipt), method: offer.id().clone(), challenge, payer };
        Ok(Admission::Serve(Permit::drawn(paid, self.0.events.clone(), session, (units, name))))
    }

    /// Tells a payer that proved its account what account it has here: nothing but a head, and no receipt.
    pub(super) async fn told(
        &self,
        route: &Route,
        proof: &Offer,
        known: Recognised,
    ) -> Result<Admission, Rejection> {
        let offers = answerable(std::slice::from_ref(proof), known.challenge());
        let paid = self.who(known, &offers).await?;
        let mut fields = Vec::new();
        for offer in route.offers.iter().filter_map(Offer::metered) {
            let Some(payer) = &paid.payer else { break };
            fields = offer.fields(&self.0.engine, payer).await?;
            if !fields.is_empty() {
                break;
            }
        }
        Ok(Admission::Acknowledge(Acknowledged { receipt: None, fields, closed: false }))
    }
}

/// The field that names an account.
const ACCOUNT: &str = "payment-session";

/// Whether a credential draws on an account by an offer of this route.
pub(super) fn is_metered(route: &Route, credential: &Credential) -> bool {
    let challenge = &credential.challenge;
    route.offers.iter().any(|offer| offer.is_metered() && offer.is_by(challenge))
}

/// Whether a credential is the answer to a route's question who it is.
pub(super) fn is_told<'r>(route: &'r Route, credential: &Credential) -> Option<&'r Offer> {
    let challenge = &credential.challenge;
    let proof = route.bootstrap.as_ref()?;
    let asked = proof.once().is_some_and(|proof| proof.asked(challenge));
    (*proof.id() == challenge.method_id() && asked).then_some(proof)
}

/// An offer that a challenge may be drawn by, and whether it is made to this caller.
type Drawable = (Arc<dyn ErasedMetered>, bool);

/// The offers that a challenge may be drawn by: first those at its terms, then the others of its method, for what needs no terms.
fn drawable(offers: &[Offer], challenge: &Challenge) -> Vec<Drawable> {
    let same = offers.iter().filter(|offer| offer.is_by(challenge));
    let mut found: Vec<Drawable> =
        same.filter_map(|offer| Some((offer.metered()?.clone(), !offer.is_withheld()))).collect();
    if found.len() > 1 {
        found.sort_by_cached_key(|(offer, _)| !offer.asked(challenge));
    }
    found
}

/// Asks one teller after the other, as long as they say that the challenge is not theirs.
async fn first_that_takes<'o>(
    offers: &'o [Drawable],
    engine: &Arc<Engine>,
    admitted: &Admitted,
    (units, name): (Option<u64>, Option<String>),
) -> Result<(&'o Arc<dyn ErasedMetered>, Taken), Rejection> {
    let mut refusal = super::check::not_offered();
    for (offer, offered) in offers {
        let take = Take {
            units: units.unwrap_or(0),
            content: units.is_some(),
            name: name.clone(),
            price: offer.price(),
            at_terms: false,
            offered: *offered,
        };
        match offer.clone().take(engine.clone(), admitted.clone(), take).await {
            Ok(taken) => return Ok((offer, taken)),
            Err(refused) if refused.reason == Reason::NOT_OFFERED => {}
            Err(refused) if refused.reason == Reason::WRONG_TERMS => refusal = refused,
            Err(refused) => return Err(refused),
        }
    }
    Err(refusal)
}
