//! Challenges: which offers are made to a caller, minted side by side, and sealed in order.

use std::{future::poll_fn, task::Poll, time::Duration};

use mpp_core::{
    Draft,
    accept::Accept,
    challenge::Challenge,
    opaque::Opaque,
    problem::{ProblemType, Reason, Rejection},
    store::BoxFuture,
    time::Timestamp,
    transport::Refusal,
    verifier::Asking,
};

use super::{Gate, judge::Place};
use crate::{
    event::Event,
    limit::Effort,
    offer::{Demanded, Offer},
};

/// Challenges that could be made, and what kept one from being made.
#[derive(Default)]
pub(super) struct Made {
    challenges: Vec<Challenge>,
    trouble: Option<Rejection>,
}

/// An offer's request, or its way there.
enum Slot<'a> {
    Minting(BoxFuture<'a, Result<Demanded, Rejection>>),
    Minted(Result<Demanded, Rejection>),
}

impl Gate {
    /// One refusal with every challenge that could be made. Ranked before anything is minted: an unwanted offer costs nothing.
    pub(super) async fn invite(
        &self,
        offers: &[Offer],
        accept: &Accept,
        place: Place<'_>,
        rejection: Rejection,
    ) -> Refusal {
        if let Err(limited) = self.limited(Effort::Issue, place.client) {
            return limited.into();
        }
        let wanted = wanted(offers, accept);
        if wanted.is_empty() {
            return nobody(offers).into();
        }
        let end = self.end();
        let asking = Asking::new(place.at, place.realm, &end)
            .client(place.client)
            .hint(place.hint)
            .after(Some(&rejection));
        let slot = |offer: &&'_ Offer| {
            // A metered offer is made out to whoever names its account.
            let named = place.hint.is_some() && offer.is_metered();
            offer.lasting().filter(|_| !named).map(Demanded::lasting)
        };
        let mut slots: Vec<Slot<'_>> = wanted
            .iter()
            .map(|offer| match slot(offer) {
                Some(demanded) => Slot::Minted(Ok(demanded)),
                None => Slot::Minting(offer.demand(&self.0.engine, asking)),
            })
            .collect();
        mint(&mut slots, self.0.minting).await;
        let mut made = Made::default();
        for (offer, slot) in wanted.into_iter().zip(slots) {
            let demanded = match slot {
                Slot::Minted(demanded) => demanded,
                Slot::Minting(_) => Err(late()),
            };
            self.make(offer, demanded, end.clone(), place, &mut made);
        }
        inviting(rejection, made)
    }

    /// The same, where every request stands ready and nothing is waited for; `None` where one does not.
    pub(super) fn invite_at_once(
        &self,
        offers: &[Offer],
        accept: &Accept,
        place: Place<'_>,
        rejection: impl FnOnce() -> Rejection,
    ) -> Option<Refusal> {
        let wanted = wanted(offers, accept);
        if wanted.iter().any(|offer| offer.lasting().is_none()) {
            return None;
        }
        if let Err(limited) = self.limited(Effort::Issue, place.client) {
            return Some(limited.into());
        }
        if wanted.is_empty() {
            return Some(nobody(offers).into());
        }
        let mut made = Made { challenges: Vec::with_capacity(wanted.len()), trouble: None };
        for offer in wanted {
            let demanded = Demanded::lasting(offer.lasting()?);
            self.make(offer, Ok(demanded), self.end(), place, &mut made);
        }
        Some(inviting(rejection(), made))
    }

    /// When a challenge made now ends. Whole seconds: shorter, and what every peer prints.
    fn end(&self) -> Timestamp {
        let lifetime = i64::try_from(self.0.lifetime.as_secs()).unwrap_or(0);
        Timestamp::from_unix(self.now().unix_seconds().saturating_add(lifetime), 0)
    }

    fn make(
        &self,
        offer: &Offer,
        demanded: Result<Demanded, Rejection>,
        end: Timestamp,
        place: Place<'_>,
        made: &mut Made,
    ) {
        match demanded.and_then(|demanded| self.seal(offer, demanded, end, place)) {
            Ok(challenge) => made.challenges.push(challenge),
            Err(e) => {
                let cause = e.source.as_deref().map(tracing::field::display);
                let reason = e.reason.as_str();
                tracing::warn!(method = %offer.id(), reason, cause, "an offer could not be made");
                // What may go better in a moment outweighs what may not.
                let soon = made.trouble.as_ref().is_some_and(|e| e.kind.status == 503);
                if !soon {
                    made.trouble = Some(e);
                }
            }
        }
    }

    fn seal(
        &self,
        offer: &Offer,
        demanded: Demanded,
        end: Timestamp,
        place: Place<'_>,
    ) -> Result<Challenge, Rejection> {
        let nonce = self.0.nonces.draw().map_err(Rejection::internal)?;
        let expires = match demanded.not_after {
            Some(earlier) if earlier.is_before(&end) => earlier,
            _ => end,
        };
        let (id, metered) = (offer.id(), offer.is_metered());
        let scope = if metered { place.at.place() } else { &place.at.scope };
        let draft = Draft {
            realm: place.realm.clone(),
            method: id.method.clone(),
            intent: id.intent.clone(),
            request: demanded.request,
            expires: Some(expires),
            // What is answered again and again is bound to a place, and not to one request there.
            digest: place.at.digest.clone().filter(|_| !metered),
            description: None,
            header: place.header.cloned(),
            opaque: Some(Opaque::bind(&nonce, scope)),
        };
        let challenge = offer.seal(self.0.id, &self.0.keys, draft);
        self.0.events.send(|| Event::ChallengeCreated {
            challenge: challenge.id().as_str().to_owned(),
            method: id.clone(),
        });
        Ok(challenge)
    }
}

/// Waits for all of them side by side, and for so long at most: who is late keeps nobody else from being offered.
async fn mint(slots: &mut [Slot<'_>], within: Duration) {
    if slots.iter().all(|slot| matches!(slot, Slot::Minted(_))) {
        return;
    }
    let all = poll_fn(|cx| {
        let mut waiting = false;
        for slot in &mut *slots {
            let Slot::Minting(minting) = slot else { continue };
            match minting.as_mut().poll(cx) {
                Poll::Ready(minted) => *slot = Slot::Minted(minted),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    });
    let _ = tokio::time::timeout(within, all).await;
}

/// The offers to make, in order.
fn wanted<'a>(offers: &'a [Offer], accept: &Accept) -> Vec<&'a Offer> {
    let to_this_caller = |offer: &&Offer| !offer.is_withheld();
    if !accept.is_everything() {
        let order = accept.order(offers, |o| (o.id().method.as_str(), o.id().intent.as_str()));
        let chosen = order.into_iter().filter_map(|i| offers.get(i));
        let chosen: Vec<&Offer> = chosen.filter(to_this_caller).collect();
        if !chosen.is_empty() {
            return chosen;
        }
    }
    // What fits no wish is answered with the normal set (C-42).
    offers.iter().filter(to_this_caller).collect()
}

/// A refusal with the challenges that could be made.
fn inviting(rejection: Rejection, Made { challenges, trouble }: Made) -> Refusal {
    match trouble {
        // Never a 402 that nobody could answer (C-07).
        Some(trouble) if challenges.is_empty() => quiet(trouble).into(),
        _ => Refusal { rejection, challenges },
    }
}

/// A refusal that would invite payment, where nothing can be offered to pay with (C-07).
pub(crate) fn quiet(rejection: Rejection) -> Rejection {
    if !rejection.kind.fresh {
        return rejection;
    }
    Rejection::internal(rejection).reason(Reason::NOTHING_TO_OFFER)
}

/// No offer is made: the route has none, which is our fault, or none is for this caller.
fn nobody(offers: &[Offer]) -> Rejection {
    if offers.iter().all(Offer::is_left_out) {
        return Rejection::internal("this route makes no offers").reason(Reason::NOTHING_TO_OFFER);
    }
    let detail = "None of the ways to pay for this resource is offered to you.";
    Rejection::new(ProblemType::DENIED, Reason::NOTHING_TO_OFFER, detail)
}

fn late() -> Rejection {
    let detail = "No way to pay could be made ready in time. Repeat the request.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, Reason::NOTHING_TO_OFFER, detail)
        .retry_after(Duration::from_secs(2))
        .because("the demand took too long")
}
