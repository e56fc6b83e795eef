//! A way to the node that breaks on demand: a double, and named as one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use alloy::primitives::{B256, Bytes};
use mpp_tempo::{
    HttpRpc,
    chain::rpc::{Answer, Block, Cause, NodeError, Receipt, Rpc, RpcError, Search, Told, Trial},
};

/// What nodes say, and nobody else should.
pub(super) const WORDS: &str =
    "Tempo transaction error: insufficient fee token balance: have 31337, need 50000 (0xfeedc0de)";

/// How a question ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The node says no, with a code, and has done nothing.
    Refuses(i64),
    /// No answer comes; the node never heard of it.
    NeverHears,
    /// The node never hears of it, and never answers.
    Hangs,
    /// The node does it, and its answer is lost.
    DoesAndIsMute,
    /// The node does it, and never answers.
    DoesAndHangs,
    /// Somebody else sends this a moment before.
    Overtaken(Bytes),
}

/// Which question breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    LatestBlock,
    Call,
    Simulate,
    Send,
    Receipt,
}

/// The node behind a line that breaks, in an order that a test sets.
#[derive(Debug)]
pub(super) struct Faulty {
    node: Arc<HttpRpc>,
    faults: Mutex<VecDeque<(Asked, Act)>>,
}

impl Faulty {
    pub(super) fn new(node: &Arc<HttpRpc>) -> Arc<Self> {
        Arc::new(Self { node: node.clone(), faults: Mutex::default() })
    }

    /// The next time the node is asked this, that happens.
    pub(super) fn next(&self, asked: Asked, act: Act) {
        self.faults.lock().unwrap().push_back((asked, act));
    }

    /// From now on nothing breaks.
    pub(super) fn heals(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Whether everything that was to break has.
    pub(super) fn is_quiet(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    fn fault(&self, asked: Asked) -> Option<Act> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(what, _)| *what == asked)?;
        faults.remove(at).map(|(_, act)| act)
    }

    fn broken<'a, T: Send + 'a>(&'a self, asked: Asked, answer: Answer<'a, T>) -> Answer<'a, T> {
        let Some(act) = self.fault(asked) else { return answer };
        let lost = || RpcError::Unanswered(Cause::from(WORDS));
        Box::pin(async move {
            match act {
                Act::Refuses(code) => Err(RpcError::Refused(NodeError::new(code, WORDS))),
                Act::NeverHears => Err(lost()),
                Act::Hangs => std::future::pending().await,
                Act::DoesAndIsMute => answer.await.and(Err(lost())),
                Act::DoesAndHangs => {
                    let _ = answer.await;
                    std::future::pending().await
                }
                Act::Overtaken(first) => {
                    assert!(self.node.send(first).await?.success);
                    answer.await
                }
            }
        })
    }
}

impl Rpc for Faulty {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.node.chain_id()
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.node.gas_price()
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.broken(Asked::LatestBlock, self.node.latest_block())
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.node.estimate_gas(trial)
    }
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        self.broken(Asked::Call, self.node.call(trial))
    }
    fn send(&self, raw: Bytes) -> Answer<'_, Receipt> {
        self.broken(Asked::Send, self.node.send(raw))
    }
    fn receipt(&self, hash: B256) -> Answer<'_, Option<Receipt>> {
        self.broken(Asked::Receipt, self.node.receipt(hash))
    }
    fn broadcast(&self, raw: Bytes) -> Answer<'_, B256> {
        self.node.broadcast(raw)
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.node.block(number)
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.node.logs(search)
    }
    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        self.broken(Asked::Simulate, self.node.simulate(trial))
    }
}
