//! A club that follows a script: a made-up method of subscriptions, which can fail at each step and remembers what it charged.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mpp_core::{
    Challenge, Credential, Method, Timestamp,
    agreement::{Agreement, Began, Cadence, Period},
    binding::Claim,
    fate::{Fate, Settlement},
    intent::{Plan, PriceError, Subscription, SubscriptionTerms},
    method::NoDetails,
    name::MethodName,
    problem::Rejection,
    renewer::{Notice, Renewer, Said},
    time::Clock,
    verifier::{Asking, Minted, Spend, Verifier},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    clock::Hands,
    rail::{Act, Step},
};

/// The method `club`: a card is charged once a period. Prices are whole `coupon`s.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClubSubscription;

impl Method for ClubSubscription {
    const NAME: MethodName = MethodName::from_static("club");
    type Intent = Subscription;
    type Details = NoDetails;
    type Payload = Card;
}

/// What joins the club. Cards that begin with `b` are good; any other fails its check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The card.
    pub card: String,
}

/// An order to the club.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Order {
    /// Takes a member in, and charges for the first period.
    Join {
        /// The challenge it answers: by its id the club knows an order that comes again.
        challenge: String,
        /// Whose card.
        card: String,
        /// How long a period is.
        cadence: Cadence,
    },
    /// Charges for a later period.
    Renew {
        /// The membership.
        id: String,
        /// The number of the period.
        period: u64,
    },
}

/// Answers a challenge with a card.
///
/// # Panics
/// Where the challenge is not one of this method.
pub fn answer(challenge: &Challenge, card: &str) -> Credential {
    let demand = challenge.read::<ClubSubscription>().expect("a challenge of the method club");
    Credential::answer(&demand, None, &Card { card: card.to_owned() }).expect("a card is an object")
}

/// A club that follows a script. One [`Arc`] outlives the gates that sell through it, and remembers what it charged over every
/// restart of a test.
///
/// An order that comes again for a period that was charged moves nothing, as the contract of [`Verifier::settle`] wants; it is
/// counted in [`Club::sent_again`].
#[derive(Debug)]
pub struct Club {
    clock: Hands,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    members: BTreeMap<String, Membership>,
    /// Memberships by the challenge that began them.
    joined: BTreeMap<String, String>,
    sent_again: usize,
    asked: BTreeMap<Step, usize>,
    next: BTreeMap<Step, VecDeque<Act>>,
    deaf: bool,
    told: usize,
    events: usize,
}

/// A membership, as the club has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Membership {
    /// Its card.
    pub card: String,
    /// The first instant of its first period.
    pub anchor: Timestamp,
    /// How long a period is.
    pub cadence: Cadence,
    /// The periods that were charged, and by which charge.
    pub charged: BTreeMap<u64, String>,
    /// Those of them that it charged by itself.
    pub collected: BTreeSet<u64>,
    /// No period that begins then or later is charged.
    pub ended: Option<Timestamp>,
}

impl Membership {
    /// The charge that pays for an instant.
    pub fn charge_at(&self, at: &Timestamp) -> Option<&String> {
        self.charged.get(&self.cadence.period_at(&self.anchor, at)?.index)
    }

    fn may_charge(&self, period: u64) -> bool {
        let period = self.cadence.period(&self.anchor, period);
        period.is_some_and(|p| self.ended.as_ref().is_none_or(|end| p.start.is_before(end)))
    }
}

impl Club {
    /// A club that does as it should, by a clock.
    pub fn new(clock: &Hands) -> Arc<Self> {
        Arc::new(Self { clock: clock.clone(), books: Mutex::default() })
    }

    /// Says what it does the next times it is asked to do a step, one act each; after them it does as it should.
    pub fn next(&self, step: Step, acts: impl IntoIterator<Item = Act>) {
        self.books().next.entry(step).or_default().extend(acts);
    }

    /// Whether it hears cancellations: a deaf one neither takes nor confirms them.
    pub fn deaf(&self, deaf: bool) {
        self.books().deaf = deaf;
    }

    /// Forgets the script. What it charged stays charged.
    pub fn calm(&self) {
        let mut books = self.books();
        books.next.clear();
        books.deaf = false;
    }

    /// How many periods it charged for, first ones and later ones.
    pub fn charges(&self) -> usize {
        self.books().members.values().map(|member| member.charged.len()).sum()
    }

    /// How often an order came for a period that an order had charged already. What it collected by itself does not count.
    pub fn sent_again(&self) -> usize {
        self.books().sent_again
    }

    /// How often it was asked to do a step.
    pub fn asked(&self, step: Step) -> usize {
        self.books().asked.get(&step).copied().unwrap_or(0)
    }

    /// Whether a challenge began a membership.
    pub fn has_joined(&self, challenge: &str) -> bool {
        self.books().joined.contains_key(challenge)
    }

    /// How often it took word that nothing more is to be charged.
    pub fn told(&self) -> usize {
        self.books().told
    }

    /// The memberships, by their ids.
    pub fn members(&self) -> BTreeMap<String, Membership> {
        self.books().members.clone()
    }

    /// Collects by itself: charges every membership for the period that runs, where it may and did not, and says so.
    pub fn collect(&self) -> Vec<Notice> {
        let (now, mut books) = (self.clock.now(), self.books());
        let due: Vec<_> = books
            .members
            .iter()
            .filter_map(|(id, it)| Some((id.clone(), it.cadence.period_at(&it.anchor, &now)?)))
            .collect();
        let mut said = Vec::new();
        for (id, period) in due {
            let settlement = match books.charge(&id, period.index) {
                Charged::Now(settlement) => settlement,
                _ => continue,
            };
            if let Some(member) = books.members.get_mut(&id) {
                member.collected.insert(period.index);
            }
            said.push(books.says(&id, Said::Charged { start: period.start, settlement }));
        }
        said
    }

    /// What it says of a charge it made.
    pub fn notice(&self, id: &str, period: u64) -> Option<Notice> {
        let mut books = self.books();
        let member = books.members.get(id)?;
        let start = member.cadence.period(&member.anchor, period)?.start;
        let settlement = settled(member.charged.get(&period)?);
        Some(books.says(id, Said::Charged { start, settlement }))
    }

    /// Ends a membership from now on by itself, and says so.
    pub fn expel(&self, id: &str) -> Option<Notice> {
        let (now, mut books) = (self.clock.now(), self.books());
        books.members.get_mut(id)?.ended = Some(now.clone());
        Some(books.says(id, Said::Ended(now)))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, step: Step) -> Act {
        let mut books = self.books();
        *books.asked.entry(step).or_default() += 1;
        books.next.get_mut(&step).and_then(VecDeque::pop_front).unwrap_or_default()
    }

    /// Does what an order says.
    fn carry_out(&self, order: &Order) -> Fate {
        let (now, mut books) = (self.clock.now(), self.books());
        match order {
            Order::Join { challenge, card, cadence } => books.join(challenge, card, *cadence, now),
            Order::Renew { id, period } => match books.charge(id, *period) {
                Charged::Now(settlement) => Fate::Settled(settlement),
                Charged::Before(settlement) => {
                    let own = books.members.get(id).is_some_and(|it| it.collected.contains(period));
                    books.sent_again += usize::from(!own);
                    Fate::Settled(settlement)
                }
                Charged::Never => Fate::Failed(Rejection::failed("This membership is over.")),
            },
        }
    }

    fn truth(&self, order: &Order) -> Fate {
        let books = self.books();
        match order {
            Order::Join { challenge, .. } => match books.joined.get(challenge) {
                Some(id) => books.began(id).map_or(Fate::Absent, Fate::Settled),
                None => Fate::Absent,
            },
            Order::Renew { id, period } => {
                let charge = books.members.get(id).and_then(|it| it.charged.get(period));
                charge.map_or(Fate::Absent, |charge| Fate::Settled(settled(charge)))
            }
        }
    }
}

enum Charged {
    Now(Settlement),
    Before(Settlement),
    Never,
}

impl Books {
    fn join(&mut self, challenge: &str, card: &str, cadence: Cadence, now: Timestamp) -> Fate {
        if let Some(id) = self.joined.get(challenge).cloned() {
            self.sent_again += 1;
            return self.began(&id).map_or(Fate::Absent, Fate::Settled);
        }
        let id = format!("club{}", self.members.len());
        let charged = BTreeMap::from([(0, format!("{id}-0"))]);
        let (card, collected) = (card.to_owned(), BTreeSet::new());
        let member = Membership { card, anchor: now, cadence, charged, collected, ended: None };
        self.members.insert(id.clone(), member);
        self.joined.insert(challenge.to_owned(), id.clone());
        self.began(&id).map_or(Fate::Absent, Fate::Settled)
    }

    fn began(&self, id: &str) -> Option<Settlement> {
        let member = self.members.get(id)?;
        let (kept, anchor) = (json!({ "card": member.card }), member.anchor.clone());
        let settlement = settled(member.charged.get(&0)?);
        Some(settlement.beginning(Began { id: id.to_owned(), anchor, kept }))
    }

    fn charge(&mut self, id: &str, period: u64) -> Charged {
        let Some(member) = self.members.get_mut(id) else { return Charged::Never };
        if let Some(before) = member.charged.get(&period) {
            return Charged::Before(settled(before));
        }
        if !member.may_charge(period) {
            return Charged::Never;
        }
        let charge = format!("{id}-{period}");
        member.charged.insert(period, charge.clone());
        Charged::Now(settled(&charge))
    }

    fn says(&mut self, id: &str, said: Said) -> Notice {
        self.events += 1;
        Notice::new(format!("event{}", self.events), PLACE, id, said)
    }
}

/// Where it settles.
const PLACE: &str = "the club";

fn settled(charge: &str) -> Settlement {
    Settlement::new(charge)
}

impl Verifier for Club {
    type Method = ClubSubscription;
    type Evidence = Order;

    fn settles_at(&self) -> Cow<'_, str> {
        PLACE.into()
    }

    fn terms(&self, plan: &Plan) -> Result<SubscriptionTerms, PriceError> {
        Ok(SubscriptionTerms::of(plan, plan.per_period.in_unit("coupon", 0)?, "coupon"))
    }

    async fn details(
        &self,
        _: &SubscriptionTerms,
        _: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        Ok(Minted::lasting(NoDetails {}))
    }

    async fn check(&self, claim: &Claim<ClubSubscription>) -> Result<Order, Rejection> {
        let (card, act) = (claim.payload.card.clone(), self.act(Step::Check));
        if let Act::Slow(wait) = act {
            tokio::time::sleep(wait).await;
        }
        if act == Act::Refuses || !card.starts_with('b') {
            return Err(Rejection::failed("This card is not good."));
        }
        let challenge = claim.challenge.id().as_str().to_owned();
        Ok(Order::Join { challenge, card, cadence: claim.request.terms.cadence() })
    }

    fn spends<'e>(&self, _: &'e Order) -> Option<Spend<'e>> {
        None
    }

    fn has_moved(&self, _: &Order) -> bool {
        false
    }

    async fn settle(&self, order: &Order) -> Fate {
        let act = self.act(Step::Settle);
        if let Act::Slow(wait) = act {
            tokio::time::sleep(wait).await;
        }
        let fate = act.takes().then(|| self.carry_out(order));
        if let Act::TakesAndIsSlow(wait) = act {
            tokio::time::sleep(wait).await;
        }
        match act {
            Act::Refuses => Fate::Failed(Rejection::failed("The card was declined.")),
            Act::Hangs | Act::TakesAndHangs => pending().await,
            Act::Answers | Act::Slow(_) | Act::TakesAndIsSlow(_) => fate.unwrap_or(Fate::Absent),
            _ => Fate::unknown("no answer"),
        }
    }

    async fn reconcile(&self, order: &Order) -> Fate {
        match self.act(Step::Reconcile) {
            Act::Answers => self.truth(order),
            Act::Hangs | Act::TakesAndHangs => pending().await,
            _ => Fate::unknown("no answer"),
        }
    }
}

impl Renewer for Club {
    fn renewal(&self, agreement: &Agreement, period: &Period) -> Result<Order, Rejection> {
        Ok(Order::Renew { id: agreement.began.id.clone(), period: period.index })
    }

    async fn cancel(&self, agreement: &Agreement, from: &Timestamp) -> Result<(), Rejection> {
        let mut books = self.books();
        if books.deaf {
            return Err(Rejection::unknown("nobody answers"));
        }
        books.told += 1;
        if let Some(member) = books.members.get_mut(&agreement.began.id)
            && member.ended.as_ref().is_none_or(|end| from.is_before(end))
        {
            member.ended = Some(from.clone());
        }
        Ok(())
    }
}
