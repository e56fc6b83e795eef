//! A real Tempo EVM on this machine: started by a test, gone with it.
//!
//! The chain is `anvil` 1.7.1 in its Tempo mode: TIP-20 tokens, fee AMM, expiring nonces and fee
//! payers are the real ones. The channel reserve of TIP-1034 and the escrow of sessions v1 are contracts of ours. It mines at once and ticks once a second, because an idle chain clock
//! would refuse the short validity windows of expiring nonces.
//!
//! ```no_run
//! # async fn run() -> Result<(), mpp_testkit::devnet::DevnetError> {
//! use mpp_testkit::devnet::{Devnet, PATH_USD, PAYER};
//!
//! let chain = Devnet::start().await?;
//! let before = chain.balance_of(PATH_USD, PAYER.address).await?;
//! // point the code under test at `chain.rpc_url()`
//! chain.stop().await;
//!
//! // With faucet, sponsor and all else of a Tempo node that the program lacks:
//! let chain = Devnet::start_complete().await?;
//! # drop(chain);
//! # Ok(())
//! # }
//! ```

mod account;
mod channel;
mod contracts;
mod error;
mod front;
mod install;
mod process;
mod rpc;

use std::time::Duration;

use serde_json::{Value, json};

pub use self::account::{ACCOUNTS, DevAccount, DevKey, FAUCET, PAYER, RECIPIENT, SPLIT, SPONSOR};
pub use self::channel::{ChannelState, EscrowState};
pub use self::contracts::{CHANNEL_RESERVE, MAINNET_SESSION_ESCROW, SESSION_ESCROW};
pub use self::error::DevnetError;
use self::{
    front::{Front, Place},
    process::Process,
    rpc::Rpc,
};

/// The six-decimal TIP-20 token that validators and most accounts take fees in.
pub const PATH_USD: &str = "0x20c0000000000000000000000000000000000000";
/// A six-decimal TIP-20 token; the fee token of account 0.
pub const ALPHA_USD: &str = "0x20c0000000000000000000000000000000000001";
/// A six-decimal TIP-20 token; the fee token of [`PAYER`], so its PathUSD moves by prices alone.
pub const BETA_USD: &str = "0x20c0000000000000000000000000000000000002";
/// A six-decimal TIP-20 token; the fee token of [`RECIPIENT`].
pub const THETA_USD: &str = "0x20c0000000000000000000000000000000000003";

/// All four tokens, by the names they go by.
pub const TOKENS: [(&str, &str); 4] = [
    ("pathUSD", PATH_USD),
    ("alphaUSD", ALPHA_USD),
    ("betaUSD", BETA_USD),
    ("thetaUSD", THETA_USD),
];

/// What kind of chain to start. The default is what the public testnet looks like, without what [`Options::complete`]
/// adds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The chain id: 42431 is the testnet's, 4217 the mainnet's.
    pub chain_id: u64,
    /// The Tempo hard fork. `T4` is the newest this node knows, and the first with everything a
    /// charge needs is `T1`.
    pub hardfork: String,
    /// Time between two blocks that nobody asked for. Transactions are mined at once regardless.
    pub block_time: Duration,
    /// How long the node may take to answer its first call.
    pub deadline: Duration,
    /// Whether the node's gaps are filled, by a server in front of it: `calls` are run in `eth_call`,
    /// `eth_estimateGas` and `eth_fillTransaction`; Tempo transactions are simulated (`tempo_simulateV1`,
    /// `eth_simulateV1`) and do not kill the node; there are a faucet (`tempo_fundAddress`) and a sponsor
    /// (`eth_signRawTransaction`, `feePayer: true`), which is [`SPONSOR`]; `eth_sendRawTransactionSync` takes
    /// a time to wait; receipts name who paid the fee; channels can be opened
    /// in [`CHANNEL_RESERVE`], by what is signed elsewhere. It speaks HTTP alone: WebSocket RPC is the node's.
    pub complete: bool,
    /// Where to listen on 127.0.0.1; `None` takes a free port.
    pub port: Option<u16>,
    /// How long the node may take to answer anything, before the server in front of it answers that it
    /// did not. The node itself takes half a minute to say that it dropped a transaction.
    pub patience: Duration,
    /// Whether `eth_fillTransaction` with `feePayer: true` signs as the sponsor at once, as relays of sponsors do.
    /// A server that sponsors by itself may refuse what is sponsored already: clients that let their node
    /// fill in such a transaction, and send on what it filled in, want it off. Of no account unless the chain is complete.
    pub sponsor_fills: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 42_431,
            hardfork: "T4".to_owned(),
            block_time: Duration::from_secs(1),
            deadline: Duration::from_secs(20),
            complete: false,
            port: None,
            patience: Duration::from_secs(35),
            sponsor_fills: true,
        }
    }
}

/// A running chain. Dropping it stops the node, and so does the death of this process, however it
/// dies: a test that panics or is killed leaves nothing behind.
#[derive(Debug)]
pub struct Devnet {
    rpc: Rpc,
    node_url: String,
    chain_id: u64,
    front: Option<Front>,
    process: Process,
}

impl Devnet {
    /// Starts a chain with the default [`Options`].
    ///
    /// The node is the file that `MPP_ANVIL` names, else an `anvil` 1.7.1 on the `PATH`, else the npm package `@foundry-rs/anvil` under
    /// cargo's target directory, installed there when it is missing.
    ///
    /// # Errors
    /// Says what is missing (npm, a network, a binary for this platform) or why the node would not
    /// start.
    pub async fn start() -> Result<Self, DevnetError> {
        Self::start_with(Options::default()).await
    }

    /// Starts a chain whose gaps are filled, as [`Options::complete`] says; otherwise as [`Devnet::start`].
    ///
    /// # Errors
    /// As [`Devnet::start`].
    pub async fn start_complete() -> Result<Self, DevnetError> {
        Self::start_with(Options { complete: true, ..Options::default() }).await
    }

    /// Starts a chain of the caller's making; otherwise as [`Devnet::start`].
    ///
    /// # Errors
    /// As [`Devnet::start`]; an unknown hard fork is [`DevnetError::Exited`] with the node's words, and so is a
    /// port that is taken, or [`DevnetError::Front`] where the chain is complete.
    pub async fn start_with(options: Options) -> Result<Self, DevnetError> {
        let anvil = install::anvil().await?;
        let place = options.complete.then(|| Place::take(options.port.unwrap_or_default()));
        let place = place.transpose().map_err(DevnetError::Front)?;
        let (process, port) = Process::start(&anvil, &options).await?;
        let node_url = format!("http://127.0.0.1:{port}");
        let rpc = Rpc::new(node_url.clone())?;
        let answered = tokio::time::timeout(options.deadline, rpc.call("eth_chainId", json!([])));
        answered.await.map_err(|_| DevnetError::Deadline { after: options.deadline })??;
        // Until its first block, the node judges validity windows in the first second of 1970.
        rpc.call("evm_mine", json!([])).await?;
        let chain_id = options.chain_id;
        for (at, code) in contracts::of(chain_id) {
            rpc.call("anvil_setCode", json!([at.to_string(), code])).await?;
        }
        let front = place.map(|place| Front::start(place, &node_url, &options));
        let front = front.transpose().map_err(DevnetError::Front)?;
        let rpc = match &front {
            Some(front) => Rpc::new(front.url())?,
            None => rpc,
        };
        Ok(Self { rpc, node_url, chain_id, front, process })
    }

    /// Where the chain listens: `http://127.0.0.1:PORT`.
    pub fn rpc_url(&self) -> &str {
        self.rpc.url()
    }

    /// Where the node itself listens: the same as [`Devnet::rpc_url`] unless the chain is
    /// [complete](Options::complete). WebSocket RPC is on the same port.
    pub fn node_url(&self) -> &str {
        &self.node_url
    }

    /// The chain id that transactions must be signed for.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// What `address` holds of `token`, in base units.
    ///
    /// # Errors
    /// [`DevnetError::Address`] unless both are 20 bytes of `0x` hex; otherwise what the node said.
    pub async fn balance_of(&self, token: &str, address: &str) -> Result<u128, DevnetError> {
        const BALANCE_OF: &str = "0x70a08231";
        let (token, owner) = (address_digits(token)?, address_digits(address)?);
        let call =
            json!({ "to": format!("0x{token}"), "data": format!("{BALANCE_OF}{owner:0>64}") });
        let word = self.rpc("eth_call", json!([call, "latest"])).await?;
        word.as_str()
            .and_then(|word| word.strip_prefix("0x"))
            .filter(|digits| digits.len() == 64)
            .and_then(|digits| u128::from_str_radix(digits, 16).ok())
            .ok_or_else(|| DevnetError::Answer { method: "eth_call".to_owned() })
    }

    /// Gives `address` some of `token`, in base units, out of [`FAUCET`]; done when it is mined.
    ///
    /// # Errors
    /// [`DevnetError::Address`] as in [`Devnet::balance_of`]; [`DevnetError::Reverted`] when the
    /// transfer failed on the chain.
    pub async fn fund(&self, token: &str, address: &str, amount: u128) -> Result<(), DevnetError> {
        const TRANSFER: &str = "0xa9059cbb";
        let (token, to) = (address_digits(token)?, address_digits(address)?);
        let transfer = json!({
            "from": FAUCET.address,
            "to": format!("0x{token}"),
            "data": format!("{TRANSFER}{to:0>64}{amount:064x}"),
            "gas": "0xf4240",
        });
        let mut hash = self.rpc("eth_sendTransaction", json!([transfer])).await?;
        for tried in 1..=400 {
            // The node takes some transactions and drops them without a word: one that it knows no more is sent again.
            if tried % 40 == 0
                && self.rpc("eth_getTransactionByHash", json!([hash])).await?.is_null()
            {
                hash = self.rpc("eth_sendTransaction", json!([transfer])).await?;
            }
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
            match receipt.get("status").and_then(Value::as_str) {
                Some("0x1") => return Ok(()),
                Some(_) => return Err(DevnetError::Reverted),
                None => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        Err(DevnetError::Deadline { after: Duration::from_secs(10) })
    }

    /// Calls any JSON-RPC method of the node and returns its `result`.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`] carries the node's code and message.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value, DevnetError> {
        self.rpc.call(method, params).await
    }

    /// Remembers the whole state of the chain, its clock included.
    ///
    /// # Errors
    /// What the node said.
    pub async fn snapshot(&self) -> Result<Snapshot, DevnetError> {
        self.rpc("evm_snapshot", json!([])).await.map(Snapshot)
    }

    /// Goes back to a snapshot, which is used up by that.
    ///
    /// # Errors
    /// [`DevnetError::Answer`] when the node no longer knows the snapshot.
    pub async fn revert(&self, to: Snapshot) -> Result<(), DevnetError> {
        match self.rpc("evm_revert", json!([to.0])).await? {
            Value::Bool(true) => Ok(()),
            _ => Err(DevnetError::Answer { method: "evm_revert".to_owned() }),
        }
    }

    /// Waits until the node ends by itself: what a program that only hosts a chain does.
    pub async fn ended(&self) {
        self.process.ended().await;
    }

    /// Stops the node and waits until it is gone.
    pub async fn stop(self) {
        drop(self.front);
        self.process.stop().await;
    }
}

/// A state of the chain to go back to, once.
#[derive(Debug)]
pub struct Snapshot(Value);

/// The forty hex digits of an address, in lower case.
fn address_digits(address: &str) -> Result<String, DevnetError> {
    address
        .strip_prefix("0x")
        .filter(|digits| digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_ascii_lowercase)
        .ok_or_else(|| DevnetError::Address { given: address.to_owned() })
}
