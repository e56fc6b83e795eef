//! What every store must do: the suite that ours pass, and yours should.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Amount, Timestamp,
    account::{Account, Credit},
    problem::Rejection,
    store::{Keep, Key, Store, StoreExt},
};

/// Runs a store through everything that guards money. The store may hold other entries; this writes under the prefix
/// `testkit/` and a name of its own.
///
/// # Panics
/// Where the store misbehaves; the message says how.
pub async fn behaves(store: Arc<dyn Store>, name: &str) {
    one_of_two_writers_wins(&*store, name).await;
    versions_are_never_used_twice(&*store, name).await;
    keys_do_not_collide(&*store, name).await;
    entries_outlive_their_keep(&*store, name).await;
    scans_go_in_key_order(&*store, name).await;
    nothing_is_lost_under_contention(store, name).await;
}

fn key(name: &str, rest: &[&str]) -> Key {
    let segments: Vec<&str> = ["testkit", name].iter().chain(rest).copied().collect();
    Key::of(&segments).expect("the suite's own keys are short")
}

async fn put(store: &dyn Store, key: &Key, value: &[u8]) {
    let written = store.swap(key, None, Some(value), Keep::Forever).await;
    assert!(
        written.expect("the store answers").is_some(),
        "{key:?} was absent and could not be written"
    );
}

async fn one_of_two_writers_wins(store: &dyn Store, name: &str) {
    let k = key(name, &["swap"]);
    let swap = async |expect, value: Option<&'static [u8]>| {
        store.swap(&k, expect, value, Keep::Forever).await.expect("the store answers")
    };
    assert!(store.get(&k).await.expect("the store answers").is_none(), "an entry nobody wrote");
    let first = swap(None, Some(b"1")).await.expect("absent, so written");
    assert!(swap(None, Some(b"2")).await.is_none(), "a present entry was written as if absent");
    let second = swap(Some(first), Some(b"3")).await.expect("expected, so written");
    assert!(swap(Some(first), Some(b"4")).await.is_none(), "a stale version was accepted");
    let read = store.get(&k).await.expect("the store answers").expect("written");
    assert_eq!((read.version, &*read.value), (second, &b"3"[..]));
    assert!(swap(Some(first), None).await.is_none(), "a stale version removed an entry");
    assert!(swap(Some(second), None).await.is_some(), "the right version did not remove an entry");
    assert!(swap(Some(second), Some(b"5")).await.is_none(), "a removed entry was replaced");
    assert!(swap(None, Some(b"6")).await.is_some(), "a removed entry is not absent");
}

async fn versions_are_never_used_twice(store: &dyn Store, name: &str) {
    let k = key(name, &["versions"]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let v = store
            .swap(&k, None, Some(b"x"), Keep::Forever)
            .await
            .expect("the store answers")
            .expect("absent");
        assert!(
            !seen.contains(&v),
            "a version came back: a writer from before the removal could win"
        );
        seen.push(v);
        store
            .swap(&k, Some(v), None, Keep::Forever)
            .await
            .expect("the store answers")
            .expect("removed");
    }
}

async fn keys_do_not_collide(store: &dyn Store, name: &str) {
    let keys = [
        &["a:b"][..],
        &["a_b"],
        &["a", "b"],
        &["a/b"],
        &["a%2Fb"],
        &["A:B"],
        &["a b"],
        &["ä"],
        &["a\u{0}b"],
    ];
    for (i, segments) in keys.iter().enumerate() {
        put(store, &key(name, segments), &[i as u8]).await;
    }
    for (i, segments) in keys.iter().enumerate() {
        let read =
            store.get(&key(name, segments)).await.expect("the store answers").expect("written");
        assert_eq!(read.value, [i as u8], "{segments:?} was overwritten by another key");
    }
}

async fn entries_outlive_their_keep(store: &dyn Store, name: &str) {
    let k = key(name, &["keep"]);
    let millis = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let since = Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    let keep = Keep::For { since, ttl: Duration::from_secs(3600) };
    store.swap(&k, None, Some(b"x"), keep).await.expect("the store answers").expect("absent");
    assert!(
        store.get(&k).await.expect("the store answers").is_some(),
        "an entry was forgotten before its time"
    );
}

async fn scans_go_in_key_order(store: &dyn Store, name: &str) {
    for id in ["c", "a", "d", "b"] {
        put(store, &key(name, &["scan", id]), id.as_bytes()).await;
    }
    put(store, &key(name, &["scan2", "x"]), b"x").await;
    let prefix = key(name, &["scan"]);
    let (mut after, mut seen) = (None, String::new());
    loop {
        let page = store.scan(&prefix, after.as_ref(), 3).await.expect("the store answers");
        assert!(page.len() <= 3, "a page is longer than its limit");
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        page.iter().for_each(|(_, entry)| seen.push_str(&String::from_utf8_lossy(&entry.value)));
    }
    assert_eq!(seen, "abcd", "a scan leaves out, repeats, or is out of order");
}

async fn nothing_is_lost_under_contention(store: Arc<dyn Store>, name: &str) {
    let k = key(name, &["account"]);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, k) = (store.clone(), k.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let draw = |a: &mut Account| -> Result<(), Rejection> {
                        a.draw(Credit::Add(Amount::new(3)), None, 1, Amount::new(2))
                    };
                    store
                        .update(&k, Keep::Forever, draw)
                        .await
                        .expect("the store answers")
                        .expect("enough credit");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    let (_, account) =
        store.read::<Account>(&k).await.expect("the store answers").expect("written");
    assert_eq!(
        (account.credit.get(), account.spent.get(), account.units),
        (240, 160, 80),
        "an update was lost"
    );
}
