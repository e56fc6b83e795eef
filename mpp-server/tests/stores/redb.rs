//! The store in a file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use mpp_core::store::{Keep, Store, StoreError};
use mpp_server::store::Redb;
use mpp_testkit::store;
use redb::TableDefinition;
use tempfile::TempDir;

use super::{is_corrupt, is_newer, keep, key, probe_f, put, s19, value};

fn scratch() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    (folder, path)
}

/// The one handle there can be while it lives, and then a new one.
async fn shared(path: &Path, held: &Mutex<Weak<Redb>>) -> Arc<Redb> {
    if let Some(live) = held.lock().unwrap().upgrade() {
        return live;
    }
    let opened = Arc::new(Redb::open(path).await.unwrap());
    *held.lock().unwrap() = Arc::downgrade(&opened);
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_a_file_behaves() {
    let (_folder, path) = scratch();
    let held = Mutex::new(Weak::new());
    store::suite(async || shared(&path, &held).await as _).await;
    store::watch_suite(async || shared(&path, &held).await).await;
    let store = shared(&path, &held).await;
    probe_f(&*store).await;
    s19(store).await;
}

#[tokio::test]
async fn one_at_a_time_has_a_file_open() {
    let (_folder, path) = scratch();
    let first = Redb::open(&path).await.unwrap();
    put(&first, &key(&["a"]), b"1").await;
    let refused = Redb::open(&path).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(cause)
        if cause.to_string().contains("open already") && cause.to_string().contains("store.redb")));
    drop(first);
    let again = Redb::open(&path).await.unwrap();
    assert_eq!(value(&again, &key(&["a"])).await.unwrap(), b"1");
}

#[tokio::test]
async fn what_was_answered_is_in_the_file_when_the_process_dies() {
    let (folder, path) = scratch();
    let store = Redb::open(&path).await.unwrap();
    let mut last = put(&store, &key(&["a"]), b"0").await;
    for n in 1..20_u8 {
        let next = store.swap(&key(&["a"]), Some(last), Some(&[n]), Keep::Forever).await;
        last = next.unwrap().unwrap();
        // The file as it is now is what a process that is killed leaves: nothing says goodbye.
        let left = folder.path().join(format!("left-{n}.redb"));
        fs::copy(&path, &left).unwrap();
        let found = Redb::open(&left).await.unwrap();
        assert_eq!(value(&found, &key(&["a"])).await.unwrap(), [n]);
        let next = found.swap(&key(&["a"]), Some(last), None, Keep::Forever).await.unwrap();
        assert!(next.is_some_and(|next| next != last));
    }
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let (_folder, path) = scratch();
    for content in [&b""[..], b"x", b"{\"used\": true}", &[0; 5000], &[0xff; 5000]] {
        fs::write(&path, content).unwrap();
        let refused = Redb::open(&path).await.unwrap_err();
        assert!(is_corrupt(&refused, "store.redb"), "{} bytes: {refused:?}", content.len());
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let other = redb::Database::create(path.with_extension("other")).unwrap();
    drop(other);
    let refused = Redb::open(path.with_extension("other")).await.unwrap_err();
    assert!(is_corrupt(&refused, "store.other"), "{refused:?}");
    let nowhere = Redb::open("/nowhere/at/all").await.unwrap_err();
    assert!(matches!(nowhere, StoreError::Unavailable(_)), "{nowhere:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_form_is_refused() {
    let (_folder, path) = scratch();
    drop(Redb::open(&path).await.unwrap());
    let raw = redb::Database::open(&path).unwrap();
    let transaction = raw.begin_write().unwrap();
    let facts = TableDefinition::<&str, u64>::new("facts");
    transaction.open_table(facts).unwrap().insert("form", 2).unwrap();
    transaction.commit().unwrap();
    drop(raw);
    let refused = Redb::open(&path).await.unwrap_err();
    assert!(is_newer(&refused, "store.redb"), "{refused:?}");
}

#[tokio::test]
async fn what_may_be_forgotten_makes_room_and_what_may_not_does_not() {
    let (_folder, path) = scratch();
    let store = Redb::open(&path).await.unwrap();
    let (gone, kept) = (key(&["gone"]), key(&["kept"]));
    store.swap(&gone, None, Some(b"x"), keep(1_000, Duration::ZERO)).await.unwrap().unwrap();
    let hour = Duration::from_secs(3600);
    store.swap(&kept, None, Some(b"x"), keep(1_000, hour)).await.unwrap().unwrap();
    // The clock jumps ten years ahead: only what was to be kept for no time at all is past.
    let jumped = 10 * 365 * 24 * 3_600_000;
    store.swap(&key(&["new"]), None, Some(b"x"), keep(jumped, hour)).await.unwrap().unwrap();
    assert!(value(&store, &gone).await.is_none(), "it was to be kept for no time");
    assert!(value(&store, &kept).await.is_some(), "a clock that jumped forgot an entry");
    assert!(store.swap(&kept, None, Some(b"y"), Keep::Forever).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_finishes_what_it_took() {
    let (_folder, path) = scratch();
    for round in 0..5_u8 {
        let store = Arc::new(Redb::open(&path).await.unwrap());
        let swaps = Vec::from_iter((0..50_u8).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { put(&*store, &key(&[&format!("{round}-{n}")]), &[n]).await })
        }));
        drop(store);
        for swap in swaps {
            swap.await.unwrap();
        }
        let store = Redb::open(&path).await.unwrap();
        for n in 0..50_u8 {
            assert_eq!(value(&store, &key(&[&format!("{round}-{n}")])).await.unwrap(), [n]);
        }
    }
}
