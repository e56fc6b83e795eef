//! Made-up charge methods of several names, both halves: what routes with several methods are tried with.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    future::pending,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    Amount, Challenge, Charge, Credential, Method, Price, Request,
    binding::Claim,
    challenge::Demand,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::NoDetails,
    name::MethodName,
    payer::{Allowance, Became, Exposure, PayError, Payer, Payment, Recall},
    problem::Rejection,
    verifier::{Asking, Minted, Spend, Verifier},
};

use crate::rail::{Code, CouponCharge, Order, Rail};

/// The method `token`: paid with codes, as coupons are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenCharge;

impl Method for TokenCharge {
    const NAME: MethodName = MethodName::from_static("token");
    type Intent = Charge;
    type Details = NoDetails;
    type Payload = Code;
}

/// The method `stamp`: paid with codes, as coupons are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StampCharge;

impl Method for StampCharge {
    const NAME: MethodName = MethodName::from_static("stamp");
    type Intent = Charge;
    type Details = NoDetails;
    type Payload = Code;
}

/// A method that is paid with codes: [`CouponCharge`], [`TokenCharge`], [`StampCharge`], or one of a test's own.
pub trait Coded: Method<Intent = Charge, Details = NoDetails, Payload = Code> {}
impl<M: Method<Intent = Charge, Details = NoDetails, Payload = Code>> Coded for M {}

/// How a stall makes out what it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Minting {
    /// The same for everybody: made once.
    #[default]
    Lasting,
    /// Anew for everybody, after so long.
    Anew(Duration),
    /// Never.
    Hangs,
    /// It cannot.
    Fails,
}

/// Sells by one of these methods, over a [`Rail`] of its own. It takes codes that were made for its method ([`code`]) and no
/// other's.
pub struct Stall<M> {
    rail: Arc<Rail>,
    unit: Cow<'static, str>,
    decimals: u8,
    least: Amount,
    minting: Mutex<Minting>,
    method: PhantomData<fn() -> M>,
}

impl<M: Coded> Stall<M> {
    /// A stall that takes prices in this unit, of so many decimals.
    pub fn new(unit: impl Into<Cow<'static, str>>, decimals: u8) -> Self {
        let rail = Rail::at(&format!("a stall for {}s", M::NAME.as_str()));
        let (unit, minting) = (unit.into(), Mutex::default());
        Self { rail, unit, decimals, least: Amount::ZERO, minting, method: PhantomData }
    }

    /// Settles at this place.
    pub fn at(self, place: &str) -> Self {
        Self { rail: Rail::at(place), ..self }
    }

    /// Takes no less than this, in base units.
    pub fn at_least(self, least: u128) -> Self {
        Self { least: Amount::new(least), ..self }
    }

    /// Says how it makes out what it asks from now on.
    pub fn mints(&self, how: Minting) {
        *lock(&self.minting) = how;
    }

    /// Its rail: what it took, how often it was asked, and what it does next.
    pub fn rail(&self) -> &Rail {
        &self.rail
    }
}

impl<M> fmt::Debug for Stall<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stall").field("rail", &self.rail).finish_non_exhaustive()
    }
}

/// A code that a stall of this method takes.
pub fn code<M: Coded>(name: impl fmt::Display) -> String {
    format!("b-{}-{name}", M::NAME.as_str())
}

/// Answers a challenge with a code.
///
/// # Panics
/// Where the challenge is not one of this method.
pub fn answer<M: Coded>(challenge: &Challenge, code: impl Into<String>) -> Credential {
    let demand = challenge.read::<M>().expect("a challenge of this method");
    Credential::answer(&demand, None, &Code { code: code.into() }).expect("a code is an object")
}

impl<M: Coded> Verifier for Stall<M> {
    type Method = M;
    type Evidence = Order;

    fn settles_at(&self) -> Cow<'_, str> {
        self.rail.settles_at()
    }

    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        let amount = price.in_unit(&self.unit, self.decimals)?;
        if amount < self.least {
            return Err(PriceError::BelowMinimum { least: self.least });
        }
        Ok(ChargeTerms::of(price, amount, &*self.unit))
    }

    fn covering(&self, price: &Price) -> Option<ChargeTerms> {
        let amount = price.in_unit_up(&self.unit, self.decimals).ok()?;
        Some(ChargeTerms::of(price, amount, &*self.unit))
    }

    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        let how = *lock(&self.minting);
        match how {
            Minting::Lasting => return Ok(Minted::lasting(NoDetails {})),
            Minting::Anew(after) => tokio::time::sleep(after).await,
            Minting::Hangs => pending().await,
            Minting::Fails => return Err(Rejection::internal("the stall is closed")),
        }
        Ok(Minted::once(NoDetails {}, None))
    }

    async fn check(&self, claim: &Claim<M>) -> Result<Order, Rejection> {
        let Claim { challenge, request, payload, source, late } = claim;
        let request = Request { terms: request.terms.clone(), details: NoDetails {} };
        let (challenge, source) = (challenge.clone(), source.clone());
        let payload = payload.clone();
        let claim = Claim::<CouponCharge> { challenge, request, payload, source, late: *late };
        let order = self.rail.check(&claim).await?;
        if !order.code.starts_with(&code::<M>("")) {
            return Err(Rejection::failed("This code is for another method."));
        }
        Ok(order)
    }

    fn spends<'e>(&self, order: &'e Order) -> Option<Spend<'e>> {
        self.rail.spends(order)
    }

    fn has_moved(&self, order: &Order) -> bool {
        self.rail.has_moved(order)
    }

    async fn settle(&self, order: &Order) -> Fate {
        self.rail.settle(order).await
    }

    async fn reconcile(&self, order: &Order) -> Fate {
        self.rail.reconcile(order).await
    }
}

/// Pays at stalls of one method, with a new code each time; or fails, as it is told to. Clones are one purse.
pub struct Purse<M>(Arc<Pocket>, PhantomData<fn() -> M>);

/// No two purses pay with one code.
static CODES: AtomicUsize = AtomicUsize::new(0);

struct Pocket {
    unit: Cow<'static, str>,
    decimals: u8,
    fails: Mutex<VecDeque<PayError>>,
    paid: AtomicUsize,
}

impl<M: Coded> Purse<M> {
    /// A purse for prices in this unit, of so many decimals.
    pub fn new(unit: impl Into<Cow<'static, str>>, decimals: u8) -> Self {
        let (unit, fails, paid) = (unit.into(), Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Pocket { unit, decimals, fails, paid }), PhantomData)
    }

    /// Says that it fails like this the next time it is to pay.
    pub fn fails(&self, e: PayError) {
        lock(&self.0.fails).push_back(e);
    }

    /// How often it paid.
    pub fn paid(&self) -> usize {
        self.0.paid.load(Ordering::SeqCst)
    }
}

impl<M> Clone for Purse<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<M> fmt::Debug for Purse<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purse").field("paid", &self.0.paid).finish_non_exhaustive()
    }
}

impl<M: Coded> Payer for Purse<M> {
    type Method = M;

    fn exposes(&self, demand: &Demand<'_, M>) -> Option<Exposure> {
        let Pocket { unit, decimals, .. } = &*self.0;
        let ChargeTerms { amount, currency, .. } = &demand.request.terms;
        (currency == unit).then(|| Exposure::new(*amount).in_unit(unit.clone(), *decimals))
    }

    async fn pay(&self, _: &Demand<'_, M>, _: &Allowance) -> Result<Payment<M>, PayError> {
        if let Some(e) = lock(&self.0.fails).pop_front() {
            return Err(e);
        }
        self.0.paid.fetch_add(1, Ordering::SeqCst);
        let nth = CODES.fetch_add(1, Ordering::SeqCst);
        Ok(Payment::new(Code { code: code::<M>(nth) }))
    }

    async fn recall(&self, _: &Demand<'_, M>) -> Result<Recall<M>, PayError> {
        Ok(Recall::Never)
    }

    async fn became(&self, _: &Demand<'_, M>, _: &Code) -> Result<Became, PayError> {
        Ok(Became::Open)
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
