//! After a crash: what the chain took is found by the challenge alone, and what it did not take is called so only late.

use mpp_core::payer::{Became, Recall};
use mpp_tempo::{
    chain::rpc::{Answer, Block, Cause, RpcError, Search, Told, Trial},
    charge::Mode,
};

use super::*;

/// Sends, and loses the answer: or loses what was to be sent.
#[derive(Debug)]
struct Lossy {
    node: Arc<HttpRpc>,
    sends: bool,
}

impl Rpc for Lossy {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.node.chain_id()
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.node.gas_price()
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.node.latest_block()
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.node.estimate_gas(trial)
    }
    fn call(&self, trial: Trial) -> Answer<'_, alloy::primitives::Bytes> {
        self.node.call(trial)
    }
    fn send(&self, raw: alloy::primitives::Bytes) -> Answer<'_, Receipt> {
        Box::pin(async move {
            if self.sends {
                self.node.send(raw).await?;
            }
            Err(RpcError::Unanswered(Cause::from("lost")))
        })
    }
    fn receipt(&self, hash: alloy::primitives::B256) -> Answer<'_, Option<Receipt>> {
        self.node.receipt(hash)
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.node.block(number)
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.node.logs(search)
    }
    fn broadcast(&self, raw: alloy::primitives::Bytes) -> Answer<'_, alloy::primitives::B256> {
        self.node.broadcast(raw)
    }
    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        self.node.simulate(trial)
    }
}

fn pusher(chain: &Devnet, sends: bool) -> Payer {
    let lossy = Arc::new(Lossy { node: node(chain), sends });
    Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, lossy).mode(Mode::Push)
}

#[tokio::test]
async fn s14_a_lost_answer_is_looked_up_and_the_payment_shown() {
    let chain = Devnet::start().await.unwrap();
    let before = held(&chain, RECIPIENT.address).await;
    let payment = pay(&pusher(&chain, true), &challenge("order-1", json!({}))).await.unwrap();
    assert!(matches!(payment.payload, Payload::Hash { .. }));
    assert_eq!(held(&chain, RECIPIENT.address).await - before, PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn a_payment_that_was_pushed_before_a_crash_is_recalled_and_none_is_made_up() {
    let chain = Devnet::start().await.unwrap();
    let (asked, other) = (challenge("order-1", json!({})), challenge("order-2", json!({})));
    let payer = pusher(&chain, true).named("my-agent");
    let payment = pay(&payer, &asked).await.unwrap();
    // The process is gone; another one knows the challenge and nothing else.
    let again = pusher(&chain, true);
    let recalled = again.recall(&asked.read().unwrap()).await.unwrap();
    let Recall::Paid(found) = recalled else { panic!("{recalled:?}") };
    assert_eq!(found.payload, payment.payload);
    let became = again.became(&asked.read().unwrap(), &found.payload).await.unwrap();
    assert_eq!(became, Became::Paid);

    assert!(matches!(again.recall(&other.read().unwrap()).await.unwrap(), Recall::Unknown));
    chain.rpc("evm_increaseTime", json!([340])).await.unwrap();
    chain.rpc("evm_mine", json!([])).await.unwrap();
    assert!(matches!(again.recall(&other.read().unwrap()).await.unwrap(), Recall::Never));
    assert!(matches!(again.recall(&asked.read().unwrap()).await.unwrap(), Recall::Paid(_)));
    chain.stop().await;
}

#[tokio::test]
async fn what_never_left_was_not_paid_once_its_time_is_over() {
    let chain = Devnet::start().await.unwrap();
    let before = held(&chain, RECIPIENT.address).await;
    let (payer, asked) = (pusher(&chain, false), challenge("order-1", json!({})));
    let (paid, ()) = tokio::join!(pay(&payer, &asked), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        chain.rpc("evm_increaseTime", json!([60])).await.unwrap();
        chain.rpc("evm_mine", json!([])).await.unwrap();
    });
    assert_eq!(paid.unwrap_err().funds, mpp_core::payer::Funds::Untouched);
    assert_eq!(held(&chain, RECIPIENT.address).await, before);
    chain.stop().await;
}
