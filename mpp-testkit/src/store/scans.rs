//! Scans: recovery, schedules and watchers find unfinished entries by them.

use mpp_core::store::Key;

use super::{Ground, put};

pub(super) async fn scans_go_in_key_order(on: &Ground) {
    for id in ["c", "a", "d", "b"] {
        put(&*on.one, &on.key(&["scan", id]), id.as_bytes()).await;
    }
    put(&*on.one, &on.key(&["scan2", "x"]), b"x").await;
    let prefix = on.key(&["scan"]);
    let (mut after, mut seen) = (None::<Key>, String::new());
    loop {
        let page = on.other.scan(&prefix, after.as_ref(), 3).await.expect("the store answers");
        assert!(page.len() <= 3, "a page is longer than its limit");
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        page.iter().for_each(|(_, entry)| seen.push_str(&String::from_utf8_lossy(&entry.value)));
    }
    assert_eq!(seen, "abcd", "a scan leaves out, repeats, or is out of order");
    let none = on.one.scan(&prefix, None, 0).await.expect("the store answers");
    assert!(none.is_empty(), "a scan of nothing found something");
}

pub(super) async fn scans_hold_what_is_under_their_prefix(on: &Ground) {
    let names: [&[&str]; 9] = [
        &["in"],
        &["in!"],
        &["in-a"],
        &["in", "a"],
        &["in", "a", "b"],
        &["in", "a!"],
        &["in", "ä"],
        &["in0"],
        &["inn"],
    ];
    let mut keys = Vec::from_iter(names.map(|name| on.key(name)));
    let mut versions = Vec::new();
    for key in &keys {
        versions.push(put(&*on.one, key, key.as_str().as_bytes()).await);
    }
    keys.sort();
    let none = on.key(&["in", "none"]);
    for prefix in &keys {
        for after in keys.iter().chain([&none]).map(Some).chain([None]) {
            for limit in [1, 2, 100] {
                let found = on.one.scan(prefix, after, limit).await.expect("the store answers");
                let held = keys
                    .iter()
                    .filter(|key| key.is_under(prefix) && after.is_none_or(|after| *key > after));
                let held = Vec::from_iter(held.take(limit));
                let listed = Vec::from_iter(found.iter().map(|(key, _)| key));
                assert_eq!(listed, held, "under {prefix:?} after {after:?}, up to {limit}");
                for (key, entry) in &found {
                    assert_eq!(entry.value, key.as_str().as_bytes(), "{key:?} has another's value");
                    assert!(versions.contains(&entry.version), "{key:?} has no version of its own");
                }
            }
        }
    }
}
