//! A chain, its accounts, and what moved on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mpp_core::{Timestamp, store::Memory, time::Clock};
use mpp_tempo::{
    Chain, HttpRpc, Key,
    chain::{
        rpc::{Rpc, http::Patience},
        transaction::{Call, Transaction},
    },
    charge::{Payer, Verifier, sponsor::Sponsor},
};
use mpp_testkit::devnet::{BETA_USD, Devnet, PATH_USD, PAYER, RECIPIENT, SPLIT, SPONSOR};
use serde_json::{Value, json};

/// A cent, in base units.
pub(super) const CENT: u128 = 10_000;

/// The system's clock, and so many milliseconds: what comes later need not be waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead(Arc<AtomicI64>);

impl Ahead {
    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let millis = i64::try_from(since.as_millis()).unwrap();
        Timestamp::from_unix_millis(millis + self.0.load(Ordering::SeqCst))
    }
}

/// A chain of a test's own, with what a Tempo node has and the bare program lacks; and the server's clock.
pub(super) struct Stage {
    pub(super) chain: Devnet,
    pub(super) node: Arc<HttpRpc>,
    pub(super) clock: Ahead,
}

/// What four accounts hold of PathUSD.
#[derive(Clone, Copy, Debug)]
pub(super) struct Books([u128; 4]);

impl Books {
    /// By how much payer, recipient, sponsor and split have gained since.
    pub(super) fn since(self, before: Self) -> [i128; 4] {
        let gain =
            |now: u128, then: u128| i128::try_from(now).unwrap() - i128::try_from(then).unwrap();
        std::array::from_fn(|i| gain(self.0[i], before.0[i]))
    }
}

impl Stage {
    pub(super) async fn new() -> Self {
        let chain = Devnet::start_complete().await.unwrap();
        let node = node(&chain);
        Self { chain, node, clock: Ahead::default() }
    }

    /// Connections of its own to the node, for what runs elsewhere.
    pub(super) fn another_line(&self) -> Arc<HttpRpc> {
        node(&self.chain)
    }

    /// Sells to the recipient, in PathUSD.
    pub(super) fn verifier(&self) -> Verifier {
        self.verifier_at(self.node.clone())
    }

    /// The same, over another way to the node.
    pub(super) fn verifier_at(&self, node: Arc<dyn Rpc>) -> Verifier {
        Verifier::new(&Chain::MODERATO, RECIPIENT.address, node)
            .unwrap()
            .settle_deadline(Duration::from_secs(3))
            .clock(Arc::new(self.clock.clone()))
    }

    pub(super) fn sponsor(&self) -> Sponsor {
        self.sponsor_on(Arc::new(Memory::volatile()))
    }

    /// A sponsor whose books outlive it.
    pub(super) fn sponsor_on(&self, books: Arc<Memory>) -> Sponsor {
        Sponsor::new(&Chain::MODERATO, Arc::new(key(SPONSOR.key.hex())), books)
            .unwrap()
            .clock(Arc::new(self.clock.clone()))
    }

    pub(super) fn sponsoring(&self) -> Verifier {
        self.verifier().sponsored_by(self.sponsor()).unwrap()
    }

    /// The development payer, whose PathUSD moves by prices alone.
    pub(super) fn payer(&self) -> Payer {
        self.payer_of(key(PAYER.key.hex())).fees_in(BETA_USD).unwrap()
    }

    pub(super) fn payer_of(&self, key: Key) -> Payer {
        Payer::new(key, &Chain::MODERATO, self.node.clone())
    }

    /// An account that nobody has heard of, and that holds exactly so much.
    pub(super) async fn holding(&self, n: u8, token: &str, amount: u128) -> Key {
        let key = Key::new([n; 32]).unwrap();
        self.chain.fund(token, &key.address().to_string(), amount).await.unwrap();
        key
    }

    pub(super) async fn held(&self, token: &str, account: &str) -> u128 {
        self.chain.balance_of(token, account).await.unwrap()
    }

    /// What payer, recipient, sponsor and split hold.
    pub(super) async fn books(&self) -> Books {
        self.books_of(PAYER.address).await
    }

    pub(super) async fn books_of(&self, payer: &str) -> Books {
        let mut held = [0; 4];
        let accounts = [payer, RECIPIENT.address, SPONSOR.address, SPLIT.address];
        for (held, account) in held.iter_mut().zip(accounts) {
            *held = self.held(PATH_USD, account).await;
        }
        Books(held)
    }

    /// How many transactions the chain has mined.
    pub(super) async fn mined(&self) -> usize {
        let latest = self.node.latest_block().await.unwrap().number;
        let mut mined = 0;
        for number in 0..=latest {
            let asked = json!([format!("{number:#x}"), false]);
            let block = self.chain.rpc("eth_getBlockByNumber", asked).await.unwrap();
            mined += block["transactions"].as_array().map_or(0, Vec::len);
        }
        mined
    }

    /// The receipt that the chain has of a transaction.
    pub(super) async fn receipt(&self, hash: &str) -> Value {
        self.chain.rpc("eth_getTransactionReceipt", json!([hash])).await.unwrap()
    }

    /// Lets the chain's time and the server's pass.
    pub(super) async fn wait(&self, seconds: i64) {
        self.clock.advance(seconds);
        self.chain.rpc("evm_increaseTime", json!([seconds])).await.unwrap();
        self.chain.rpc("evm_mine", json!([])).await.unwrap();
    }

    /// Has an account do something of its own.
    pub(super) async fn run(&self, by: &Key, calls: Vec<Call>) -> String {
        let transaction = Transaction {
            max_fee_per_gas: 41_000_000_000,
            gas_limit: 8_000_000,
            calls,
            valid_before: u64::try_from(self.clock.now().unix_seconds() + 20)
                .ok()
                .and_then(std::num::NonZeroU64::new),
            fee_token: Some(mpp_tempo::chain::BETA_USD),
            ..Transaction::on(42_431)
        };
        let receipt = self.node.send(transaction.sign(by).encode().into()).await.unwrap();
        assert!(receipt.success);
        format!("{:#x}", receipt.hash)
    }
}

fn node(chain: &Devnet) -> Arc<HttpRpc> {
    let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(3) };
    Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience))
}

pub(super) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
