//! Pay once, look freely: who paid is known by a proof of the account, and nobody else is taken for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use mpp_client::ResponseExt;
use mpp_core::credential::Source;
use mpp_server::{Gate, Paid};
use mpp_tempo::charge::Mode;
use mpp_testkit::devnet::ACCOUNTS;

use super::{
    shop::{Shop, client, moved_to},
    stage::{Stage, key},
};

/// A shop that runs jobs: starting one costs ten cents, looking at one costs the word of who started it.
async fn jobs(stage: &Stage) -> Shop {
    let jobs: Arc<Mutex<HashMap<usize, Source>>> = Arc::default();
    let till = Arc::new(stage.verifier());
    let counter = stage.counter().with(|router, gate: &Gate| {
        let owners = jobs.clone();
        let start = async move |paid: Paid| {
            let mut jobs = owners.lock().unwrap();
            let id = jobs.len();
            jobs.insert(id, paid.payer.unwrap());
            id.to_string()
        };
        let poll = async move |Path(id): Path<usize>, who: Paid| match (
            jobs.lock().unwrap().get(&id),
            &who.payer,
        ) {
            (Some(owner), Some(who)) if owner == who => Ok("half done"),
            _ => Err(StatusCode::NOT_FOUND),
        };
        let charge = gate.charge("0.10 usd").unwrap().via(&till).layer().unwrap();
        let identify = gate.identify("usd").via(&till).layer().unwrap();
        router
            .route("/jobs", post(start).layer(charge))
            .route("/jobs/{id}", get(poll).layer(identify))
    });
    counter.open().await
}

#[tokio::test]
async fn who_paid_once_looks_as_often_as_they_like_and_nobody_else_does() {
    let stage = Stage::new().await;
    let shop = jobs(&stage).await;
    for mode in [Mode::Pull, Mode::Push] {
        let before = stage.books().await;
        let client = client(stage.payer().mode(mode));
        let started = client.post(shop.url("/jobs")).send().await.unwrap();
        assert!(started.receipt().is_some());
        let path = format!("/jobs/{}", started.text().await.unwrap());
        assert_eq!(stage.books().await.since(before), [-100_000, 100_000, 0, 0]);
        let mined = stage.mined().await;
        for _ in 0..3 {
            let looked = client.get(shop.url(&path)).send().await.unwrap();
            assert_eq!(looked.status(), 200);
            assert_eq!(looked.text().await.unwrap(), "half done");
        }
        // One proof, as often as it is shown, while its challenge lasts.
        let proof = shop.sign(&stage.payer(), &path).await;
        for _ in 0..3 {
            let looked = shop.show(&path, &proof).await;
            assert_eq!((looked.code(), looked.body.as_str()), (200, "half done"));
        }
        assert_eq!(
            (stage.books().await.since(before), stage.mined().await),
            ([-100_000, 100_000, 0, 0], mined)
        );

        let stranger = || stage.payer_of(key(ACCOUNTS[5].key.hex()));
        let theirs = shop.sign(&stranger(), &path).await;
        assert_eq!(shop.show(&path, &theirs).await.code(), 404);
        let mut lying = theirs.clone();
        lying.source = proof.source.clone();
        shop.show(&path, &lying).await.is_refused(402, "bad-signature");
        let relayed = moved_to(&proof, &shop.ask(&path).await);
        shop.show(&path, &relayed).await.is_refused(402, "bad-signature");
        assert_eq!(shop.request(http::Method::GET, &path, None).await.code(), 402);
        shop.show("/jobs/99", &proof).await.is_refused(402, "wrong-scope");
    }
    // A proof starts nothing.
    let proof = shop.sign(&stage.payer(), "/jobs/0").await;
    let started = shop.request(http::Method::POST, "/jobs", Some(&proof)).await;
    started.is_refused(402, "wrong-scope");
    stage.clock.advance(301);
    shop.show("/jobs/0", &proof).await.is_refused(402, "expired");
}
