//! Whole sessions: a shop that sells by the unit, a client that opens, draws on, tops up and closes a channel, and the chain.

use std::sync::Arc;

use axum::routing::get;
use mpp_client::{Journal, Limits, ResponseExt, SessionExt, Wallet};
use mpp_core::store::Memory;
use mpp_server::{Gate, Session, sse::Sse};
use mpp_tempo::{
    Chain,
    session::{ChannelStore, Payer, Teller},
};
use mpp_testkit::devnet::{BETA_USD, PATH_USD, PAYER, RECIPIENT};

use super::{
    shop::{Shop, client_of},
    stage::{Stage, key},
};

const UNIT: u128 = 100;

impl Stage {
    fn teller(&self) -> Teller {
        let payee = Arc::new(key(RECIPIENT.key.hex()));
        Teller::new(&Chain::MODERATO, RECIPIENT.address, payee, self.node.clone()).unwrap()
    }

    fn session_payer(&self) -> Payer {
        let payer = Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, self.node.clone());
        payer.fees_in(BETA_USD).unwrap().deposit("0.001").unwrap().top_up("0.0005").unwrap()
    }

    /// Sells answers at `/data`, and tokens at `/tokens`, a hundredth of a cent each.
    async fn metering(&self) -> (Shop, Gate) {
        let teller = Arc::new(self.teller());
        let counter = self.counter().with(|router, gate| {
            let data = gate.session("0.0001 usd per request").unwrap().via(&teller);
            let tokens = gate.session("0.0001 usd per token").unwrap().via(&teller);
            let answer = async |_: Session| "an answer";
            let stream = async |session: Session| -> Sse {
                session.sse_with(async |tap| {
                    for n in 0..30 {
                        tap.charge(1).await?;
                        tap.send(format!("token {n}")).await?;
                    }
                    Ok(())
                })
            };
            router
                .route("/data", data.layer().unwrap().guard(get(answer)))
                .route("/tokens", tokens.metered().layer().unwrap().guard(get(stream)))
        });
        let gate = counter.gate.clone();
        (counter.open().await, gate)
    }
}

fn wallet(payer: Payer) -> Wallet {
    Wallet::new(Limits::usd("10").unwrap()).payer(payer)
}

#[tokio::test]
async fn what_is_bought_by_the_unit_is_paid_to_the_unit() {
    let stage = Stage::new().await;
    let (shop, _) = stage.metering().await;
    let store: Arc<Memory> = Arc::new(Memory::volatile());
    let kept = ChannelStore::open(store.clone(), "client").await.unwrap();
    let client = client_of(wallet(stage.session_payer().keeping(kept)));
    let before = stage.held(PATH_USD, PAYER.address).await;
    for n in 1..=12_u128 {
        let answer = client.get(shop.url("/data")).send().await.unwrap();
        let receipt = answer.receipt().unwrap().clone();
        assert_eq!(receipt.extra["spent"], (n * UNIT).to_string(), "{n}");
        assert_eq!(answer.text().await.unwrap(), "an answer");
    }
    // Ten in the deposit and five more were not enough for what a stream takes beside.
    let response = client.get(shop.url("/tokens")).send().await.unwrap();
    let mut events = response.events().unwrap();
    let mut tokens = 0;
    while let Some(event) = events.next().await {
        assert_eq!(event.unwrap().data, format!("token {tokens}"));
        tokens += 1;
    }
    assert_eq!(tokens, 30);
    // The process ends, and another goes on.
    let kept = ChannelStore::open(store.clone(), "client").await.unwrap();
    let client = client_of(wallet(stage.session_payer().keeping(kept)));
    client.get(shop.url("/data")).send().await.unwrap().receipt().unwrap();
    let closed = client.close_session(shop.url("/data")).await.unwrap().unwrap();
    assert_eq!(closed.extra["spent"], (43 * UNIT).to_string());
    assert!(closed.extra.contains_key("txHash"));
    assert_eq!(before - stage.held(PATH_USD, PAYER.address).await, 43 * UNIT);
    assert!(client.close_session(shop.url("/data")).await.unwrap().is_none());
}

#[tokio::test]
async fn requests_at_once_share_one_channel() {
    let stage = Stage::new().await;
    let (shop, _) = stage.metering().await;
    let client = client_of(wallet(stage.session_payer()));
    let before = stage.held(PATH_USD, PAYER.address).await;
    let all: Vec<_> = (0..8)
        .map(|_| {
            let (client, url) = (client.clone(), shop.url("/data"));
            tokio::spawn(async move { client.get(url).send().await.map(|r| r.status()) })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap().unwrap(), 200);
    }
    assert_eq!(before - stage.held(PATH_USD, PAYER.address).await, 10 * UNIT);
    let closed = client.close_session(shop.url("/data")).await.unwrap().unwrap();
    assert_eq!(closed.extra["spent"], (8 * UNIT).to_string());
    assert_eq!(before - stage.held(PATH_USD, PAYER.address).await, 8 * UNIT);
}

#[tokio::test]
async fn a_channel_that_its_server_ended_is_followed_by_another_within_the_same_request() {
    let stage = Stage::new().await;
    let (shop, gate) = stage.metering().await;
    let journal = Journal::open(Memory::volatile(), "client").await.unwrap();
    for wallet in [wallet(stage.session_payer()), wallet(stage.session_payer()).journal(journal)] {
        let client = client_of(wallet);
        let before = stage.held(PATH_USD, PAYER.address).await;
        let buy = async || {
            let answer = client.get(shop.url("/data")).send().await.unwrap();
            let receipt = answer.receipt().unwrap().clone();
            assert_eq!(answer.text().await.unwrap(), "an answer");
            receipt.extra["channelId"].as_str().unwrap().to_owned()
        };
        let first = buy().await;
        assert_eq!(buy().await, first);
        gate.close_account(&first).await.unwrap().unwrap();
        let held = stage.held(PATH_USD, PAYER.address).await;
        assert_eq!(before - held, 2 * UNIT);
        let second = buy().await;
        assert_ne!(second, first);
        assert_eq!(held - stage.held(PATH_USD, PAYER.address).await, 10 * UNIT);
        let closed = client.close_session(shop.url("/data")).await.unwrap().unwrap();
        assert_eq!(closed.extra["spent"], UNIT.to_string());
    }
}
