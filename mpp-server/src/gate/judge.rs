//! The server's protocol, once, for every transport: a call comes in, a verdict or a refusal goes out.

use std::time::Duration;

use mpp_core::{
    Realm,
    accept::Accept,
    credential::{Credential, Fingerprint},
    name::CredentialHeader,
    problem::{ProblemType, Reason, Rejection},
    store::Key,
    transport::{Call, Refusal, Resource, Wants},
};

use super::{
    Gate,
    check::{answerable, not_offered, offers_by},
    identify::identifying,
    session,
};
use crate::{
    answer::Asked,
    event::Event,
    ledger::{Found, Ledger, Manner, Start, in_flight, key_reused},
    limit::Effort,
    permit::{Admission, Permit},
    route::Route,
};

/// What challenges are made out to: everything of a call but its credential and its wishes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) at: &'a Resource,
    pub(super) realm: &'a Realm,
    pub(super) header: Option<&'a CredentialHeader>,
    pub(super) client: Option<&'a str>,
    pub(super) hint: Option<&'a str>,
}

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
        let rejection = match credential {
            Ok(None) => required(),
            Err(unreadable) => self.refused(None, unreadable),
            Ok(Some(credential)) => {
                let challenge = credential.challenge.id().as_str().to_owned();
                // Boxed: a future with room for a whole payment would be moved with each 402 too.
                let asked = idempotency_key.map(|key| Asked::new(&key, place.at));
                let wanted = (asked, wants);
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
        let plain = call.hint.is_none() && !(call.is_head && route.bootstrap.is_some());
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
        self.invite_at_once(&route.offers, &call.accept, place, required)
    }

    /// Takes a credential: recognise, fit, look up; then admit, check, mark, settle, and the turn to serve. One that only
    /// identifies is on no books.
    async fn take(
        &self,
        route: &Route,
        credential: Credential,
        (asked, wants): (Option<Asked>, Wants),
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
            // Of a metered method that left this place: it was made for a place, and not for one request there.
            let left = !offers_by(route, known.challenge()) && known.fits_place(place.at).is_ok();
            let misfit = if left { not_offered() } else { misfit };
            return Err(self.misfit(&key, &print, asked, misfit).await);
        }
        if let Some(proof) = told {
            return self.told(route, proof, known).await;
        }
        if let Some(offers) = identifying(route, known.challenge()) {
            let paid = self.who(known, &offers).await?;
            return Ok(Admission::Serve(Permit::identified(paid, self.0.events.clone())));
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

    pub(super) fn limited(&self, effort: Effort, client: Option<&str>) -> Result<(), Rejection> {
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

pub(super) fn unavailable() -> Rejection {
    let detail =
        "The payment could not be checked now. Repeat the request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, Reason::OUR_FAULT, detail)
        .retry_after(Duration::from_secs(2))
}

fn foreign_host() -> Rejection {
    let detail = "This host is not one this server takes payment for.";
    Rejection::new(ProblemType::BAD_REQUEST, Reason::WRONG_REALM, detail)
}

fn required() -> Rejection {
    Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL, "Payment is required.")
}
