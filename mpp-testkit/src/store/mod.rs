//! What every store must do: the suites that ours pass, and yours should.

mod contention;
mod entries;
mod reopening;
mod scans;
mod wakes;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use mpp_core::{
    Timestamp,
    store::{Keep, Key, Store, Version, Watch},
};

/// Runs a store through everything that guards money. It may hold other entries: the suite writes under `testkit/` and
/// a name that it draws.
///
/// `open` gives a handle to one and the same store, each time: a new one, as another process would have, where there can
/// be several; where there can be one (a file that is locked), the one there is while it lives, and then a new one.
///
/// # Panics
/// Where the store misbehaves; the message says how.
pub async fn suite(open: impl AsyncFn() -> Arc<dyn Store>) {
    let ground = Ground::new(&open).await;
    entries::one_of_two_writers_wins(&ground).await;
    entries::versions_are_never_used_twice(&ground).await;
    entries::keys_do_not_collide(&ground).await;
    entries::values_of_any_size_come_back(&ground).await;
    entries::entries_outlive_their_keep(&ground).await;
    entries::a_swap_that_is_not_awaited_does_not_happen(&ground).await;
    scans::scans_go_in_key_order(&ground).await;
    scans::scans_hold_what_is_under_their_prefix(&ground).await;
    contention::one_of_a_thousand_creators_wins(&ground).await;
    contention::each_version_is_replaced_once(&ground).await;
    contention::nothing_is_lost(&ground).await;
    reopening::a_fresh_handle_sees_everything(ground, &open).await;
}

/// Runs the watch of a store, whose entries it watches. `open` is as for [`suite`].
///
/// # Panics
/// Where a wake-up is lost; the message says how.
pub async fn watch_suite<S: Store + Watch>(open: impl AsyncFn() -> Arc<S>) {
    let (watched, written) = (open().await, open().await);
    let name = draw();
    wakes::what_changed_already_is_said_at_once(&*watched, &name).await;
    wakes::who_waits_is_woken(&watched, &written, &name).await;
    wakes::no_change_between_a_read_and_the_wait_is_missed(&watched, &written, &name).await;
}

/// Two handles to one store, and a name that nothing else there has.
struct Ground {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    name: String,
}

impl Ground {
    async fn new(open: &impl AsyncFn() -> Arc<dyn Store>) -> Self {
        Self { one: open().await, other: open().await, name: draw() }
    }

    fn key(&self, rest: &[&str]) -> Key {
        key(&self.name, rest)
    }

    /// The handles in turn.
    fn handle(&self, turn: usize) -> Arc<dyn Store> {
        Arc::clone(if turn.is_multiple_of(2) { &self.one } else { &self.other })
    }
}

fn key(name: &str, rest: &[&str]) -> Key {
    let segments: Vec<&str> = ["testkit", name].iter().chain(rest).copied().collect();
    Key::of(&segments).expect("the suite's own keys are short")
}

/// A store may outlive a run of the suite, so each run has a name of its own.
fn draw() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

async fn put(store: &dyn Store, key: &Key, value: &[u8]) -> Version {
    let written = store.swap(key, None, Some(value), Keep::Forever).await;
    written
        .expect("the store answers")
        .unwrap_or_else(|| panic!("{key:?} was absent and could not be written"))
}

async fn value(store: &dyn Store, key: &Key) -> Option<Vec<u8>> {
    store.get(key).await.expect("the store answers").map(|entry| entry.value)
}

/// For a while from now, as a writer with a right clock says it.
fn keep_for(ttl: Duration) -> Keep {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    Keep::For { since: Timestamp::from_unix_millis(now), ttl }
}
