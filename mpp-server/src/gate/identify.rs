//! A proof of account that may be shown again: who it is, proven anew each time, with nothing on the books.

use mpp_core::{
    Challenge,
    binding::Recognised,
    fate::{Fate, Settlement},
    problem::Rejection,
};

use super::{
    Gate,
    check::{Answerable, answerable},
    judge::unavailable,
};
use crate::{ledger, offer::Checked, permit::Paid, route::Route};

impl Gate {
    /// Tells who shows a credential of a challenge that asks for nothing. Once its challenge has ended nobody does.
    ///
    /// A crash or a hang-up anywhere in here leaves nothing: checking writes nothing, and settling nothing moves nothing.
    pub(super) async fn who(
        &self,
        known: Recognised,
        offers: &[Answerable],
    ) -> Result<Paid, Rejection> {
        let admitted = known.admit(&self.now())?;
        let challenge = admitted.challenge().clone();
        let (checked, offer) = self.prove(admitted, offers).await?;
        let offer = &offer.offer;
        let Checked { evidence, external_id, .. } = checked;
        let fate = self.0.ledger.within_deadline(offer.rail().settle(evidence)).await;
        // Both may take their time; what ended meanwhile is not let in either (S5).
        let now = self.now();
        if let Some(end) = challenge.expires.as_ref().filter(|end| end.expired_at(&now)) {
            return Err(Rejection::expired(end));
        }
        let settlement = named(fate)?;
        let (method, id) = (offer.rail().id().clone(), challenge.id().as_str().to_owned());
        let payer = settlement.payer.clone();
        let receipt = ledger::receipt(settlement, &method, &id, external_id, now);
        Ok(Paid { receipt: Some(receipt), method, challenge: id, payer })
    }
}

/// The offers a challenge may answer where its proof may be shown again: those that ask for nothing, and asked for just that.
/// Any other goes by the books: what was paid at this address before its route came to ask for nothing is redeemed as ever.
pub(super) fn identifying(route: &Route, challenge: &Challenge) -> Option<Vec<Answerable>> {
    if !route.reusable {
        return None;
    }
    let mut offers = answerable(&route.offers, challenge);
    offers.retain(|it| it.offer.is_free() && it.offer.asked(challenge));
    (!offers.is_empty()).then_some(offers)
}

/// A settlement that says who. Where it cannot be told now nothing has moved, so the same credential may be shown again.
fn named(fate: Fate) -> Result<Settlement, Rejection> {
    match fate {
        // Two of whom nobody knows who they are would look like one.
        Fate::Settled(settlement) if settlement.payer.is_none() => {
            Err(Rejection::internal("a method proves an account and does not say which"))
        }
        Fate::Settled(settlement) => Ok(settlement),
        Fate::Failed(rejection) => Err(rejection),
        Fate::Unknown(cause) => Err(unavailable().because(cause)),
        _ => Err(unavailable().because("the rail does not know the proof it was just given")),
    }
}
