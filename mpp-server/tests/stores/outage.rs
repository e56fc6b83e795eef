//! Servers that are killed, come back, or never answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mpp_core::store::{Keep, Key, Store, StoreError, Watch};
use mpp_server::store::{Postgres, Redis};
use mpp_testkit::services;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{key, put, value};

/// Writers that note what was answered, and go on whatever the answer was.
struct Writers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<(Vec<Key>, usize)>>,
}

impl Writers {
    fn start(store: &Arc<dyn Store>) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = Vec::from_iter((0..8).map(|writer| {
            let (store, stop, count) = (Arc::clone(store), stop.clone(), answered.clone());
            tokio::spawn(async move {
                let (mut answered, mut failed) = (Vec::new(), 0);
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let key = key(&["outage", &writer.to_string(), &n.to_string()]);
                    match store.swap(&key, None, Some(b"x"), Keep::Forever).await {
                        Ok(Some(_)) => {
                            answered.push(key);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(None) => panic!("a swap was sent twice"),
                        Err(StoreError::Unavailable(_)) => failed += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (answered, failed)
            })
        }));
        Self { stop, answered, tasks }
    }

    /// Waits until so many more swaps were answered.
    async fn write(&self, more: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        while self.answered.load(Ordering::Relaxed) < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Everything that was answered is there.
    async fn lost_nothing(self, store: &dyn Store) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = 0;
        for task in self.tasks {
            let (answered, failed) = task.await.unwrap();
            failures += failed;
            for key in answered {
                assert!(value(store, &key).await.is_some(), "{key:?} was answered, and is lost");
            }
        }
        assert!(failures > 0, "nobody noticed that the server was killed");
    }
}

/// Waits until somebody waits: there is nothing to see of it.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn wait(store: Arc<dyn Watch>, key: Key, seen: mpp_core::store::Version) -> JoinHandle<()> {
    tokio::spawn(async move {
        while store.changed(&key, Some(seen)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_loses_nothing_it_answered() {
    let mut server = services::Redis::start().await.unwrap();
    let store = Arc::new(Redis::connect(server.url()).await.unwrap());
    let watched = key(&["watched"]);
    let seen = put(&*store, &watched, b"1").await;
    let waiter = wait(store.clone(), watched.clone(), seen);
    settle().await;
    let writers = Writers::start(&(store.clone() as _));
    for _ in 0..2 {
        writers.write(100).await;
        server.kill().await;
        let down = store.get(&watched).await.unwrap_err();
        assert!(matches!(down, StoreError::Unavailable(_)), "{down:?}");
        server.restart().await.unwrap();
        writers.write(100).await;
    }
    writers.lost_nothing(&*store).await;
    store.swap(&watched, Some(seen), Some(b"2"), Keep::Forever).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(30), waiter).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_killed_loses_nothing_it_answered() {
    let mut server = services::Postgres::start().await.unwrap();
    let store = Arc::new(Postgres::connect(server.url()).await.unwrap());
    let watched = key(&["watched"]);
    let seen = put(&*store, &watched, b"1").await;
    let waiter = wait(store.clone(), watched.clone(), seen);
    settle().await;
    let writers = Writers::start(&(store.clone() as _));
    writers.write(100).await;
    server.kill().await;
    let down = store.get(&watched).await.unwrap_err();
    assert!(matches!(down, StoreError::Unavailable(_)), "{down:?}");
    server.restart().await.unwrap();
    writers.write(100).await;
    writers.lost_nothing(&*store).await;
    let other = Postgres::connect(server.url()).await.unwrap();
    other.swap(&watched, Some(seen), Some(b"2"), Keep::Forever).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(30), waiter).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable_and_not_a_hang() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let (redis, postgres) =
        tokio::join!(async { Redis::connect(&format!("redis://127.0.0.1:{port}")).await }, async {
            Postgres::connect(&format!("postgres://u:p@127.0.0.1:{port}/d")).await
        },);
    assert!(matches!(redis, Err(StoreError::Unavailable(_))), "{redis:?}");
    assert!(matches!(postgres, Err(StoreError::Unavailable(_))), "{postgres:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    for url in ["redis://127.0.0.1:1", "nonsense", "http://127.0.0.1"] {
        let refused = Redis::connect(url).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{url}: {refused:?}");
    }
    for url in ["postgres://127.0.0.1:1/d", "nonsense", "http://127.0.0.1"] {
        let refused = Postgres::connect(url).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{url}: {refused:?}");
    }
}
