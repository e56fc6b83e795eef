//! What a hostile review found, as tests: nodes that are silent or behind, and wishes that come late.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use mpp_core::payer::{Funds, Wish};
use mpp_tempo::{
    chain::rpc::{Answer, Block, Receipt as Mined, RpcError, Search, Told, Trial},
    session::{HighestVoucher, Snapshot},
};

use super::*;

/// A node behind which another one stands now and then: one that does not answer a call, or is some blocks behind.
#[derive(Debug)]
struct Fickle(Arc<HttpRpc>, AtomicU8);

const WELL: u8 = 0;
const SILENT_ONCE: u8 = 1;
const BEHIND: u8 = 2;

impl Fickle {
    fn of(shop: &Shop) -> Arc<Self> {
        Arc::new(Self(shop.node.clone(), AtomicU8::new(WELL)))
    }
    fn payer(self: &Arc<Self>) -> Payer {
        Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, self.clone())
    }
}

impl Rpc for Fickle {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.0.chain_id()
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.0.gas_price()
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.0.latest_block()
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.0.estimate_gas(trial)
    }
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        match self.1.load(Relaxed) {
            SILENT_ONCE => {
                self.1.store(WELL, Relaxed);
                Box::pin(async { Err(RpcError::Status(502)) })
            }
            BEHIND => Box::pin(async { Ok(vec![0; 96].into()) }),
            _ => self.0.call(trial),
        }
    }
    fn send(&self, raw: Bytes) -> Answer<'_, Mined> {
        self.0.send(raw)
    }
    fn receipt(&self, hash: alloy::primitives::B256) -> Answer<'_, Option<Mined>> {
        self.0.receipt(hash)
    }
    fn broadcast(&self, raw: Bytes) -> Answer<'_, alloy::primitives::B256> {
        self.0.broadcast(raw)
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.0.block(number)
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.0.logs(search)
    }
    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        self.0.simulate(trial)
    }
}

/// A store was lost; the challenge shows the payer's own channel with its own voucher, and the node does not answer one call: once
/// it does, the channel is taken up.
#[tokio::test]
async fn s14_a_proven_channel_that_the_node_is_silent_about_locks_no_second_deposit() {
    let shop = Shop::new().await;
    let first = shop.payer();
    let opening = pay(&first, &challenge("first", json!({}))).await.unwrap();
    let receipt = shop.serve(&opening).await;
    let snapshot = snapshot(&opening.payload);
    accept(opening, receipt);
    let node = Fickle::of(&shop);
    let payer = node.payer();
    let asked = challenge("again", json!({"sessionSnapshot": snapshot}));
    node.1.store(SILENT_ONCE, Relaxed);
    let made = pay(&payer, &asked).await;
    let action = made.as_ref().map(|payment| payment.payload.action());
    assert!(!matches!(action, Ok("open")), "a second deposit beside a channel that is alive");
    assert_eq!(made.unwrap_err().funds, Funds::Untouched);
    assert_eq!(pay(&payer, &asked).await.unwrap().payload.action(), "voucher");
}

/// The server says 410 twice; the chain shows the channel the first time, and a node that is behind says "absent" the second.
#[tokio::test]
async fn s10_a_node_that_is_behind_makes_no_channel_end() {
    let shop = Shop::new().await;
    let node = Fickle::of(&shop);
    let payer = node.payer();
    let asked = challenge("behind", json!({}));
    buy(&shop, &payer, &asked).await;
    refuse(pay(&payer, &asked).await.unwrap(), "session/channel-not-found", json!({}));
    pay(&payer, &asked).await.expect_err("the chain has it still");
    node.1.store(BEHIND, Relaxed);
    let made = pay(&payer, &asked).await;
    let action = made.as_ref().map(|payment| payment.payload.action());
    assert!(!matches!(action, Ok("open")), "a second deposit; known now: {:?}", payer.channels());
    assert_eq!(payer.channels().len(), 1);
    // Once the node is well again, so is the channel.
    node.1.store(WELL, Relaxed);
    pay(&payer, &asked).await.expect_err("the server says that it is gone");
    assert_eq!(payer.channels().len(), 1);
}

/// Twenty first requests at once, all of them quoted before any pays: a policy is asked for what each would stake alone, and one
/// deposit leaves.
#[tokio::test]
async fn requests_at_once_put_one_deposit_at_stake() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = challenge("twenty", json!({}));
    let quoted: Vec<u128> = (0..20).map(|_| exposed(&payer, &asked).0).collect();
    let opening = pay(&payer, &asked).await.unwrap();
    let receipt = shop.serve(&opening).await;
    accept(opening, receipt);
    // As many as the deposit is for.
    for _ in 1..10 {
        let voucher = pay(&payer, &asked).await.unwrap();
        assert_eq!(voucher.payload.action(), "voucher");
        assert_eq!(voucher.exposed, Some(Amount::ZERO));
        let (all, _) = voucher.payload.voucher().unwrap();
        let receipt = shop.receipt(voucher.payload.channel_id(), all.get(), None);
        accept(voucher, receipt);
    }
    let channels = payer.channels();
    assert_eq!((channels.len(), channels[0].deposit.get()), (1, 10 * PRICE));
    assert!(quoted.iter().all(|quoted| *quoted == 10 * PRICE), "{quoted:?}");
}

fn snapshot(payload: &Payload) -> Snapshot {
    let (amount, signature) = payload.voucher().unwrap();
    Snapshot {
        accepted_cumulative: amount,
        chain_id: 42431,
        channel_id: payload.channel_id().to_owned(),
        close_requested_at: None,
        deposit: Amount::new(10 * PRICE),
        descriptor: payload.descriptor().unwrap().clone(),
        escrow: CHANNEL_RESERVE.to_string(),
        highest_voucher: Some(HighestVoucher {
            channel_id: payload.channel_id().to_owned(),
            cumulative_amount: amount,
            signature: signature.to_owned(),
        }),
        required_cumulative: Amount::ZERO,
        settled: Amount::ZERO,
        spent: Amount::new(PRICE),
        units: None,
    }
}

/// A wish made while the deposit ran low is granted late (a lock, or a fresh challenge, was waited for), after a stream's need has
/// added to the deposit already.
#[tokio::test]
async fn s14_a_wish_that_was_met_meanwhile_adds_no_second_top_up() {
    let shop = Shop::new().await;
    let payer = shop.payer().top_up_below("0.0095").unwrap();
    let asked = challenge("late", json!({}));
    buy(&shop, &payer, &asked).await;
    let demand = asked.read().unwrap();
    let wish = payer.wishes(&demand).expect("nine of ten are left");
    let Wish::TopUp(_) = wish else { panic!("{wish:?}") };
    let within = Allowance { up_to: Amount::new(1_000_000), to: site() };
    let channel = payer.channels()[0].id.clone();
    let need = Wish::Need(json!({
        "acceptedCumulative": "10000", "channelId": channel,
        "deposit": "10000", "requiredCumulative": "11000",
    }));
    // A top-up, and then a voucher: the need is met.
    for _ in 0..2 {
        let step = payer.grant(&demand, &need, &within).await.unwrap().unwrap();
        let receipt = shop.serve(&step).await;
        accept(step, receipt);
    }
    assert_eq!(payer.channels()[0].deposit.get(), 20_000);
    assert_eq!(payer.wishes(&demand), None, "nothing is wished any more");
    let second = payer.grant(&demand, &wish, &within).await.unwrap();
    assert!(second.is_none(), "a second top-up for one need: {second:?}");
    // Asked for by a person, so much more is so much more.
    let asked_for = payer.grant(&demand, &wish, &within).await.unwrap();
    assert_eq!(asked_for.unwrap().payload.action(), "topUp");
}

/// Ids and descriptors are on the chain for all to read. Another server that shows them, without a voucher, changes nothing of the
/// channel, and is not told its name from then on.
#[tokio::test]
async fn a_snapshot_of_somebody_else_says_nothing_of_a_channel_that_is_known() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let opening = pay(&payer, &challenge("known", json!({}))).await.unwrap();
    let mut shown = snapshot(&opening.payload);
    let receipt = shop.serve(&opening).await;
    accept(opening, receipt);
    // One more request is signed for, and its answer is lost.
    drop(pay(&payer, &challenge("lost", json!({}))).await.unwrap());
    let before = payer.channels();
    shown.highest_voucher = None;
    (shown.accepted_cumulative, shown.spent) = (Amount::new(9 * PRICE), Amount::new(9 * PRICE));
    let evil = Site { origin: "https://evil.example.com".into(), resource: "/".into() };
    drop(payer.remember(&evil, &shown.to_header()).await);
    assert_eq!(payer.channels(), before);
    assert_eq!(payer.hint(&evil), None);
    assert_eq!(payer.hint(&site()), Some(before[0].id.clone()));
}
