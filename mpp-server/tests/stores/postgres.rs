//! The store in a Postgres database.

use std::{sync::Arc, time::Duration};

use mpp_core::store::{Keep, Store};
use mpp_server::store::Postgres;
use mpp_testkit::{services, store};
use sqlx::{Connection as _, PgConnection};

use super::{keep, key, keys, probe_f, put, s19, value};

async fn run(raw: &mut PgConnection, statement: &'static str) -> u64 {
    sqlx::query(statement).execute(raw).await.unwrap().rows_affected()
}

async fn ask(raw: &mut PgConnection, statement: &'static str) -> bool {
    sqlx::query_scalar(statement).fetch_one(raw).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_postgres_behaves() {
    let server = services::Postgres::start().await.unwrap();
    let open = async || Arc::new(Postgres::connect(server.url()).await.unwrap());
    store::suite(async || open().await as _).await;
    store::watch_suite(open).await;
    let store = open().await;
    probe_f(&*store).await;
    s19(store.clone()).await;
    let password = server.url().split([':', '@']).nth(2).unwrap();
    assert!(!format!("{store:?}").contains(password));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connect_to_a_new_database_at_once_and_names_keep_them_apart() {
    let server = services::Postgres::start().await.unwrap();
    let url = Arc::<str>::from(server.url());
    let names = ["shop", "shop'", "\0", ""];
    let opened = names.map(|name| {
        let url = Arc::clone(&url);
        tokio::spawn(async move {
            let store = Postgres::connect_named(&url, name).await.unwrap();
            put(&store, &key(&["k"]), name.as_bytes()).await;
            store
        })
    });
    for (opened, name) in opened.into_iter().zip(names) {
        let store = opened.await.unwrap();
        assert_eq!(value(&store, &key(&["k"])).await.unwrap(), name.as_bytes());
        assert_eq!(store.scan(&key(&["k"]), None, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_database_counts_lifetimes_and_what_is_past_is_absent_and_swept() {
    let server = services::Postgres::start().await.unwrap();
    let store = Postgres::connect(server.url()).await.unwrap();
    let mut raw = PgConnection::connect(server.url()).await.unwrap();
    let hour = Duration::from_secs(3600);
    let k = key(&["e", "k"]);
    let mut version = None;
    for since in [i64::MIN, 0, 1_000_000_000_000, 4_000_000_000_000, i64::MAX] {
        let next = store.swap(&k, version, Some(b"x"), keep(since, hour)).await.unwrap();
        version = Some(next.unwrap());
        let long = "SELECT coalesce(until > now() + interval '1 hour', true) FROM mpp_entry";
        assert!(ask(&mut raw, long).await, "less than an hour is left of one from {since}");
    }
    // A writer that was swept over does not win by the version it had.
    put(&store, &key(&["e", "kept"]), b"x").await;
    let expire = "UPDATE mpp_entry SET until = now() - interval '1 second' WHERE key = 'e/k'";
    assert_eq!(run(&mut raw, expire).await, 1);
    assert!(value(&store, &k).await.is_none());
    assert!(store.swap(&k, version, Some(b"y"), Keep::Forever).await.unwrap().is_none());
    assert!(store.swap(&k, version, None, Keep::Forever).await.unwrap().is_none());
    assert!(store.swap(&k, None, None, Keep::Forever).await.unwrap().is_some());
    assert_eq!(keys(&store.scan(&key(&["e"]), None, 9).await.unwrap()), ["e/kept"]);
    let again = store.swap(&k, None, Some(b"z"), keep(0, hour)).await.unwrap();
    assert!(again.is_some() && again != version);
    assert_eq!(value(&store, &k).await.unwrap(), b"z");

    assert_eq!(run(&mut raw, expire).await, 1);
    for n in 0..300 {
        put(&store, &key(&["other", &n.to_string()]), b"x").await;
    }
    // The sweep is beside the swaps, so it is waited for; it is the row that ends this.
    let swept = "SELECT NOT EXISTS (SELECT FROM mpp_entry WHERE key = 'e/k')";
    while !ask(&mut raw, swept).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(value(&store, &key(&["e", "kept"])).await.is_some());
}
