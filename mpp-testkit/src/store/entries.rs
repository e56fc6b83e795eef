//! Single entries: who may write them, what comes back, and for how long.

use std::time::Duration;

use mpp_core::{
    Timestamp,
    store::{Keep, Version},
};

use super::{Ground, keep_for, put, value};

pub(super) async fn one_of_two_writers_wins(on: &Ground) {
    let k = on.key(&["swap"]);
    let swap = async |expect, value: Option<&'static [u8]>| {
        on.one.swap(&k, expect, value, Keep::Forever).await.expect("the store answers")
    };
    assert!(value(&*on.one, &k).await.is_none(), "an entry nobody wrote");
    let first = swap(None, Some(b"1")).await.expect("absent, so written");
    assert!(swap(None, Some(b"2")).await.is_none(), "a present entry was written as if absent");
    let second = swap(Some(first), Some(b"3")).await.expect("expected, so written");
    assert!(swap(Some(first), Some(b"4")).await.is_none(), "a stale version was accepted");
    let read = on.other.get(&k).await.expect("the store answers").expect("written");
    assert_eq!((read.version, &*read.value), (second, &b"3"[..]));
    assert!(swap(Some(first), None).await.is_none(), "a stale version removed an entry");
    assert!(swap(None, None).await.is_none(), "a present entry was removed as if absent");
    assert!(swap(Some(second), None).await.is_some(), "the right version did not remove an entry");
    assert!(swap(Some(second), Some(b"5")).await.is_none(), "a removed entry was replaced");
    assert!(swap(Some(second), None).await.is_none(), "a removed entry was removed");
    assert!(swap(None, Some(b"6")).await.is_some(), "a removed entry is not absent");
    for made_up in [0, 1, u64::MAX] {
        let refused = swap(Some(Version(made_up)), Some(b"7")).await;
        assert!(refused.is_none(), "a version that nobody got was accepted");
    }
}

pub(super) async fn versions_are_never_used_twice(on: &Ground) {
    let k = on.key(&["versions"]);
    let mut seen = Vec::new();
    for round in 0..4 {
        let store = on.handle(round);
        let v = put(&*store, &k, b"x").await;
        assert!(
            !seen.contains(&v),
            "a version came back: a writer from before the removal could win"
        );
        let w = store.swap(&k, Some(v), Some(b"x"), Keep::Forever).await;
        let w = w.expect("the store answers").expect("expected, so written");
        assert!(w != v && !seen.contains(&w), "a version came back for the same value");
        seen.extend([v, w]);
        let removed = store.swap(&k, Some(w), None, Keep::Forever).await;
        removed.expect("the store answers").expect("expected, so removed");
    }
}

pub(super) async fn keys_do_not_collide(on: &Ground) {
    let long = "l".repeat(470);
    let keys = [
        &["a:b"][..],
        &["a_b"],
        &["a", "b"],
        &["a/b"],
        &["a%2Fb"],
        &["A:B"],
        &["a b"],
        &["a b "],
        &["ä"],
        &["a\u{308}"],
        &["a\u{0}b"],
        &["a\u{0}"],
        &["{a}b"],
        &["a*"],
        &["a'b"],
        &[&long],
    ];
    for (i, segments) in keys.iter().enumerate() {
        put(&*on.one, &on.key(segments), &[i as u8]).await;
    }
    for (i, segments) in keys.iter().enumerate() {
        let read = value(&*on.other, &on.key(segments)).await;
        assert_eq!(read, Some(vec![i as u8]), "{segments:?} was overwritten by another key");
    }
}

pub(super) async fn values_of_any_size_come_back(on: &Ground) {
    const MEBIBYTE: usize = 1 << 20;
    for size in [0, 1, 4096, MEBIBYTE] {
        let k = on.key(&["size", &size.to_string()]);
        // All bytes there are, in no order that compresses away.
        let written: Vec<u8> = (0..size).map(|i| (i * 31 + i / 251) as u8).collect();
        let first = put(&*on.one, &k, &written).await;
        assert!(value(&*on.other, &k).await.as_ref() == Some(&written), "{size} bytes changed");
        let emptied = on.one.swap(&k, Some(first), Some(b""), Keep::Forever).await;
        assert!(emptied.expect("the store answers").is_some(), "{size} bytes were not replaced");
        assert_eq!(value(&*on.other, &k).await, Some(Vec::new()), "an empty value is not absence");
    }
}

/// Whatever the clocks of other writers say. That entries are forgotten later is for the store's own tests: no caller
/// relies on it.
pub(super) async fn entries_outlive_their_keep(on: &Ground) {
    let hour = Duration::from_secs(3600);
    let (k, forever) = (on.key(&["keep"]), on.key(&["forever"]));
    put(&*on.one, &forever, b"x").await;
    let written = on.one.swap(&k, None, Some(b"x"), keep_for(hour)).await;
    let version = written.expect("the store answers").expect("absent, so written");
    let half = keep_for(hour / 2);
    let touched = on.other.swap(&on.key(&["half"]), None, Some(b"x"), half).await;
    assert!(touched.expect("the store answers").is_some());
    assert!(value(&*on.other, &k).await.is_some(), "an entry was forgotten before its time");
    let early = on.other.swap(&k, None, Some(b"y"), Keep::Forever).await;
    assert!(early.expect("the store answers").is_none(), "an entry was forgotten before its time");
    // An entry that must be kept for ever, after it was to be kept for a while, is.
    let kept = on.one.swap(&k, Some(version), Some(b"z"), Keep::Forever).await;
    kept.expect("the store answers").expect("expected, so written");
    for (since, ttl) in [(0, Duration::ZERO), (0, hour), (0, Duration::MAX), (i64::MAX, hour)] {
        let odd = on.key(&["odd", &since.to_string(), &ttl.as_secs().to_string()]);
        let keep = Keep::For { since: Timestamp::from_unix_millis(since), ttl };
        let written = on.one.swap(&odd, None, Some(b"x"), keep).await;
        assert!(written.expect("the store answers").is_some(), "{since} and {ttl:?} were refused");
    }
    assert_eq!(value(&*on.other, &k).await.as_deref(), Some(&b"z"[..]), "what is for ever is not");
    assert!(value(&*on.other, &forever).await.is_some(), "what is for ever was forgotten");
}

pub(super) async fn a_swap_that_is_not_awaited_does_not_happen(on: &Ground) {
    let k = on.key(&["dropped"]);
    drop(on.one.swap(&k, None, Some(b"x"), Keep::Forever));
    assert!(value(&*on.one, &k).await.is_none(), "a swap happened that nobody awaited");
}
