//! The server's protocol, once, for every transport: a call comes in, a verdict or a refusal goes out.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Draft, Realm,
    accept::Accept,
    binding::{Admitted, Check},
    challenge::Challenge,
    credential::{Credential, Fingerprint},
    opaque::Opaque,
    problem::{ProblemType, Reason, Rejection},
    time::{Clock, Timestamp},
    transport::{Call, Refusal, Resource},
    verifier::Asking,
};

use super::Gate;
use crate::{
    event::Event,
    ledger::{Ledger, Opening, Start},
    limit::Effort,
    offer::{Checked, Demanded, ErasedOffer, Offer},
    permit::{Permit, Verdict},
};

impl Gate {
    /// Judges a call to a route that can be paid with `offers`. Knows no transport.
    ///
    /// # Errors
    /// Everything that is not paid for, with every challenge that could be made and may be.
    pub async fn judge(
        &self,
        offers: &[Offer],
        call: Call,
        host: Option<&str>,
    ) -> Result<Verdict, Refusal> {
        let Call { credential, accept, at, client, .. } = call;
        let client = client.as_deref();
        let Some(realm) = self.0.realms.of(host) else {
            let detail = "This host is not one this server takes payment for.";
            return Err(
                Rejection::new(ProblemType::BAD_REQUEST, Reason::WRONG_REALM, detail).into()
            );
        };
        let rejection = match credential {
            Ok(None) => required(),
            Err(unreadable) => self.refused(None, unreadable),
            Ok(Some(credential)) => {
                let challenge = credential.challenge.id().as_str().to_owned();
                // Boxed: a future with room for a whole payment would be moved with each 402 too.
                match Box::pin(self.take(offers, credential, &at, realm, client)).await {
                    Ok(permit) => return Ok(Verdict::Serve(permit)),
                    Err(rejection) => self.refused(Some(challenge), rejection),
                }
            }
        };
        if !rejection.kind.fresh {
            return Err(rejection.into());
        }
        Err(self.invite(offers, &accept, &at, realm, client, rejection).await)
    }

    /// Refuses a call without a credential as [`Gate::judge`] would, where every request stands ready and nothing is waited
    /// for. Most calls are such, and a future for them would have to be moved and freed with each.
    pub(crate) fn ask(&self, offers: &[Offer], call: &Call, host: Option<&str>) -> Option<Refusal> {
        if !matches!(call.credential, Ok(None)) {
            return None;
        }
        let realm = self.0.realms.of(host)?;
        let wanted = wanted(offers, &call.accept);
        if wanted.iter().any(|offer| offer.0.lasting().is_none()) {
            return None;
        }
        if let Err(limited) = self.limited(Effort::Issue, call.client.as_deref()) {
            return Some(limited.into());
        }
        let (mut challenges, mut trouble) = (Vec::with_capacity(wanted.len()), None);
        for offer in wanted {
            let demanded = Demanded { request: offer.0.lasting()?, not_after: None };
            match self.seal(offer, demanded, &call.at, realm) {
                Ok(challenge) => challenges.push(challenge),
                Err(e) => trouble = Some(e),
            }
        }
        Some(inviting(required(), challenges, trouble))
    }

    /// Takes a credential: recognise, fit, look up; then admit, check, mark, settle, and the turn to serve.
    async fn take(
        &self,
        offers: &[Offer],
        credential: Credential,
        at: &Resource,
        realm: &Realm,
        client: Option<&str>,
    ) -> Result<Permit, Rejection> {
        let known = self.0.keys.recognise(credential, realm)?;
        known.fits(&Check { scope: &at.scope, digest: at.digest.as_ref() })?;
        self.limited(Effort::Verify, client)?;
        let offer = answering(offers, known.challenge());
        let key = Ledger::key(known.challenge().id().as_str())?;
        let print = known.fingerprint();
        let ledger = &self.0.ledger;
        let start = match ledger.find(&key).await? {
            // On the books: looked at before the clock, and before what is on offer today.
            Some((version, entry)) => ledger.redeem(version, entry, &print, offer)?,
            None => {
                let offer = offer.ok_or_else(not_offered)?;
                let opening = self.check(known.admit(&self.0.clock.now())?, print, &offer).await?;
                Start::New(Box::new(opening), offer)
            }
        };
        let settles = !matches!(start, Start::Serve(..));
        // From here on the payment is the ledger's, in a task of its own: a hang-up changes nothing.
        let turn = ledger.go_on(key, start).await?;
        let permit = Permit::new(turn, self.0.events.clone())?;
        if settles {
            self.0
                .events
                .send(|| Event::PaymentSuccess { receipt: permit.receipt().clone().into() });
        }
        Ok(permit)
    }

    /// Checks a proof that is on no book. A crash or a hang-up here leaves nothing: checking writes nothing.
    async fn check(
        &self,
        admitted: Admitted,
        print: Fingerprint,
        offer: &Arc<dyn ErasedOffer>,
    ) -> Result<Opening, Rejection> {
        let challenge = admitted.challenge();
        let (id, expires) = (challenge.id().as_str().to_owned(), challenge.expires.clone());
        // `admit` lets nothing without an end pass.
        let expires =
            expires.ok_or_else(|| Rejection::internal("an admitted challenge without an end"))?;
        let method = offer.id().clone();
        let checked = tokio::time::timeout(self.0.ledger.deadline, offer.check(admitted)).await;
        // Nothing was sent, so the same credential may be shown again.
        let checked = checked.map_err(|late| unavailable().because(late))??;
        let Checked { spends, evidence, external_id } = checked;
        Ok(Opening { print, method, challenge: id, expires, spends, evidence, external_id })
    }

    /// One refusal with every challenge that could be made. Ranked before anything is minted: an unwanted offer costs nothing.
    async fn invite(
        &self,
        offers: &[Offer],
        accept: &Accept,
        at: &Resource,
        realm: &Realm,
        client: Option<&str>,
        rejection: Rejection,
    ) -> Refusal {
        if let Err(limited) = self.limited(Effort::Issue, client) {
            return limited.into();
        }
        let wanted = wanted(offers, accept);
        let (mut challenges, mut trouble) = (Vec::with_capacity(wanted.len()), None);
        for offer in wanted {
            let asking = Asking { at, client, hint: None, after: Some(&rejection) };
            let demanded = match offer.0.lasting() {
                Some(request) => Ok(Demanded { request, not_after: None }),
                None => match tokio::time::timeout(self.0.ledger.deadline, offer.0.demand(asking))
                    .await
                {
                    Ok(demanded) => demanded,
                    Err(late) => Err(unavailable().because(late)),
                },
            };
            match demanded.and_then(|d| self.seal(offer, d, at, realm)) {
                Ok(challenge) => challenges.push(challenge),
                Err(e) => trouble = Some(e),
            }
        }
        inviting(rejection, challenges, trouble)
    }

    fn seal(
        &self,
        offer: &Offer,
        demanded: Demanded,
        at: &Resource,
        realm: &Realm,
    ) -> Result<Challenge, Rejection> {
        let nonce = self.0.nonces.draw().map_err(Rejection::internal)?;
        // Whole seconds: shorter, and what every peer prints.
        let end =
            (self.0.clock.now().unix_seconds()).saturating_add(self.0.lifetime.as_secs() as i64);
        let ours = Timestamp::from_unix(end, 0);
        let expires = match demanded.not_after {
            Some(earlier) if earlier.is_before(&ours) => earlier,
            _ => ours,
        };
        let id = offer.id();
        let challenge = self.0.keys.seal(Draft {
            realm: realm.clone(),
            method: id.method.clone(),
            intent: id.intent.clone(),
            request: demanded.request,
            expires: Some(expires),
            digest: at.digest.clone(),
            description: None,
            header: None,
            opaque: Some(Opaque::bind(&nonce, &at.scope)),
        });
        self.0.events.send(|| Event::ChallengeCreated {
            challenge: challenge.id().as_str().to_owned(),
            method: id.clone(),
        });
        Ok(challenge)
    }

    fn limited(&self, effort: Effort, client: Option<&str>) -> Result<(), Rejection> {
        self.0.limiter.admit(effort, client).map_err(|wait| {
            let detail = "Too many requests; come again later.";
            Rejection::new(ProblemType::RATE_LIMITED, Reason::RATE_LIMITED, detail)
                .retry_after(wait)
        })
    }

    fn refused(&self, challenge: Option<String>, rejection: Rejection) -> Rejection {
        let cause = rejection.source.as_deref().map(tracing::field::display);
        match rejection.kind.status {
            500.. => tracing::error!(
                reason = rejection.reason.as_str(),
                cause,
                "a payment could not be judged"
            ),
            _ => tracing::info!(reason = rejection.reason.as_str(), "a credential was refused"),
        }
        self.0.events.send(|| Event::PaymentFailed { challenge, reason: rejection.reason });
        rejection
    }
}

/// The offer a challenge answers: by its method and intent, and among several of one method by what it asks.
fn answering(offers: &[Offer], challenge: &Challenge) -> Option<Arc<dyn ErasedOffer>> {
    let same = |o: &&Offer| o.id().method == challenge.method && o.id().intent == challenge.intent;
    let mut candidates = offers.iter().filter(same);
    let first = candidates.next()?;
    let Some(second) = candidates.next() else { return Some(first.0.clone()) };
    let mut all = [first, second].into_iter().chain(candidates);
    Some(all.find(|o| o.0.asked(challenge)).unwrap_or(first).0.clone())
}

/// A refusal that would invite payment, where nothing can be offered to pay with (C-07).
pub(crate) fn quiet(rejection: Rejection) -> Rejection {
    if !rejection.kind.fresh {
        return rejection;
    }
    Rejection::internal(rejection).reason(Reason::NOTHING_TO_OFFER)
}

fn unavailable() -> Rejection {
    let detail =
        "The payment could not be checked now. Repeat the request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, Reason::OUR_FAULT, detail)
        .retry_after(Duration::from_secs(2))
}

/// The offers to make, in order.
fn wanted<'a>(offers: &'a [Offer], accept: &Accept) -> Vec<&'a Offer> {
    let order = match accept.is_everything() {
        true => Vec::new(),
        false => accept.order(offers, |o| (o.id().method.as_str(), o.id().intent.as_str())),
    };
    // What fits no wish is answered with the normal set (C-42).
    match order.is_empty() {
        true => offers.iter().collect(),
        false => order.into_iter().filter_map(|i| offers.get(i)).collect(),
    }
}

/// A refusal with the challenges that could be made; what could not be made is told to the log.
fn inviting(
    rejection: Rejection,
    challenges: Vec<Challenge>,
    trouble: Option<Rejection>,
) -> Refusal {
    if let Some(e) = &trouble {
        tracing::warn!(
            reason = e.reason.as_str(),
            cause = e.source.as_deref().map(tracing::field::display),
            "an offer could not be made"
        );
    }
    if challenges.is_empty() {
        // Never a 402 that nobody could answer (C-07).
        return trouble.map_or_else(nothing_to_offer, quiet).into();
    }
    Refusal { rejection, challenges }
}

fn required() -> Rejection {
    Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL, "Payment is required.")
}

fn not_offered() -> Rejection {
    let detail = "This resource is not paid for by the method of this challenge.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::NOT_OFFERED, detail)
}

fn nothing_to_offer() -> Rejection {
    Rejection::internal("no offer of this route can be made").reason(Reason::NOTHING_TO_OFFER)
}
