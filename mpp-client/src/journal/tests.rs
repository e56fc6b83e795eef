//! Crashes at every point, stores that fail at every write, and what is found afterwards.

mod crashes;
mod ends;
mod forms;
mod once;
mod states;
mod stores;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use mpp_core::{
    Credential, Timestamp,
    payer::{Became, Funds, PayError, Site},
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
    time::Clock,
    transport::Answer,
};

use super::*;
use crate::{
    Error, Exchange, Limits, Turn, Wallet,
    double::{Coupon, Diary, Holder, Rail, challenge, receipt},
    error::Kind,
    policy::Policy,
};

/// A clock that tests move.
#[derive(Clone, Debug, Default)]
struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

/// A store in memory that breaks, or stops for ever, at a chosen operation.
#[derive(Clone, Debug)]
struct Fragile {
    inner: Arc<Memory>,
    left: Arc<AtomicI64>,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Answers with an error, once, and has not written.
    Fails,
    /// Answers with an error, once, and has written.
    FailsLate,
    /// Never answers again, and has not written: the process dies here.
    Stops,
    /// Never answers again, and has written.
    StopsLate,
}

impl Fragile {
    fn at(inner: &Arc<Memory>, operation: i64, how: How) -> Self {
        Self { inner: inner.clone(), left: Arc::new(AtomicI64::new(operation)), how }
    }
}

impl Store for Fragile {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.inner.get(key)
    }
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let left = self.left.fetch_sub(1, Ordering::SeqCst);
            let stops = matches!(self.how, How::Stops | How::StopsLate);
            if left > 0 || left < 0 && !stops {
                return self.inner.swap(key, expect, value, keep).await;
            }
            if left == 0 && matches!(self.how, How::FailsLate | How::StopsLate) {
                self.inner.swap(key, expect, value, keep).await?;
            }
            if stops {
                std::future::pending::<()>().await;
            }
            Err(StoreError::unavailable("broken"))
        })
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.inner.scan(prefix, after, limit)
    }
}

/// Drives a future that waits for nothing but a store in memory. `None`: it waits for ever, as if the process had died.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Everything that survives a crash: the store, the rail, the server, and who writes down what happened.
#[derive(Clone, Default)]
struct World {
    store: Arc<MemoryStore>,
    rail: Arc<Mutex<Rail>>,
    diary: Diary,
    hands: Hands,
    shop: Arc<Shop>,
}

/// A store in memory that has a default.
#[derive(Debug)]
struct MemoryStore(Arc<Memory>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self(Arc::new(Memory::volatile()))
    }
}

/// A server that serves a credential again until somebody has read the answer to its end.
#[derive(Default)]
struct Shop {
    asked: AtomicU64,
    seen: Mutex<Vec<String>>,
    refuses: Mutex<bool>,
}

impl Shop {
    /// A fresh challenge each time, over so many cents.
    fn asks(&self, cents: u128) -> Answer {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let expires = Timestamp::from_unix(4_000_000_000 + i64::try_from(asked).unwrap(), 0);
        let challenge = challenge("coupon", cents, |draft| draft.expires = Some(expires));
        Answer::Required { challenges: vec![challenge], problem: None }
    }

    fn shown(&self, credential: &Credential) -> Answer {
        let id = credential.challenge.id().as_str().to_owned();
        let mut seen = self.seen.lock().unwrap();
        if !seen.contains(&id) {
            seen.push(id);
        }
        if *self.refuses.lock().unwrap() {
            return self.asks(10);
        }
        Answer::Served(Some(receipt()))
    }

    /// How many credentials were ever shown.
    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl World {
    fn memory(&self) -> &Arc<Memory> {
        &self.store.0
    }

    fn limits(&self, store: impl Store) -> Limits {
        let limits = Limits::usd("1").unwrap().clock(self.hands.clone());
        limits.kept_in(store, "w").unwrap()
    }

    /// A wallet as a process has it that starts now.
    fn wallet(&self) -> Wallet {
        self.wallet_over(self.memory().clone()).expect("memory does not wait").unwrap()
    }

    fn wallet_over(&self, store: impl Store + Clone) -> Option<Result<Wallet, StoreError>> {
        let journal = match now(Journal::open(store.clone(), "w"))? {
            Ok(journal) => journal,
            Err(e) => return Some(Err(e)),
        };
        let payer = Holder::<Coupon>::new(&self.diary).on(&self.rail);
        let wallet = Wallet::new(self.limits(store)).payer(payer);
        Some(Ok(wallet.clock(self.hands.clone()).journal(journal)))
    }

    fn says(&self, became: Became) {
        self.rail.lock().unwrap().became = Some(became);
    }

    fn pays(&self) -> usize {
        self.diary.lock().unwrap().iter().filter(|line| line.starts_with("pay")).count()
    }

    /// One request as a driver makes it: adopt, or ask; then show, and hear.
    async fn request(&self, wallet: &Wallet) -> Result<Exchange, Error> {
        let mut exchange = begin(wallet);
        let mut turn = match exchange.adopt().await? {
            Some(turn) => turn,
            None => exchange.hear(self.shop.asks(10)).await?,
        };
        while let Turn::Send(credential) = turn {
            turn = exchange.hear(self.shop.shown(&credential)).await?;
        }
        Ok(exchange)
    }

    fn open(&self) -> Vec<Open> {
        self.wallet().unfinished()
    }

    /// What one host may still get this hour, in cents.
    fn left(&self) -> u128 {
        let limits = self.limits(self.memory().clone());
        let (mut left, mut held) = (0, Vec::new());
        for cents in [100, 10, 1] {
            let mut quote = quote();
            quote.exposes.amount = mpp_core::Amount::new(cents);
            while let Ok(reserved) = now(limits.reserve(&quote)).unwrap() {
                left += cents;
                held.push(reserved);
            }
        }
        for reserved in held {
            let given = limits.give_back(reserved.booking().unwrap(), reserved.amount());
            now(given).unwrap().unwrap();
        }
        left
    }
}

fn to() -> Site {
    Site { origin: "https://shop".into(), resource: "GET /joke".into() }
}

fn begin(wallet: &Wallet) -> Exchange {
    wallet.exchange(to()).about(Some(Purpose::of(&to(), b"", None)), Some("k".into()))
}

fn quote() -> Quote {
    let challenge = challenge("coupon", 10, |_| {});
    let exposes = mpp_core::payer::Exposure::new(mpp_core::Amount::new(10)).in_unit("usd", 2);
    let (id, currency) = (challenge.method_id(), "usd".to_owned());
    Quote { id, exposes, currency, recipient: None, to: to() }
}
