//! Wake-ups: none may be lost, whenever the change comes.

use std::{sync::Arc, time::Duration};

use mpp_core::store::{Keep, Store, Version, Wakes, Watch};

use super::{key, put};

pub(super) async fn what_changed_already_is_said_at_once<S: Store + Watch>(store: &S, name: &str) {
    let k = key(name, &["said"]);
    let version = put(store, &k, b"1").await;
    in_time(store, "an entry that is there, to who saw none", store.changed(&k, None)).await;
    let removed = store.swap(&k, Some(version), None, Keep::Forever).await;
    removed.expect("the store answers").expect("expected, so removed");
    in_time(store, "an entry that is gone", store.changed(&k, Some(version))).await;
}

/// By a change through another handle, and by each kind: written first, written over, removed.
pub(super) async fn who_waits_is_woken<S: Store + Watch>(
    watched: &Arc<S>,
    written: &Arc<S>,
    name: &str,
) {
    const WAITERS: usize = 20;
    let k = key(name, &["woken"]);
    let mut seen: Option<Version> = None;
    for value in [Some(&b"1"[..]), Some(b"2"), None] {
        let waiters = Vec::from_iter((0..WAITERS).map(|_| {
            let (store, k) = (Arc::clone(watched), k.clone());
            tokio::spawn(async move { until_changed(&*store, &k, seen).await })
        }));
        // Most wait by now; those that do not are what the next test is about.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let next = written.swap(&k, seen, value, Keep::Forever).await;
        let next = next.expect("the store answers").expect("expected, so written");
        for waiter in waiters {
            in_time(&**watched, "a change", async { waiter.await.map_err(drop) }).await;
        }
        seen = value.map(|_| next);
    }
}

/// Two write in turn, each once it sees that the other has: one wake-up that is lost, and both wait for ever.
pub(super) async fn no_change_between_a_read_and_the_wait_is_missed<S: Store + Watch>(
    one: &Arc<S>,
    other: &Arc<S>,
    name: &str,
) {
    const TURNS: u8 = 100;
    let k = key(name, &["turns"]);
    put(&**one, &k, &[0]).await;
    let players = [(0, one), (1, other)].map(|(turn, store)| {
        let (store, k) = (Arc::clone(store), k.clone());
        tokio::spawn(async move {
            loop {
                let held = store.get(&k).await.expect("the store answers").expect("written");
                let count = held.value[0];
                if count >= TURNS {
                    return;
                }
                if count % 2 == turn {
                    let next = [count + 1];
                    let swap = store.swap(&k, Some(held.version), Some(&next), Keep::Forever);
                    swap.await.expect("the store answers").expect("it was this one's turn");
                } else {
                    store.changed(&k, Some(held.version)).await.expect("the store answers");
                }
            }
        })
    });
    for player in players {
        in_time(&**one, "one of many changes", async { player.await.map_err(drop) }).await;
    }
}

async fn until_changed<S: Store + Watch>(
    store: &S,
    key: &mpp_core::store::Key,
    seen: Option<Version>,
) {
    while store.get(key).await.expect("the store answers").map(|entry| entry.version) == seen {
        store.changed(key, seen).await.expect("the store answers");
    }
}

/// A lost wake-up is waiting for ever, and this is for ever.
async fn in_time<E: std::fmt::Debug>(
    store: &impl Watch,
    what: &str,
    wait: impl Future<Output = Result<(), E>>,
) {
    let patience = match store.wakes() {
        Wakes::Poll(apart) => apart * 500,
        _ => Duration::from_secs(60),
    };
    tokio::time::timeout(patience + Duration::from_secs(10), wait)
        .await
        .unwrap_or_else(|_| panic!("{what} was not said"))
        .expect("the store answers");
}
