//! The books of agreements: an entry for each subscriber of a product, and where a subscription of a rail is found.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mpp_core::{
    agreement::Agreement,
    name::MethodId,
    problem::Rejection,
    store::{Keep, Key, StoreExt, Version},
    time::Timestamp,
};

use super::{ErasedRenewer, entry::Entry};
use crate::{
    event::{Event, SubscriptionChange},
    gate::latest::Latest,
    ledger::{Ledger, broken},
    session::Locals,
};

/// How often a swap is tried that others win.
const TRIES: u32 = 64;

/// What all subscriptions of a gate share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Agreements(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) ledger: Ledger,
    latest: Arc<Latest>,
    /// Whoever has an order of an entry in hand holds its turn.
    pub(super) locals: Locals,
    renewers: Mutex<Vec<Arc<dyn ErasedRenewer>>>,
    /// Held by every task that has something to write down.
    tasks: Arc<()>,
}

impl Agreements {
    pub(crate) fn new(ledger: Ledger, latest: Arc<Latest>) -> Self {
        let (locals, renewers) = (Locals::default(), Mutex::default());
        Self(Arc::new(Shared { ledger, latest, locals, renewers, tasks: Arc::default() }))
    }

    /// Lets it charge for later periods by a renewer.
    pub(crate) fn renews(&self, renewer: Arc<dyn ErasedRenewer>) {
        let mut all = self.0.renewers.lock().unwrap_or_else(PoisonError::into_inner);
        let rail = renewer.rail();
        if !all.iter().any(|known| known.rail().is_of(rail.id(), rail.settles_at())) {
            all.push(renewer);
        }
    }

    /// The renewer of a method at a place.
    pub(crate) fn renewer(&self, id: &MethodId, place: &str) -> Option<Arc<dyn ErasedRenewer>> {
        let all = self.0.renewers.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|renewer| renewer.rail().is_of(id, place)).cloned()
    }

    pub(super) fn renewer_of(&self, it: &Agreement) -> Result<Arc<dyn ErasedRenewer>, Rejection> {
        let found = self.renewer(&it.method, &it.place);
        found
            .ok_or_else(|| Rejection::internal("nothing at this gate renews what was agreed there"))
    }

    /// The time that periods are judged by: it never goes back.
    pub(super) fn now(&self) -> Timestamp {
        self.0.latest.of(self.0.ledger.clock.now())
    }

    pub(super) fn now_millis(&self) -> i64 {
        self.0.ledger.clock.now().unix_millis()
    }

    /// The end of a lease on asking and sending together.
    pub(super) fn lease(&self) -> Duration {
        self.0.ledger.deadline.saturating_mul(2).saturating_add(Duration::from_secs(5))
    }

    pub(super) fn lease_end(&self) -> i64 {
        let lease = i64::try_from(self.lease().as_millis()).unwrap_or(i64::MAX / 2);
        self.now_millis().saturating_add(lease)
    }

    /// Whether nobody has in hand what a gate took under a lease. Of this gate's own its caller must know; what nobody
    /// holds (0) rests until its time.
    pub(super) fn is_free(&self, holder: u64, until: i64) -> bool {
        let (ledger, now) = (&self.0.ledger, self.now_millis());
        // Later than it can have been put off: by a clock that was ahead.
        let ahead = holder == 0 && until > now.saturating_add(60_000);
        let dead = holder != 0 && (holder == ledger.me || ledger.alone);
        dead || ahead || until <= now
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<(Version, Entry)>, Rejection> {
        let Some(found) = self.0.ledger.store.get(key).await.map_err(broken)? else {
            return Ok(None);
        };
        let entry = Entry::read(key, &found.value).map_err(broken)?;
        Ok(Some((found.version, entry)))
    }

    pub(super) async fn write(
        &self,
        key: &Key,
        expect: Option<Version>,
        entry: &Entry,
    ) -> Result<bool, Rejection> {
        let store = &self.0.ledger.store;
        let written = store.write(key, expect, entry, Keep::Forever).await.map_err(broken)?;
        Ok(written.is_some())
    }

    /// Changes an entry that is there, in one swap: `change` runs anew on what another wrote first, and is pure. Where it
    /// fails nothing is written.
    pub(super) async fn change<R>(
        &self,
        key: &Key,
        change: impl Fn(&mut Entry) -> Result<R, Rejection>,
    ) -> Result<R, Rejection> {
        for _ in 0..TRIES {
            let found = self.read(key).await?;
            let Some((version, mut entry)) = found else {
                return Err(Rejection::internal("a subscriber's entry has vanished"));
            };
            let changed = change(&mut entry)?;
            entry.tidy();
            if self.write(key, Some(version), &entry).await? {
                return Ok(changed);
            }
        }
        Err(Rejection::unknown("others were first each time"))
    }

    /// Where it is written whose a subscription of a rail is.
    pub(super) fn index(method: &MethodId, place: &str, id: &str) -> Result<Key, Rejection> {
        let names = format!("{} {place}{id}", place.len());
        Key::of_hash(&["subscribed", method.method.as_str()], &names).map_err(Rejection::internal)
    }

    /// Runs in a task of its own: a caller that is dropped changes nothing.
    pub(super) async fn alone<R: Send + 'static>(
        &self,
        work: impl Future<Output = Result<R, Rejection>> + Send + 'static,
    ) -> Result<R, Rejection> {
        let busy = self.0.tasks.clone();
        let work = async move {
            let _busy = busy;
            work.await
        };
        tokio::spawn(work).await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0.tasks) == 1
    }

    pub(super) fn tell(&self, of: &Agreement, what: SubscriptionChange) {
        self.tell_of(&of.method, &of.began.id, what);
    }

    pub(super) fn tell_of(&self, method: &MethodId, id: &str, what: SubscriptionChange) {
        if let SubscriptionChange::ToGiveBack { reference } = &what {
            tracing::error!(%method, subscription = id, reference, "a charge grants nothing, and is to be given back");
        } else {
            tracing::info!(%method, subscription = id, ?what, "a subscription changed");
        }
        self.0.ledger.events.send(|| Event::Subscription {
            method: method.clone(),
            subscription: id.to_owned(),
            what,
        });
    }
}

impl fmt::Debug for Agreements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agreements")
    }
}
