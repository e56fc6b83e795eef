//! The store on a Redis server.

use std::{sync::Arc, time::Duration};

use mpp_core::store::{Keep, Store};
use mpp_server::store::Redis;
use mpp_testkit::{services, store};
use redis::{FromRedisValue, aio::MultiplexedConnection, cmd};

use super::{keep, key, keys, probe_f, put, s19, value};

async fn raw(server: &services::Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn ask<T: FromRedisValue>(raw: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(raw).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_redis_behaves() {
    let server = services::Redis::start().await.unwrap();
    let open = async || Arc::new(Redis::connect(server.url()).await.unwrap());
    store::suite(async || open().await as _).await;
    store::watch_suite(open).await;
    let store = open().await;
    probe_f(&*store).await;
    s19(store.clone()).await;
    // The server forgets the scripts; who uses them does not notice.
    let mut raw = raw(&server).await;
    ask::<()>(&mut raw, &["SCRIPT", "FLUSH"]).await;
    put(&*store, &key(&["after", "flush"]), b"x").await;
    let password = server.url().split([':', '@']).nth(2).unwrap();
    assert!(!format!("{store:?}").contains(password));
}

#[tokio::test]
async fn stores_of_different_names_know_nothing_of_each_other() {
    let server = services::Redis::start().await.unwrap();
    let names = ["shop", "shop}", "{shop}", "shop%7D"];
    for name in names {
        let store = Redis::connect_named(server.url(), name).await.unwrap();
        put(&store, &key(&["k"]), name.as_bytes()).await;
    }
    for name in names {
        let store = Redis::connect_named(server.url(), name).await.unwrap();
        assert_eq!(value(&store, &key(&["k"])).await.unwrap(), name.as_bytes());
        assert_eq!(store.scan(&key(&["k"]), None, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_server_counts_lifetimes_and_a_wrong_clock_shortens_none() {
    let server = services::Redis::start().await.unwrap();
    let store = Redis::connect(server.url()).await.unwrap();
    let mut raw = raw(&server).await;
    let hour = Duration::from_secs(3600);
    let k = key(&["k"]);
    let mut version = None;
    for since in [i64::MIN, 0, 1_000_000_000_000, 4_000_000_000_000, i64::MAX] {
        let next = store.swap(&k, version, Some(b"x"), keep(since, hour)).await.unwrap();
        version = Some(next.unwrap());
        let left: i64 = ask(&mut raw, &["PTTL", "{mpp:mpp}:entry:k"]).await;
        assert!(left == -1 || left > 3_600_000, "{left} ms are left of an hour from {since}");
    }
    store.swap(&k, version, Some(b"x"), Keep::Forever).await.unwrap().unwrap();
    assert_eq!(ask::<i64>(&mut raw, &["PTTL", "{mpp:mpp}:entry:k"]).await, -1);
}

#[tokio::test]
async fn what_expired_leaves_nothing_behind() {
    let server = services::Redis::start().await.unwrap();
    let store = Redis::connect(server.url()).await.unwrap();
    let mut raw = raw(&server).await;
    for name in ["a", "b", "c", "d"] {
        put(&store, &key(&["e", name]), b"x").await;
    }
    let expire = async |raw: &mut MultiplexedConnection, name: &str| {
        let entry = format!("{{mpp:mpp}}:entry:e/{name}");
        assert_eq!(ask::<i64>(raw, &["DEL", &entry]).await, 1);
    };
    for name in ["a", "b", "d"] {
        expire(&mut raw, name).await;
    }
    assert_eq!(ask::<i64>(&mut raw, &["ZCARD", "{mpp:mpp}:keys"]).await, 4);
    let found = store.scan(&key(&["e"]), None, 1).await.unwrap();
    assert_eq!(keys(&found), ["e/c"]);
    let found = store.scan(&key(&["e"]), None, 9).await.unwrap();
    assert_eq!(keys(&found), ["e/c"]);
    assert_eq!(ask::<i64>(&mut raw, &["ZCARD", "{mpp:mpp}:keys"]).await, 1);

    // Without any scan, writing what expires clears away the names of what has.
    for n in 0..500 {
        let name = n.to_string();
        let brief = keep(0, Duration::from_secs(60));
        store.swap(&key(&["e", &name]), None, Some(b"x"), brief).await.unwrap().unwrap();
        expire(&mut raw, &name).await;
    }
    let left = ask::<i64>(&mut raw, &["ZCARD", "{mpp:mpp}:keys"]).await;
    assert!(left < 20, "{left} names of entries that have expired");
}
