//! Subscribers at the gate: served without a word about payment while their period is paid, and subscribed by their credential.

use std::sync::Arc;

use mpp_core::{
    Credential,
    binding::Recognised,
    credential::Fingerprint,
    intent::{Intent, Subscription, SubscriptionTerms},
    problem::Rejection,
    renewer::Renewer,
    store::Key,
    transport::Refusal,
};

use super::{
    Gate,
    check::{answerable, not_offered},
};
use crate::{
    error::ConfigError,
    ledger::{Agreed, Found, Manner, Start, State, consumed, in_flight},
    offer::Offer,
    permit::{Admission, Permit},
    route::{Order, Route},
    subscription::{ByRenewer, Member, Standing, Subscriptions, no_subscriber},
};

/// Who asks, on a route that serves subscribers.
pub(super) enum Asker {
    /// A subscriber whose period is paid.
    Paid(Box<Permit>),
    /// Somebody whom the application knows; and why the last subscription is over.
    Known(Member, Option<Rejection>),
    /// Nobody it knows, or a route without subscribers.
    Nobody,
}

impl Gate {
    /// Lets subscriptions be renewed and cancelled through a method. Layers say it themselves; who puts a
    /// [`Route`] together by hand says it once per renewer, before the route.
    pub fn renews<R: Renewer>(&self, renewer: &Arc<R>) {
        self.0.agreements.renews(Arc::new(ByRenewer::new(renewer)));
    }

    /// The subscriptions on these books: for the application to look up, to cancel, and to tell what rails say of them.
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions::of(self.0.agreements.clone())
    }

    /// Whether every subscription that a route sells can be kept.
    pub(crate) fn refuse_unrenewed(&self, route: &Route) -> Result<(), ConfigError> {
        if !route.sells_subscriptions() {
            return Ok(());
        }
        if route.members.is_none() {
            return Err(ConfigError::NoSubscriber);
        }
        let sold = route.offers.iter().filter(|offer| offer.id().intent == Subscription::NAME);
        let renewed = |o: &Offer| self.0.agreements.renewer(o.id(), o.settles_at()).is_some();
        if sold.clone().all(renewed) { Ok(()) } else { Err(ConfigError::NoRenewer) }
    }

    /// Looks how whoever asks stands, before any credential is looked at: who has paid is asked for nothing.
    pub(super) async fn subscriber(
        &self,
        route: &Route,
        subscriber: Option<String>,
        credential: &Result<Option<Credential>, Rejection>,
    ) -> Result<Asker, Refusal> {
        let Some(members) = &route.members else { return Ok(Asker::Nobody) };
        let Some(member) = members.member(subscriber.as_deref())? else {
            return Ok(Asker::Nobody);
        };
        let challenge = credential.as_ref().ok().and_then(Option::as_ref).map(|it| &it.challenge);
        let shown = challenge.map(|challenge| challenge.id().as_str());
        // Boxed: most calls are refused, and none of those should carry the room for a renewal.
        let standing = self.0.agreements.standing(&member, shown, &route.offers);
        match Box::pin(standing).await {
            Ok(Standing::Paid(paid)) => {
                let permit = Permit::identified(*paid, self.0.events.clone());
                Ok(Asker::Paid(Box::new(permit)))
            }
            Ok(Standing::Free(ended)) => Ok(Asker::Known(member, ended)),
            // Paid for in another way: whatever became of the subscription, that is served.
            Err(_) if challenge.is_some_and(|it| it.intent != Subscription::NAME) => {
                Ok(Asker::Known(member, None))
            }
            Err(open) => Err(self.refused(shown.map(str::to_owned), open).into()),
        }
    }

    /// Subscribes by a credential: check, claim, mark, settle, agree; then it is served as every request of a subscriber is.
    pub(super) async fn subscribe_by(
        &self,
        route: &Route,
        known: Recognised,
        (key, print): (Key, Fingerprint),
        member: Option<Member>,
    ) -> Result<Admission, Rejection> {
        self.refuse_unrenewed(route).map_err(Rejection::internal)?;
        let Some(member) = member else {
            return Err(if route.members.is_some() { no_subscriber() } else { not_offered() });
        };
        let (ledger, agreements) = (&self.0.ledger, &self.0.agreements);
        let in_hand = || ledger.holds.take(&key).ok_or_else(in_flight);
        let (start, hold) = match ledger.find(&key).await? {
            Some((version, entry)) => {
                agreements.is_of(&member, &entry, &print)?;
                let paid = matches!(entry.state, State::Settled | State::Serving);
                if paid && entry.print == print && !ledger.holds.has(&key) {
                    let paid = agreements.completed(&member, &entry).await?;
                    return Ok(self.serves(paid));
                }
                let manner = Manner { order: Order::SettleFirst, asked: None };
                let challenge = known.challenge();
                match ledger.redeem((version, entry), &print, &manner, (route, challenge))? {
                    Found::Start(start) => (*start, in_hand()?),
                    // Its first period was served by the agreement, and that is over.
                    Found::Delivered(..) => return Err(consumed()),
                }
            }
            None => {
                let hold = in_hand()?;
                let offers = answerable(&route.offers, known.challenge());
                if offers.is_empty() {
                    return Err(not_offered());
                }
                let terms: SubscriptionTerms =
                    known.challenge().request.decode().map_err(Rejection::internal)?;
                let admitted = known.admit_late(&self.now())?;
                let mut opening = self.check(admitted, print, &offers).await?;
                let member = member.key.as_str().to_owned();
                opening.agreed = Some(Box::new(Agreed { member, terms, began: None }));
                (Start::New(Box::new(opening)), hold)
            }
        };
        let paid = agreements.activate(&member, key, start, hold).await?;
        Ok(self.serves(paid))
    }

    fn serves(&self, paid: crate::permit::Paid) -> Admission {
        Admission::Serve(Permit::identified(paid, self.0.events.clone()))
    }
}
