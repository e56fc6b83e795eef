//! The server's protocol, once, for every transport: a call comes in, a verdict or a refusal goes out.

use std::time::Duration;

use mpp_core::{
    Draft, Realm,
    accept::Accept,
    challenge::Challenge,
    credential::{Credential, Fingerprint},
    intent::{Intent, Subscription},
    name::CredentialHeader,
    opaque::Opaque,
    problem::{ProblemType, Reason, Rejection},
    store::Key,
    time::Timestamp,
    transport::{Call, Refusal, Resource, Wants},
    verifier::Asking,
};

use super::{
    Gate,
    check::{answerable, not_offered},
    identify::identifying,
    session,
    subscription::Asker,
};
use crate::{
    answer::Asked,
    event::Event,
    ledger::{Found, Ledger, Manner, Start, in_flight, key_reused},
    limit::Effort,
    offer::{Demanded, Offer},
    permit::{Admission, Permit},
    route::Route,
    subscription::Member,
};

/// What challenges are made out to: everything of a call but its credential and its wishes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) at: &'a Resource,
    realm: &'a Realm,
    header: Option<&'a CredentialHeader>,
    client: Option<&'a str>,
    hint: Option<&'a str>,
}

/// Challenges that could be made, and the last that could not.
type Made = (Vec<Challenge>, Option<Rejection>);

impl Gate {
    /// Judges a call to a route. Knows no transport.
    ///
    /// # Errors
    /// Everything that is not paid for, with every challenge that could be made and may be.
    pub async fn judge(&self, route: &Route, call: Call) -> Result<Admission, Refusal> {
        self.start_recovery();
        let Call {
            credential,
            accept,
            at,
            client,
            host,
            idempotency_key,
            hint,
            wants,
            is_head,
            subscriber,
            ..
        } = call;
        let realm = self.0.realms.of(host.as_deref()).ok_or_else(foreign_host)?;
        let place = Place {
            at: &at,
            realm,
            header: route.header.as_ref(),
            client: client.as_deref(),
            hint: hint.as_deref(),
        };
        let proof = route.bootstrap.as_ref().filter(|_| is_head);
        let (member, ended) = match self.subscriber(route, subscriber, &credential).await? {
            Asker::Paid(permit) => return Ok(Admission::Serve(*permit)),
            Asker::Known(member, ended) => (Some(member), ended),
            Asker::Nobody => (None, None),
        };
        let rejection = match credential {
            Ok(None) => ended.unwrap_or_else(required),
            Err(unreadable) => self.refused(None, unreadable),
            Ok(Some(credential)) => {
                let challenge = credential.challenge.id().as_str().to_owned();
                // Boxed: a future with room for a whole payment would be moved with each 402 too.
                let asked = idempotency_key.map(|key| Asked::new(&key, place.at));
                let wanted = (asked, wants, member);
                match Box::pin(self.take(route, credential, wanted, place, &accept)).await {
                    Ok(admission) => return Ok(admission),
                    Err(rejection) => self.refused(Some(challenge), rejection),
                }
            }
        };
        if !rejection.kind.fresh {
            return Err(rejection.into());
        }
        // On a head alone nothing is sold: a payer may say who it is, and hear of its account.
        let offers = proof.map_or(&route.offers[..], std::slice::from_ref);
        Err(self.invite(offers, &accept, place, rejection).await)
    }

    /// Refuses a call without a credential as [`Gate::judge`] would, where every request stands ready and nothing is waited
    /// for. Most calls are such, and need no future; `None` means that the call is one for [`Gate::judge`].
    pub fn ask(&self, route: &Route, call: &Call) -> Option<Refusal> {
        self.start_recovery();
        // Who names an account is looked up, and so is who may be asked on a head who it is.
        let known = route.members.is_some() && call.subscriber.is_some();
        let plain = call.hint.is_none() && !(call.is_head && route.bootstrap.is_some()) && !known;
        if !matches!(call.credential, Ok(None)) || !plain {
            return None;
        }
        let realm = self.0.realms.of(call.host.as_deref())?;
        let place = Place {
            at: &call.at,
            realm,
            header: route.header.as_ref(),
            client: call.client.as_deref(),
            hint: None,
        };
        let wanted = wanted(&route.offers, &call.accept);
        if wanted.iter().any(|offer| offer.lasting().is_none()) {
            return None;
        }
        if let Err(limited) = self.limited(Effort::Issue, place.client) {
            return Some(limited.into());
        }
        let mut made: Made = (Vec::with_capacity(wanted.len()), None);
        for offer in wanted {
            let demanded = Demanded { request: offer.lasting()?, not_after: None };
            self.make(offer, Ok(demanded), self.end(), place, &mut made);
        }
        Some(inviting(required(), made))
    }

    /// Takes a credential: recognise, fit, look up; then admit, check, mark, settle, and the turn to serve. One that only
    /// identifies is on no books.
    async fn take(
        &self,
        route: &Route,
        credential: Credential,
        (asked, wants, member): (Option<Asked>, Wants, Option<Member>),
        place: Place<'_>,
        accept: &Accept,
    ) -> Result<Admission, Rejection> {
        let metered = session::is_metered(route, &credential);
        let told = session::is_told(route, &credential);
        let (id, print) = (credential.challenge.id().clone(), credential.fingerprint());
        let ledger = &self.0.ledger;
        let known = match self.0.keys.recognise(credential, place.realm) {
            Ok(known) => known,
            Err(foreign) => {
                self.limited(Effort::Verify, place.client)?;
                return Err(self.foreign(id.as_str(), &print, foreign).await);
            }
        };
        let again = || Again {
            gate: self.clone(),
            route: route.clone(),
            accept: accept.clone(),
            at: place.at.clone(),
            realm: place.realm.clone(),
            client: place.client.map(str::to_owned),
            hint: place.hint.map(str::to_owned),
        };
        let key = Ledger::key(id.as_str())?;
        self.limited(Effort::Verify, place.client)?;
        if metered {
            return self.draw(route, known, (asked, wants), again, place).await;
        }
        if let Err(misfit) = known.fits(place.at) {
            return Err(self.misfit(&key, &print, asked, misfit).await);
        }
        if let Some(proof) = told {
            return self.told(route, proof, known).await;
        }
        if let Some(offers) = identifying(route, known.challenge()) {
            let paid = self.who(known, &offers).await?;
            return Ok(Admission::Serve(Permit::identified(paid, self.0.events.clone())));
        }
        if known.challenge().intent == Subscription::NAME {
            return self.subscribe_by(route, known, (key, print), member).await;
        }
        let manner = Manner { order: route.order, asked };
        // Of a thousand copies one goes on, from its check to its end; the others are told without a word to the rail.
        let in_hand = || ledger.holds.take(&key).ok_or_else(in_flight);
        let (start, hold) = match ledger.find(&key).await? {
            // On the books: looked at before the clock, and before what is on offer today.
            Some(found) => {
                match ledger.redeem(found, &print, &manner, (route, known.challenge()))? {
                    Found::Start(start) => (*start, in_hand()?),
                    Found::Delivered(entry, answer) => {
                        return Ok(Admission::Replay { receipt: entry.receipt, answer });
                    }
                }
            }
            None => {
                let hold = in_hand()?;
                let offers = answerable(&route.offers, known.challenge());
                if offers.is_empty() {
                    return Err(not_offered());
                }
                let admitted = known.admit_late(&self.now())?;
                (Start::New(Box::new(self.check(admitted, print, &offers).await?)), hold)
            }
        };
        // From here on the payment is the ledger's, in a task of its own: a hang-up changes nothing.
        let serving = ledger.go_on(key, start, manner, hold).await?;
        Ok(Admission::Serve(Permit::new(serving, self.0.events.clone(), again)))
    }

    /// A credential of a challenge that is not this gate's, as far as it can tell today. Where a payment of that very
    /// credential is open on the books, its secret or realm was changed too early, and nobody is invited to pay again.
    async fn foreign(&self, id: &str, print: &Fingerprint, foreign: Rejection) -> Rejection {
        let Ok(key) = Ledger::key(id) else { return foreign };
        match self.0.ledger.find(&key).await {
            Ok(Some((_, entry))) if entry.print == *print && !entry.state.is_final() => {
                tracing::error!(
                    challenge = id,
                    "a payment is open under a secret or a realm of before"
                );
                Rejection::unknown(foreign)
            }
            _ => foreign,
        }
    }

    /// A credential that was made for something else. Where it was served under the very name this request bears, the name
    /// is what is wrong.
    async fn misfit(
        &self,
        key: &Key,
        print: &Fingerprint,
        asked: Option<Asked>,
        misfit: Rejection,
    ) -> Rejection {
        let Some(asked) = asked else { return misfit };
        let found = self.0.ledger.find(key).await.ok().flatten();
        let first = found.filter(|(_, entry)| entry.print == *print).and_then(|(_, e)| e.asked);
        match first {
            Some(first) if first.key == asked.key && first.request != asked.request => key_reused(),
            _ => misfit,
        }
    }

    /// One refusal with every challenge that could be made. Ranked before anything is minted: an unwanted offer costs nothing.
    async fn invite(
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
        let mut made: Made = (Vec::with_capacity(wanted.len()), None);
        for offer in wanted {
            let end = self.end();
            // A metered offer is made out to whoever names its account.
            let named = place.hint.is_some() && offer.is_metered();
            let demanded = match offer.lasting().filter(|_| !named) {
                Some(request) => Ok(Demanded { request, not_after: None }),
                None => {
                    let asking = Asking::new(place.at, place.realm, &end)
                        .client(place.client)
                        .hint(place.hint)
                        .after(Some(&rejection));
                    let demand = offer.demand(&self.0.engine, asking);
                    let demanded = tokio::time::timeout(self.0.ledger.deadline, demand).await;
                    demanded.unwrap_or_else(|late| Err(unavailable().because(late)))
                }
            };
            self.make(offer, demanded, end, place, &mut made);
        }
        inviting(rejection, made)
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
            Ok(challenge) => made.0.push(challenge),
            Err(e) => made.1 = Some(e),
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

    fn limited(&self, effort: Effort, client: Option<&str>) -> Result<(), Rejection> {
        self.0.limiter.admit(effort, client).map_err(|wait| {
            let detail = "Too many requests; come again later.";
            Rejection::new(ProblemType::RATE_LIMITED, Reason::RATE_LIMITED, detail)
                .retry_after(wait)
        })
    }

    pub(super) fn refused(&self, challenge: Option<String>, rejection: Rejection) -> Rejection {
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

/// Whom a permit asks for payment again, where its own could not be settled any more.
#[derive(Debug)]
pub(crate) struct Again {
    gate: Gate,
    route: Route,
    accept: Accept,
    at: Resource,
    realm: Realm,
    client: Option<String>,
    hint: Option<String>,
}

impl Again {
    pub(crate) async fn refuse(&self, challenge: String, rejection: Rejection) -> Refusal {
        let rejection = self.gate.refused(Some(challenge), rejection);
        if !rejection.kind.fresh {
            return rejection.into();
        }
        let (header, client) = (self.route.header.as_ref(), self.client.as_deref());
        let hint = self.hint.as_deref();
        let place = Place { at: &self.at, realm: &self.realm, header, client, hint };
        self.gate.invite(&self.route.offers, &self.accept, place, rejection).await
    }
}

/// A refusal that would invite payment, where nothing can be offered to pay with (C-07).
pub(crate) fn quiet(rejection: Rejection) -> Rejection {
    if !rejection.kind.fresh {
        return rejection;
    }
    Rejection::internal(rejection).reason(Reason::NOTHING_TO_OFFER)
}

pub(super) fn unavailable() -> Rejection {
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
fn inviting(rejection: Rejection, (challenges, trouble): Made) -> Refusal {
    if let Some(e) = &trouble {
        let cause = e.source.as_deref().map(tracing::field::display);
        tracing::warn!(reason = e.reason.as_str(), cause, "an offer could not be made");
    }
    if challenges.is_empty() {
        // Never a 402 that nobody could answer (C-07).
        return trouble.map_or_else(nothing_to_offer, quiet).into();
    }
    Refusal { rejection, challenges }
}

fn foreign_host() -> Rejection {
    let detail = "This host is not one this server takes payment for.";
    Rejection::new(ProblemType::BAD_REQUEST, Reason::WRONG_REALM, detail)
}

fn required() -> Rejection {
    Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL, "Payment is required.")
}

fn nothing_to_offer() -> Rejection {
    Rejection::internal("no offer of this route can be made").reason(Reason::NOTHING_TO_OFFER)
}
