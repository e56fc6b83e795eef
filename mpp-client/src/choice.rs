//! Which of a server's ways to pay: what the wallet can pay, in the order it would rather.

use std::{borrow::Cow, cmp::Reverse, sync::Arc};

use mpp_core::{
    Challenge, Timestamp,
    accept::{Accept, Range},
    name::MethodId,
    payer::{Quote, Site},
};

use crate::{
    erased::{Declined, ErasedPayer},
    error::Kind,
};

/// One way to pay that the wallet can take, and what it would put at stake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Choice {
    /// What the server asks. Its `description` is the server's word, bound by nothing.
    pub challenge: Challenge,
    /// What paying it would put at stake.
    pub quote: Quote,
}

/// One way to pay that no payer of the wallet takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offered {
    /// The way.
    pub id: MethodId,
    /// Why those payers of the wallet that know this way do not take it, for a person, where they say so. A part of the text
    /// may be the server's. Empty where there is no such payer.
    pub declined: Vec<Cow<'static, str>>,
}

/// What a hook picks among the choices it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// Any, in the order they were shown: the wallet takes the first that its policy allows.
    Any,
    /// Only the one at this index; an index beyond the last is [`Pick::None`].
    Only(usize),
    /// None: do not pay.
    None,
}

/// A choice with the payer that quoted it.
pub(crate) struct Candidate {
    pub(crate) choice: Choice,
    pub(crate) payer: Arc<dyn ErasedPayer>,
}

/// What decides among challenges, beside the wallet's payers.
pub(crate) struct Wishes<'a> {
    pub(crate) payers: &'a [Arc<dyn ErasedPayer>],
    /// Method names or `method/intent`, best first.
    pub(crate) prefer: &'a [String],
    /// What the caller of this one request accepts.
    pub(crate) accept: &'a Accept,
    pub(crate) places: Places,
    pub(crate) to: &'a Site,
    /// `None`: expiry does not matter, since an account was opened under this very challenge.
    pub(crate) now: Option<Timestamp>,
}

/// Which of the two headers a credential may go into.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    /// The application uses `Authorization` itself.
    pub(crate) authorization_in_use: bool,
    /// Something underneath would carry `Payment-Authorization` to other origins.
    pub(crate) redirects_followed: bool,
}

impl Wishes<'_> {
    /// Every choice, best first, or why there is none.
    pub(crate) fn candidates(&self, challenges: Vec<Challenge>) -> Result<Vec<Candidate>, Kind> {
        let mut found: Vec<(u16, u16, Candidate)> = Vec::new();
        let mut obstacle = None;
        let mut offered = Vec::new();
        for challenge in challenges {
            let id = challenge.method_id();
            let mut declined = Vec::new();
            match self.obstacle(&challenge) {
                Some(why) => obstacle = obstacle.or(Some(why)),
                None => found.extend(self.quoted(&challenge, &id, &mut declined)),
            }
            offered.push(Offered { id, declined });
        }
        if found.is_empty() {
            return Err(obstacle.unwrap_or(Kind::NoPayer(offered)));
        }
        // Stable: what is wanted equally stays in the server's order.
        found.sort_by_key(|(callers, ours, _)| (Reverse(*callers), Reverse(*ours)));
        Ok(found.into_iter().map(|(_, _, candidate)| candidate).collect())
    }

    /// Who would pay a challenge; those who would not say why.
    fn quoted(
        &self,
        challenge: &Challenge,
        id: &MethodId,
        declined: &mut Vec<Cow<'static, str>>,
    ) -> Vec<(u16, u16, Candidate)> {
        let callers = self.accept.rank(id.method.as_str(), id.intent.as_str());
        let ours = weight(self.prefer, id);
        let mut quoted = Vec::new();
        for payer in self.payers.iter().filter(|p| p.id() == *id) {
            if callers == 0 {
                declined.push("the request accepts other ways only".into());
                break;
            }
            match payer.quote(challenge, self.to) {
                Ok(quote) => {
                    let choice = Choice { challenge: challenge.clone(), quote };
                    quoted.push((callers, ours, Candidate { choice, payer: payer.clone() }));
                }
                Err(Declined(why)) => declined.extend(why),
            }
        }
        quoted
    }

    /// Why a challenge that some payer could pay must not be; `None` too where no payer is concerned.
    pub(crate) fn obstacle(&self, challenge: &Challenge) -> Option<Kind> {
        let id = challenge.method_id();
        if !self.payers.iter().any(|p| p.id() == id) {
            return None;
        }
        match &challenge.header {
            Some(h) if h.is_payment_authorization() && self.places.redirects_followed => {
                return Some(Kind::RedirectsFollowed);
            }
            Some(h) if h.is_payment_authorization() => {}
            Some(h) if !h.is_default() => return Some(Kind::HeaderRefused(h.as_str().to_owned())),
            _ if self.places.authorization_in_use => return Some(Kind::AuthorizationInUse),
            _ => {}
        }
        let now = self.now.as_ref()?;
        challenge.expires.as_ref().is_some_and(|e| e.expired_at(now)).then_some(Kind::Expired)
    }
}

/// The header that tells servers what these payers can pay with, and in which order they would rather.
pub(crate) fn accept(payers: &[Arc<dyn ErasedPayer>], prefer: &[String]) -> Accept {
    let mut ids: Vec<MethodId> = payers.iter().map(|p| p.id()).collect();
    ids.sort();
    ids.dedup();
    ids.sort_by_key(|id| Reverse(weight(prefer, id)));
    let range = |id: &MethodId| {
        let (method, intent, q) = (id.method.as_str(), id.intent.as_str(), weight(prefer, id));
        // Names that the header's grammar lacks are reached by the wildcard.
        Range::new(Some(method), Some(intent), q).or_else(|_| Range::new(None, Some(intent), q))
    };
    ids.iter().filter_map(|id| range(id).ok()).collect()
}

/// How much a method is wanted, in thousandths: a tenth less for each of the first nine places in the list, then a little less for
/// each, and never nothing.
fn weight(prefer: &[String], id: &MethodId) -> u16 {
    let named = |p: &String| *p == id.method.as_str() || *p == id.to_string();
    let place = prefer.iter().position(named).unwrap_or(prefer.len());
    match u16::try_from(place.min(108)).unwrap_or(108) {
        place @ ..10 => 1000 - 100 * place,
        place => 109 - place,
    }
}
