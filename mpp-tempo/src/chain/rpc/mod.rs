//! The node: the few questions a payment asks it, and what its silence means.

use std::{fmt, pin::Pin};

use alloy::primitives::{Address, B256, Bytes, U256};

use super::transaction::Call;

pub mod http;
pub(crate) mod json;
mod pinned;

pub use self::{
    json::Malformed,
    pinned::{PinError, Pinned},
};

/// A node's answer, on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RpcError>> + Send + 'a>>;

/// A Tempo node. Implement it to bring another transport, a pool of nodes, or a test's double.
///
/// Every future ends: an implementation sets its own deadlines and reports them as [`RpcError::Unanswered`].
pub trait Rpc: fmt::Debug + Send + Sync {
    /// The chain the node is on (`eth_chainId`).
    fn chain_id(&self) -> Answer<'_, u64>;

    /// A price per unit of gas that is mined soon, in attodollars (`eth_gasPrice`).
    fn gas_price(&self) -> Answer<'_, u128>;

    /// The latest block; its time is the clock that validity windows are judged by (`eth_getBlockByNumber`).
    fn latest_block(&self) -> Answer<'_, Block>;

    /// Units of gas a trial would use (`eth_estimateGas`).
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64>;

    /// Runs a trial and returns its output; a revert is [`RpcError::Refused`] (`eth_call`).
    fn call(&self, trial: Trial) -> Answer<'_, Bytes>;

    /// Sends a transaction and waits until it is mined (`eth_sendRawTransactionSync`).
    ///
    /// Only an error that [says so](RpcError::took_nothing) means that the transaction was not taken.
    /// Nodes drop invalid transactions without a word and answer an error after half a minute.
    fn send(&self, raw: Bytes) -> Answer<'_, Receipt>;

    /// The receipt of a mined transaction; `None` if there is none (yet) (`eth_getTransactionReceipt`).
    fn receipt(&self, hash: B256) -> Answer<'_, Option<Receipt>>;

    /// Sends a transaction and waits for nothing but its hash (`eth_sendRawTransaction`). Of its errors the same holds as of
    /// those of [`Rpc::send`].
    fn broadcast(&self, raw: Bytes) -> Answer<'_, B256>;

    /// A mined block by its height; `None` if there is none (yet) (`eth_getBlockByNumber`).
    fn block(&self, number: u64) -> Answer<'_, Option<Block>>;

    /// Log entries that fit a search, oldest first (`eth_getLogs`).
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>>;

    /// Runs a trial whole, all of its calls in order, and says whether it would succeed; a revert is
    /// [`RpcError::Refused`] (`tempo_simulateV1`). Nodes that do not offer it say so: [`RpcError::is_not_offered`].
    fn simulate(&self, trial: Trial) -> Answer<'_, ()>;
}

/// What a node answers that does not know a method: for implementations of [`Rpc`] over something that lacks one.
pub fn not_offered<'a, T>() -> Answer<'a, T> {
    let error = NodeError::new(NO_METHOD, "the method is not offered");
    Box::pin(async { Err(RpcError::Refused(error)) })
}

/// The JSON-RPC code of a method that does not exist.
const NO_METHOD: i64 = -32601;

/// The JSON-RPC code of a call that the contract itself refused.
const REVERTED: i64 = 3;

/// Calls to be run without being sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Who calls; a read needs nobody.
    pub from: Option<Address>,
    /// What is called. Some nodes run only the first of several, or none.
    pub calls: Vec<Call>,
    /// The token fees would be paid in.
    pub fee_token: Option<Address>,
    /// Unix seconds before which it would be valid; makes it a 0x76 transaction with an expiring nonce.
    pub valid_before: Option<u64>,
    /// Who would pay the fee, where that is not who calls.
    pub fee_payer: Option<Address>,
}

impl Trial {
    /// One read of a contract, by nobody.
    pub fn read(contract: Address, data: Bytes) -> Self {
        Self { calls: vec![Call { to: contract, value: U256::ZERO, data }], ..Self::default() }
    }
}

/// A mined block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
    /// Attodollars per unit of gas, where the node says so.
    pub base_fee: Option<u128>,
}

/// What became of a mined transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub hash: B256,
    /// Whether it did what it says; if not, only the fee was taken.
    pub success: bool,
    /// The account that signed it.
    pub from: Address,
    /// The block it is in.
    pub block_hash: B256,
    /// That block's height.
    pub block_number: u64,
    /// What its calls wrote, in order.
    pub logs: Vec<Log>,
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract that wrote it.
    pub address: Address,
    /// The event and its indexed arguments; at most four.
    pub topics: Vec<B256>,
    /// The other arguments.
    pub data: Bytes,
}

/// Which log entries to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The contract that wrote them.
    pub address: Address,
    /// What their topics must be, in order; `None` is any.
    pub topics: Vec<Option<B256>>,
    /// The first block to look in.
    pub from_block: u64,
    /// The last one, itself included.
    pub to_block: u64,
}

/// A log entry, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The entry.
    pub log: Log,
    /// The transaction that wrote it.
    pub transaction: B256,
    /// The height of its block.
    pub block_number: u64,
}

/// Why there is no answer, told apart by what may have happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The request never left: nothing happened.
    #[error("the node cannot be reached")]
    Unreachable(#[source] Cause),
    /// The request was sent, or may have been, and no whole answer came: anything may have happened.
    #[error("the node did not answer")]
    Unanswered(#[source] Cause),
    /// The node answered with an HTTP status that is no success, and no JSON-RPC error.
    #[error("the node answered with HTTP status {0}")]
    Status(u16),
    /// The node answered with a JSON-RPC error.
    #[error("{0}")]
    Refused(NodeError),
    /// The node answered something else than was asked for.
    #[error("the node's answer is malformed")]
    Malformed(#[from] json::Malformed),
}

impl RpcError {
    /// Whether the node does not know the method it was asked for, and so says nothing about what was asked.
    pub fn is_not_offered(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code == NO_METHOD)
    }

    /// Whether the contract itself refused what was tried.
    pub fn is_revert(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code == REVERTED)
    }

    /// Whether the node certainly did not take a transaction it was just sent.
    ///
    /// Says nothing about an earlier sending of the same one, which may be why this one was refused: look for
    /// its receipt before calling a payment failed. `false` means unknown, and a second payment would be one too many.
    pub fn took_nothing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => matches!(status, 401 | 403 | 404 | 405 | 413 | 429),
            Self::Refused(error) => error.took_nothing(),
            Self::Unanswered(_) | Self::Malformed(_) => false,
        }
    }
}

/// What lies under an error, for logs.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A JSON-RPC error. Displays its code alone: the text is the node's, and may name accounts and balances.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeError {
    code: i64,
    text: String,
}

impl NodeError {
    /// An error as the node wrote it.
    pub fn new(code: i64, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The JSON-RPC error code.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The node's words: for our own logs, never for a payer or a payee.
    pub fn private_text(&self) -> &str {
        &self.text
    }

    /// Malformed, unknown method, rejected. Every other code has been seen on transactions that were mined, and a
    /// rejection because the node has the transaction already is no rejection.
    fn took_nothing(&self) -> bool {
        match self.code {
            -32602..=-32600 => true,
            -32003 => !["already", "known", "replay"].iter().any(|word| self.text.contains(word)),
            _ => false,
        }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node refused with code {}", self.code)
    }
}

impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeError").field("code", &self.code).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
