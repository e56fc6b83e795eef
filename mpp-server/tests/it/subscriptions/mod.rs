//! Subscribers who come, stay away, cancel and come back; a club that charges them, and servers that die meanwhile.

mod activation;
mod crashes;
#[cfg(feature = "redb")]
mod durable;
mod hostile;
mod model;
mod notices;
mod renewal;
mod web;
mod write_off;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    Credential, Receipt,
    intent::Subscription,
    problem::Reason,
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Members, Offers, Route, gate::GateBuilder};
use mpp_testkit::{
    clock::Hands,
    club::{self, Club},
};

use crate::booth::SECRET;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const PRODUCT: &str = "pro";

pub(super) type Why = (u16, Reason, usize);

pub(super) fn why(refusal: &Refusal) -> Why {
    (refusal.rejection.kind.status, refusal.rejection.reason, refusal.challenges.len())
}

/// A server that sells a subscription for 5 coupons a 30 days, over a store that outlives it.
pub(super) struct House {
    pub(super) store: Arc<Memory>,
    pub(super) life: Arc<Mortal>,
    pub(super) clock: Hands,
    pub(super) club: Arc<Club>,
    pub(super) gate: Gate,
    pub(super) route: Route,
}

impl House {
    pub(super) fn new() -> Self {
        let clock = Hands::new();
        let club = Club::new(&clock);
        Self::over(Arc::new(Memory::volatile()), clock, club)
    }

    fn over(store: Arc<Memory>, clock: Hands, club: Arc<Club>) -> Self {
        let (left, woken) = (AtomicUsize::new(usize::MAX), tokio::sync::Notify::new());
        let life = Arc::new(Mortal { store: store.clone(), left, woken });
        let gate = builder(life.clone(), &clock).build().unwrap();
        let route = route(&gate, &club, "5 coupon per 30 days");
        Self { store, life, clock, club, gate, route }
    }

    /// The next life of the server, or another beside it.
    pub(super) fn another(&self) -> Self {
        Self::over(self.store.clone(), self.clock.clone(), self.club.clone())
    }

    pub(super) async fn ask(
        &self,
        who: Option<&str>,
        shown: Option<&Credential>,
    ) -> Result<Receipt, Refusal> {
        self.ask_at(&self.route, who, shown).await
    }

    pub(super) async fn ask_at(
        &self,
        route: &Route,
        who: Option<&str>,
        shown: Option<&Credential>,
    ) -> Result<Receipt, Refusal> {
        let mut call = Call::to(Resource::at("GET /reports"));
        call.credential = Ok(shown.cloned());
        call.subscriber = who.map(str::to_owned);
        match self.gate.judge(route, call).await? {
            Admission::Serve(permit) => Ok(permit.receipt().cloned().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// A good card for a fresh challenge.
    pub(super) async fn card(&self) -> Credential {
        let refusal = self.ask(None, None).await.unwrap_err();
        club::answer(&refusal.challenges[0], "b1")
    }

    /// Subscribes somebody.
    pub(super) async fn subscribe(&self, who: &str) -> Receipt {
        let card = self.card().await;
        self.ask(Some(who), Some(&card)).await.unwrap()
    }

    pub(super) async fn served(&self, who: &str) -> Receipt {
        self.ask(Some(who), None).await.unwrap()
    }

    pub(super) async fn refused(&self, who: &str, shown: Option<&Credential>) -> Why {
        why(&self.ask(Some(who), shown).await.unwrap_err())
    }
}

pub(super) fn builder(store: impl Store, clock: &Hands) -> GateBuilder {
    Gate::builder(store).realm("shop").secret(SECRET).clock(clock.clone()).recover_by_hand()
}

pub(super) fn route(gate: &Gate, club: &Arc<Club>, plan: &str) -> Route {
    gate.renews(club);
    let offers = Offers::<Subscription>::of(plan.parse().unwrap()).via(club);
    let route = Route::of(offers).subscribed(Members::of(PRODUCT, |_| None));
    gate.recovers(&route);
    route
}

/// A store that stops answering: its process is dead.
#[derive(Debug)]
pub(super) struct Mortal {
    store: Arc<Memory>,
    left: AtomicUsize,
    woken: tokio::sync::Notify,
}

impl Mortal {
    /// Dies at so many half operations from now: an even number before one is done, an odd number after it.
    pub(super) fn dies_after(&self, halves: usize) {
        self.left.store(halves, Ordering::SeqCst);
    }

    /// Was not dead: it slept.
    pub(super) fn wakes(&self) {
        self.left.store(usize::MAX, Ordering::SeqCst);
        self.woken.notify_waiters();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn lives(&self) {
        let spent = |left: usize| match left {
            0 | usize::MAX => None,
            left => Some(left - 1),
        };
        let _ = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spent);
        while self.is_dead() {
            self.woken.notified().await;
        }
    }
}

impl Store for Mortal {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            self.lives().await;
            self.store.get(key).await
        })
    }
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            self.lives().await;
            let done = self.store.swap(key, expect, value, keep).await;
            self.lives().await;
            done
        })
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        Box::pin(async move {
            self.lives().await;
            self.store.scan(prefix, after, limit).await
        })
    }
}
