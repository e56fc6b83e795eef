//! Which methods the front answers itself, and who answers them.

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{calls, faucet, fault::Fault, fill, node::Node, reserve, send, simulate, sponsor};
use crate::devnet::Options;

/// The node dies of these once a Tempo transaction is what they are about.
const FATAL: [&str; 4] = [
    "eth_getRawTransactionByHash",
    "eth_getRawTransactionByBlockHashAndIndex",
    "eth_getRawTransactionByBlockNumberAndIndex",
    "debug_getRawTransaction",
];

/// How often a call is tried again that the node tried on a block of before.
const AGAIN: u8 = 3;

/// After these the chain may be one without our contracts.
const UNDOING: [&str; 4] = ["evm_revert", "anvil_revert", "anvil_reset", "anvil_loadState"];

/// What answers need: the node, and an order among transactions whose nonces the node assigns.
#[derive(Debug)]
pub(super) struct Methods {
    pub(super) node: Node,
    /// Held while the node finds a nonce: asked twice at once, it gives the same one twice.
    pub(super) nonces: Mutex<()>,
    /// Held while the reserve is told of a transaction: a stand-in must not take a real one's place.
    pub(super) contexts: Mutex<()>,
    pub(super) chain_id: u64,
    /// Whether the sponsor signs what is filled for it.
    pub(super) sponsor_fills: bool,
}

impl Methods {
    pub(super) fn new(node: Node, options: &Options) -> Self {
        let Options { chain_id, sponsor_fills, .. } = *options;
        Self { node, nonces: Mutex::default(), contexts: Mutex::default(), chain_id, sponsor_fills }
    }

    /// The result of a method; `None` where the node's own answer is right.
    pub(super) async fn answer(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Option<Value>, Fault> {
        let params = params.as_array().map(Vec::as_slice).unwrap_or_default();
        let tried = tried(method, params);
        for _ in 0..AGAIN {
            reserve::expect(self, &tried).await?;
            match self.ask(method, params).await {
                // While a block is mined the node tries some calls on the one before it, which was not told yet.
                Err(fault) if !tried.is_empty() && reserve::was_not_told(&fault) => {}
                answer => return answer,
            }
        }
        self.ask(method, params).await
    }

    async fn ask(&self, method: &str, params: &[Value]) -> Result<Option<Value>, Fault> {
        let node = &self.node;
        match method {
            "eth_call" => calls::call(node, params).await,
            "eth_estimateGas" => calls::estimate_gas(node, params).await,
            "eth_fillTransaction" => fill::fill_transaction(self, params).await,
            "eth_simulateV1" => simulate::eth(node, params).await.map(Some),
            "tempo_simulateV1" => simulate::tempo(node, params).await.map(Some),
            "tempo_fundAddress" => faucet::fund_address(self, params).await.map(Some),
            "eth_signRawTransaction" => sponsor::sign_raw_transaction(params).map(Some),
            "eth_sendTransaction" | "eth_sendTransactionSync" | "eth_signTransaction" => {
                send::managed(self, method, params).await.map(Some)
            }
            "eth_sendRawTransaction" => send::raw(self, params).await.map(Some),
            "eth_sendRawTransactionSync" => send::raw_sync(self, params).await.map(Some),
            "eth_getTransactionReceipt" => send::receipt(node, params).await.map(Some),
            "eth_getBlockReceipts" => send::block_receipts(node, params).await.map(Some),
            _ if UNDOING.contains(&method) => {
                let done = node.call(method, json!(params)).await?;
                reserve::place(self).await?;
                Ok(Some(done))
            }
            _ if FATAL.contains(&method) => Err(Fault::unknown(method)),
            _ => Ok(None),
        }
    }
}

/// The requests in a method's parameters that are tried before anything is signed.
fn tried<'a>(method: &str, params: &'a [Value]) -> Vec<&'a Value> {
    match method {
        "eth_call" | "eth_estimateGas" | "eth_fillTransaction" | "eth_createAccessList" => {
            params.first().into_iter().collect()
        }
        "eth_simulateV1" | "tempo_simulateV1" => {
            let payload = params.first().and_then(Value::as_object);
            payload.map(|payload| simulate::calls(payload).collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
