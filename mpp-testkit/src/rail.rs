//! A rail that follows a script: a coupon method that can fail at each step, remembers what it took, and counts.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mpp_core::{
    Challenge, Charge, Credential, Method, Price, Timestamp,
    binding::Claim,
    credential::Source,
    fate::{Fate, Settlement},
    intent::{ChargeTerms, PriceError, Terms},
    method::NoDetails,
    name::MethodName,
    problem::{ProblemType, Reason, Rejection},
    verifier::{Asking, Minted, Spend, Verifier},
};
use serde::{Deserialize, Serialize};

/// The method `coupon`: a code out of a book is torn off, once. Prices are whole `coupon`s.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CouponCharge;

impl Method for CouponCharge {
    const NAME: MethodName = MethodName::from_static("coupon");
    type Intent = Charge;
    type Details = NoDetails;
    type Payload = Code;
}

/// What proves a payment by coupon. Codes that begin with `b` are out of our book; any other fails its check. A code with a
/// name after an `@`, as in `b1@alice`, was issued to an account: its settlements are by `did:coupon:alice`. Where the price is
/// nothing a coupon is looked at and not torn off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The code.
    pub code: String,
}

/// The order to the rail: everything that settling needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The coupon.
    pub code: String,
    /// Whose payment it is: the id of the challenge it answers.
    pub challenge: String,
    /// Whether the price is nothing: the coupon is shown, and stays in the book.
    pub free: bool,
}

/// Where a rail is told to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// [`Verifier::check`].
    Check,
    /// [`Verifier::settle`].
    Settle,
    /// [`Verifier::reconcile`].
    Reconcile,
}

/// Answers a challenge with a coupon.
///
/// # Panics
/// Where the challenge is not one of this method.
pub fn answer(challenge: &Challenge, code: &str) -> Credential {
    let demand = challenge.read::<CouponCharge>().expect("a challenge of the method coupon");
    Credential::answer(&demand, None, &Code { code: code.to_owned() }).expect("a code is an object")
}

/// What a rail does when it is asked. Acts that take money do so at [`Step::Settle`]; elsewhere they are as their mute,
/// hanging or panicking kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// Does what it is asked, and says the truth.
    #[default]
    Answers,
    /// Says no, for good: the money did not move.
    Refuses,
    /// Takes the money, and its answer is lost: unknown.
    TakesAndIsMute,
    /// Never hears of it, and no answer comes: unknown.
    NeverHears,
    /// Never hears of it and never answers.
    Hangs,
    /// Takes the money and never answers.
    TakesAndHangs,
    /// Takes so long before it does anything; whoever stops waiting was never heard.
    Slow(Duration),
    /// Takes the money at once, and answers only after so long.
    TakesAndIsSlow(Duration),
    /// Panics before anything happened: a bug in a method's code.
    Panics,
    /// Takes the money, then panics.
    TakesAndPanics,
    /// Lies. Settling: says that the money moved where it did not. Reconciling: says that it never saw an order it took, or
    /// that it took one it never saw.
    Lies,
}

impl Act {
    pub(crate) fn takes(self) -> bool {
        matches!(
            self,
            Self::Answers
                | Self::TakesAndIsMute
                | Self::TakesAndHangs
                | Self::TakesAndIsSlow(_)
                | Self::TakesAndPanics
                | Self::Slow(_)
        )
    }
}

/// A rail that follows a script. One [`Arc`] outlives the gates that sell through it, as a chain outlives the servers that
/// use it: what it took it remembers over every restart of a test.
///
/// An order that comes again for money that was taken moves nothing, as the contract of [`Verifier::settle`] wants; it is
/// counted in [`Rail::sent_again`].
#[derive(Debug)]
pub struct Rail {
    address: String,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Which coupon was taken for which challenge.
    taken: BTreeMap<String, String>,
    /// A coupon, and the second challenge it was credited under.
    credited_twice: Vec<(String, String)>,
    sent_again: usize,
    asked: BTreeMap<Step, usize>,
    next: BTreeMap<Step, VecDeque<Act>>,
    always: BTreeMap<Step, Act>,
    /// When its coupons were paid in, where that is before they are shown.
    moved_at: Option<Timestamp>,
}

impl Rail {
    /// A rail at `"booth 1"` that does as it should.
    pub fn new() -> Arc<Self> {
        Self::at("booth 1")
    }

    /// A rail that settles at another place.
    pub fn at(address: &str) -> Arc<Self> {
        Arc::new(Self { address: address.to_owned(), books: Mutex::default() })
    }

    /// Says what it does the next times it is asked to do a step, one act each; after them it does as always.
    pub fn next(&self, step: Step, acts: impl IntoIterator<Item = Act>) {
        self.books().next.entry(step).or_default().extend(acts);
    }

    /// Says what it does at a step from now on, where nothing else is next.
    pub fn always(&self, step: Step, act: Act) {
        self.books().always.insert(step, act);
    }

    /// Says that its coupons were paid in before they are shown, as preimages and hashes are: long ago.
    pub fn is_paid_before(&self) {
        self.is_paid_at(Timestamp::from_unix(0, 0));
    }

    /// Says when its coupons are paid in, before they are shown: what moved after the end of a challenge does not pay for it.
    pub fn is_paid_at(&self, at: Timestamp) {
        self.books().moved_at = Some(at);
    }

    /// Forgets the script: from now on it does as it should. What it took stays taken.
    pub fn calm(&self) {
        let mut books = self.books();
        books.next.clear();
        books.always.clear();
    }

    /// How many coupons it took.
    ///
    /// # Panics
    /// Where one coupon was credited under two challenges: no script makes that right.
    pub fn taken(&self) -> usize {
        let books = self.books();
        let twice = &books.credited_twice;
        assert!(twice.is_empty(), "a coupon was credited under two challenges: {twice:?}");
        books.taken.len()
    }

    /// Whether it took this coupon.
    pub fn took(&self, code: &str) -> bool {
        self.books().taken.contains_key(code)
    }

    /// Under which challenge it took this coupon.
    pub fn took_for(&self, code: &str) -> Option<String> {
        self.books().taken.get(code).cloned()
    }

    /// How often an order came for a coupon that it had taken already. Not money moved twice, but nothing that should
    /// happen while every clock is right.
    pub fn sent_again(&self) -> usize {
        self.books().sent_again
    }

    /// How often it was asked to do a step.
    pub fn asked(&self, step: Step) -> usize {
        self.books().asked.get(&step).copied().unwrap_or(0)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A script may make us panic on purpose, never under this lock.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, step: Step) -> Act {
        let mut books = self.books();
        *books.asked.entry(step).or_default() += 1;
        let next = books.next.get_mut(&step).and_then(VecDeque::pop_front);
        next.unwrap_or_else(|| books.always.get(&step).copied().unwrap_or_default())
    }

    fn take(&self, order: &Order) {
        if order.free {
            return;
        }
        let mut books = self.books();
        match books.taken.get(&order.code) {
            None => drop(books.taken.insert(order.code.clone(), order.challenge.clone())),
            Some(first) if *first == order.challenge => books.sent_again += 1,
            Some(_) => books.credit_twice(order),
        }
    }

    fn truth(&self, order: &Order) -> Fate {
        let mut books = self.books();
        match books.taken.get(&order.code) {
            None if order.free => settled(order),
            None => Fate::Absent,
            Some(first) => {
                if *first != order.challenge {
                    books.credit_twice(order);
                }
                settled(order)
            }
        }
    }

    async fn answer(&self, act: Act, order: &Order) -> Fate {
        match act {
            Act::Answers => settled(order),
            Act::Refuses => Fate::Failed(Rejection::failed("The coupon is void.")),
            Act::TakesAndIsMute | Act::NeverHears => Fate::unknown("no answer"),
            Act::Hangs | Act::TakesAndHangs => pending().await,
            Act::Slow(_) => settled(order),
            Act::TakesAndIsSlow(wait) => {
                tokio::time::sleep(wait).await;
                settled(order)
            }
            Act::Panics | Act::TakesAndPanics => {
                panic!("the rail's code broke, as its script says")
            }
            Act::Lies => settled(order),
        }
    }
}

impl Books {
    fn credit_twice(&mut self, order: &Order) {
        self.credited_twice.push((order.code.clone(), order.challenge.clone()));
    }
}

fn settled(order: &Order) -> Fate {
    let settlement = Settlement::new(order.code.clone());
    Fate::Settled(match order.code.split_once('@') {
        Some((_, name)) => settlement.by(Source::new(format!("did:coupon:{name}"))),
        None => settlement,
    })
}

impl Verifier for Rail {
    type Method = CouponCharge;
    type Evidence = Order;

    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.address)
    }

    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        Ok(ChargeTerms::of(price, price.in_unit("coupon", 0)?, "coupon"))
    }

    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        Ok(Minted::lasting(NoDetails {}))
    }

    async fn check(&self, claim: &Claim<CouponCharge>) -> Result<Order, Rejection> {
        let refused = || Rejection::failed("This coupon is not from our book.");
        match self.act(Step::Check) {
            Act::Refuses | Act::Lies => return Err(refused()),
            Act::Hangs | Act::TakesAndHangs => pending().await,
            Act::Slow(wait) | Act::TakesAndIsSlow(wait) => tokio::time::sleep(wait).await,
            Act::Panics | Act::TakesAndPanics => {
                panic!("the rail's code broke, as its script says")
            }
            Act::NeverHears | Act::TakesAndIsMute => {
                let detail = "The book is not at hand.";
                return Err(Rejection::new(ProblemType::INTERNAL, Reason::OUR_FAULT, detail));
            }
            Act::Answers => {}
        }
        let (code, challenge) = (claim.payload.code.clone(), claim.challenge.id().as_str());
        let free = claim.request.terms.amount().is_zero();
        let order = Order { code, challenge: challenge.to_owned(), free };
        if !order.code.starts_with('b') {
            return Err(refused());
        }
        match (&self.books().moved_at, &claim.challenge.expires) {
            (Some(at), Some(end)) if end.expired_at(at) => Err(Rejection::expired(end)),
            _ => Ok(order),
        }
    }

    fn spends<'e>(&self, order: &'e Order) -> Option<Spend<'e>> {
        Some(Spend::of(&*order.code))
    }

    fn has_moved(&self, _: &Order) -> bool {
        self.books().moved_at.is_some()
    }

    async fn settle(&self, order: &Order) -> Fate {
        let act = self.act(Step::Settle);
        if let Act::Slow(wait) = act {
            tokio::time::sleep(wait).await;
        }
        if act.takes() {
            self.take(order);
        }
        self.answer(act, order).await
    }

    async fn reconcile(&self, order: &Order) -> Fate {
        let act = self.act(Step::Reconcile);
        if let Act::Slow(wait) | Act::TakesAndIsSlow(wait) = act {
            tokio::time::sleep(wait).await;
        }
        match act {
            Act::Answers | Act::Slow(_) | Act::TakesAndIsSlow(_) => self.truth(order),
            Act::Lies => match self.truth(order) {
                Fate::Absent => settled(order),
                _ => Fate::Absent,
            },
            act => self.answer(act, order).await,
        }
    }
}
