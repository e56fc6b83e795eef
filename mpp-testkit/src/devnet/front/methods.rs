//! Which methods the front answers itself, and who answers them.

use serde_json::Value;
use tokio::sync::Mutex;

use super::{calls, faucet, fault::Fault, fill, node::Node, send, simulate, sponsor};

/// The node dies of these once a Tempo transaction is what they are about.
const FATAL: [&str; 4] = [
    "eth_getRawTransactionByHash",
    "eth_getRawTransactionByBlockHashAndIndex",
    "eth_getRawTransactionByBlockNumberAndIndex",
    "debug_getRawTransaction",
];

/// What answers need: the node, and an order among transactions whose nonces the node assigns.
#[derive(Debug)]
pub(super) struct Methods {
    pub(super) node: Node,
    /// Held while the node finds a nonce: asked twice at once, it gives the same one twice.
    pub(super) nonces: Mutex<()>,
}

impl Methods {
    pub(super) fn new(node: Node) -> Self {
        Self { node, nonces: Mutex::default() }
    }

    /// The result of a method; `None` where the node's own answer is right.
    pub(super) async fn answer(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Option<Value>, Fault> {
        let params = params.as_array().map(Vec::as_slice).unwrap_or_default();
        let node = &self.node;
        match method {
            "eth_call" => calls::call(node, params).await,
            "eth_estimateGas" => calls::estimate_gas(node, params).await,
            "eth_fillTransaction" => fill::fill_transaction(node, params).await,
            "eth_simulateV1" => simulate::eth(node, params).await.map(Some),
            "tempo_simulateV1" => simulate::tempo(node, params).await.map(Some),
            "tempo_fundAddress" => faucet::fund_address(self, params).await.map(Some),
            "eth_signRawTransaction" => sponsor::sign_raw_transaction(params).map(Some),
            "eth_sendTransaction" | "eth_sendTransactionSync" | "eth_signTransaction" => {
                send::managed(self, method, params).await.map(Some)
            }
            "eth_sendRawTransaction" => send::raw(node, params).await.map(Some),
            "eth_sendRawTransactionSync" => send::raw_sync(node, params).await.map(Some),
            "eth_getTransactionReceipt" => send::receipt(node, params).await.map(Some),
            "eth_getBlockReceipts" => send::block_receipts(node, params).await.map(Some),
            _ if FATAL.contains(&method) => Err(Fault::unknown(method)),
            _ => Ok(None),
        }
    }
}
