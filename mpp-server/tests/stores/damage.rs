//! Entries and files that do not read: an error that names them, and nothing else is affected.

use std::{fs, path::Path, sync::Arc};

use mpp_core::store::{Keep, Key, Store, StoreError};
use mpp_server::store::{Postgres, Redb, Redis};
use mpp_testkit::services;
use redb::{ReadableTable as _, TableDefinition};
use sqlx::Connection as _;

use super::{is_corrupt, is_newer, key, keys, put, value};

/// Three entries, of which the second is then damaged.
async fn three(store: &dyn Store) -> [Key; 3] {
    let three = ["a", "b", "c"].map(|name| key(&["damage", name]));
    for key in &three {
        put(store, key, b"value").await;
    }
    three
}

/// What any store does about a second entry that does not read.
async fn is_contained(store: &dyn Store, is_named: fn(&StoreError, &str) -> bool) {
    let [a, b, c] = ["a", "b", "c"].map(|name| key(&["damage", name]));
    let read = store.get(&b).await.unwrap_err();
    assert!(is_named(&read, "damage/b"), "{read:?}");
    // It is neither absent nor used (S19), and is not written over: what it was may be found out yet.
    let swapped = store.swap(&b, None, Some(b"new"), Keep::Forever).await;
    assert!(swapped.as_ref().map_or_else(|e| is_named(e, "damage/b"), Option::is_none));
    assert!(store.get(&b).await.is_err());
    for other in [&a, &c] {
        assert_eq!(value(store, other).await.unwrap(), b"value");
        let version = store.get(other).await.unwrap().unwrap().version;
        let next = store.swap(other, Some(version), Some(b"value"), Keep::Forever).await;
        assert!(next.unwrap().is_some());
    }
    for limit in [1, 2, 100] {
        let mut found = store.scan(&key(&["damage"]), None, limit).await.unwrap();
        if limit < 2 {
            found.extend(store.scan(&key(&["damage"]), Some(&a), limit).await.unwrap());
        }
        assert_eq!(keys(&found), ["damage/a", "damage/c"]);
    }
}

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");

fn overwrite(path: &Path, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let raw = redb::Database::open(path).unwrap();
    let transaction = raw.begin_write().unwrap();
    {
        let mut entries = transaction.open_table(ENTRIES).unwrap();
        let mut stored = entries.get(key).unwrap().unwrap().value().to_vec();
        change(&mut stored);
        entries.insert(key, &*stored).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn s19_a_damaged_entry_of_a_file_is_named_and_alone() {
    for cut in [0, 1, 4, 5, 12, 13, 28, 30] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        three(&Redb::open(&path).await.unwrap()).await;
        overwrite(&path, "damage/b", |stored| stored.truncate(cut));
        is_contained(&Redb::open(&path).await.unwrap(), is_corrupt).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    three(&Redb::open(&path).await.unwrap()).await;
    overwrite(&path, "damage/b", |stored| *stored.last_mut().unwrap() ^= 1);
    is_contained(&Redb::open(&path).await.unwrap(), is_corrupt).await;
    overwrite(&path, "damage/b", |stored| stored[0] = 9);
    is_contained(&Redb::open(&path).await.unwrap(), is_newer).await;
}

/// Whatever is wrong with the file: an error, or the truth.
async fn says_it_or_tells_the_truth(path: &Path, written: &[Key], how: &str) {
    let store = match Redb::open(path).await {
        Ok(store) => store,
        Err(error) => {
            assert!(is_corrupt(&error, "damaged.redb"), "{how}: {error:?}");
            return;
        }
    };
    for key in written {
        match store.get(key).await {
            Ok(Some(entry)) => assert_eq!(entry.value, key.as_str().as_bytes(), "{how}"),
            Ok(None) => panic!("{how}: {key:?} was forgotten without a word"),
            Err(_) => {}
        }
    }
    let _ = store.scan(&key(&["damage"]), None, 100).await;
    let _ = store.swap(&key(&["damage", "new"]), None, Some(b"x"), Keep::Forever).await;
}

#[tokio::test]
async fn s19_a_torn_or_damaged_file_is_named_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, damaged) = (folder.path().join("store.redb"), folder.path().join("damaged.redb"));
    let written = Vec::from_iter((0..200).map(|n| key(&["damage", &n.to_string()])));
    {
        let store = Redb::open(&path).await.unwrap();
        for key in &written {
            put(&store, key, key.as_str().as_bytes()).await;
        }
    }
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 63, 64, 320, 4095, 4096, 8192, whole.len() / 2, whole.len() - 1] {
        fs::write(&damaged, &whole[..length]).unwrap();
        says_it_or_tells_the_truth(&damaged, &written, &format!("cut to {length}")).await;
    }
    // One byte in each stretch of the file: what lies there is found out by nobody but redb.
    for at in (0..whole.len()).step_by(whole.len() / 400) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        fs::write(&damaged, &flipped).unwrap();
        says_it_or_tells_the_truth(&damaged, &written, &format!("byte {at}")).await;
    }
}

#[tokio::test]
async fn s19_a_damaged_entry_on_redis_is_named_and_alone() {
    let server = services::Redis::start().await.unwrap();
    let mut raw = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let store = Redis::connect(server.url()).await.unwrap();
    three(&store).await;
    let name = "{mpp:mpp}:entry:damage/b";
    let whole: Vec<u8> = redis::cmd("GET").arg(name).query_async(&mut raw).await.unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [b"garbage", &b""[..], &whole[..8], &flipped] {
        redis::cmd("SET").arg(name).arg(damaged).exec_async(&mut raw).await.unwrap();
        is_contained(&store, is_corrupt).await;
    }
    let mut newer = whole.clone();
    newer[0] = 9;
    redis::cmd("SET").arg(name).arg(newer).exec_async(&mut raw).await.unwrap();
    is_contained(&store, is_newer).await;
    redis::cmd("DEL").arg(name).exec_async(&mut raw).await.unwrap();
    redis::cmd("LPUSH").arg(name).arg("x").exec_async(&mut raw).await.unwrap();
    is_contained(&store, is_corrupt).await;

    redis::cmd("SET").arg("{mpp:mpp}:form").arg("2").exec_async(&mut raw).await.unwrap();
    let refused = Redis::connect(server.url()).await.unwrap_err();
    assert!(is_newer(&refused, "{mpp:mpp}:form"), "{refused:?}");
    redis::cmd("SET").arg("{mpp:mpp}:form").arg("two").exec_async(&mut raw).await.unwrap();
    let refused = Redis::connect(server.url()).await.unwrap_err();
    assert!(is_corrupt(&refused, "{mpp:mpp}:form"), "{refused:?}");
}

#[tokio::test]
async fn s19_a_damaged_entry_in_postgres_is_named_and_alone() {
    let server = services::Postgres::start().await.unwrap();
    let mut raw = sqlx::PgConnection::connect(server.url()).await.unwrap();
    let store = Arc::new(Postgres::connect(server.url()).await.unwrap());
    three(&*store).await;
    for (damaged, is_named) in [
        ("'garbage'", is_corrupt as fn(&StoreError, &str) -> bool),
        ("''", is_corrupt),
        ("'\\x0102'", is_corrupt),
        ("'\\x010000000078'", is_corrupt),
        ("'\\x090000000078'", is_newer),
    ] {
        let statement = format!("UPDATE mpp_entry SET value = {damaged} WHERE key = 'damage/b'");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut raw).await.unwrap();
        is_contained(&*store, is_named).await;
    }
    let newer = "INSERT INTO mpp_migrations VALUES (2, 'newer', now(), true, '', 0)";
    sqlx::query(newer).execute(&mut raw).await.unwrap();
    let refused = Postgres::connect(server.url()).await.unwrap_err();
    assert!(is_newer(&refused, "mpp_"), "{refused:?}");
    sqlx::query("DELETE FROM mpp_migrations WHERE version = 2").execute(&mut raw).await.unwrap();
    sqlx::query("UPDATE mpp_migrations SET checksum = ''").execute(&mut raw).await.unwrap();
    let refused = Postgres::connect(server.url()).await.unwrap_err();
    assert!(is_corrupt(&refused, "mpp_"), "{refused:?}");
}
