//! The servers are real servers, keep their data when killed, and are gone when they should be.

use std::net::TcpStream;

use mpp_testkit::services::{Postgres, Redis};

/// Where a URL points: `127.0.0.1:PORT`.
fn address(url: &str) -> String {
    let rest = url.rsplit('@').next().unwrap_or_default();
    rest.split('/').next().unwrap_or_default().to_owned()
}

fn answers(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn a_killed_server_comes_back_where_it_was_and_a_stopped_one_is_gone() {
    let (mut redis, mut postgres) = tokio::try_join!(Redis::start(), Postgres::start()).unwrap();
    let (at_redis, at_postgres) = (address(redis.url()), address(postgres.url()));
    assert!(answers(&at_redis) && answers(&at_postgres));
    for _ in 0..2 {
        tokio::join!(redis.kill(), postgres.kill());
        assert!(!answers(&at_redis) && !answers(&at_postgres));
        redis.restart().await.unwrap();
        postgres.restart().await.unwrap();
        assert!(answers(&at_redis) && answers(&at_postgres));
    }
    redis.stop().await;
    drop(postgres);
    assert!(!answers(&at_redis) && !answers(&at_postgres));
}
