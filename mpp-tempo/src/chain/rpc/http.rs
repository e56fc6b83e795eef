//! A node behind HTTP, through reqwest.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alloy::primitives::{B256, Bytes};
use reqwest::{Client, Response, Url, header, redirect};
use serde_json::{Value, json};

use super::{
    super::Chain, Answer, Block, Receipt, Rpc, RpcError, Search, Told, Trial, json as wire,
    json::Malformed,
};

/// More bytes than this are no answer to anything we ask.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A JSON-RPC endpoint. Its address is a secret: it may carry a key.
///
/// TLS is whatever the binary turned on in reqwest; without any, `https` endpoints are unreachable.
pub struct HttpRpc {
    client: Client,
    endpoint: Url,
    patience: Patience,
    next_id: AtomicU64,
}

/// How long a node may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To answer a question.
    pub ask: Duration,
    /// To mine a transaction. Nodes give up after 30 seconds by themselves, and say so.
    pub send: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { ask: Duration::from_secs(10), send: Duration::from_secs(35) }
    }
}

impl HttpRpc {
    /// Speaks to an endpoint with a client of its own, which follows no redirects.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`] for an address that is none, or if reqwest cannot start.
    pub fn new(endpoint: &str) -> Result<Self, RpcError> {
        let client = Client::builder().redirect(redirect::Policy::none()).build();
        Self::with_client(endpoint, client.map_err(unreachable)?)
    }

    /// Speaks to the public endpoint of a chain, as [`HttpRpc::new`].
    ///
    /// # Errors
    /// [`RpcError::Unreachable`] for a chain without one.
    pub fn on(chain: &Chain) -> Result<Self, RpcError> {
        let endpoint = chain.rpc_url.as_deref();
        Self::new(
            endpoint
                .ok_or_else(|| RpcError::Unreachable("the chain has no public endpoint".into()))?,
        )
    }

    /// Speaks through a client with its own TLS, proxy or pool. It should follow no redirects: a followed one
    /// sends a payment to a second address.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`] for an address that is none.
    pub fn with_client(endpoint: &str, client: Client) -> Result<Self, RpcError> {
        let endpoint = Url::parse(endpoint).map_err(|error| RpcError::Unreachable(error.into()))?;
        Ok(Self { client, endpoint, patience: Patience::default(), next_id: AtomicU64::new(1) })
    }

    /// Waits longer, or less long.
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.exchange(method, params, self.patience.ask).await
    }

    async fn exchange(
        &self,
        method: &str,
        params: Value,
        deadline: Duration,
    ) -> Result<Value, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = wire::request(id, method, params).to_string();
        let sent = self
            .client
            .post(self.endpoint.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .timeout(deadline)
            .body(body)
            .send()
            .await;
        let response = sent.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                unreachable(error)
            } else {
                unanswered(error)
            }
        })?;
        let status = response.status();
        let read = wire::result(id, &read_bounded(response).await?);
        match read {
            // The words of a gateway that is not the node.
            Err(RpcError::Malformed(_)) | Ok(_) if !status.is_success() => {
                Err(RpcError::Status(status.as_u16()))
            }
            other => other,
        }
    }
}

impl Rpc for HttpRpc {
    fn chain_id(&self) -> Answer<'_, u64> {
        Box::pin(async { Ok(wire::number(&self.ask("eth_chainId", json!([])).await?)?) })
    }

    fn gas_price(&self) -> Answer<'_, u128> {
        Box::pin(async { Ok(wire::number(&self.ask("eth_gasPrice", json!([])).await?)?) })
    }

    fn latest_block(&self) -> Answer<'_, Block> {
        let params = json!(["latest", false]);
        Box::pin(async { Ok(wire::block(&self.ask("eth_getBlockByNumber", params).await?)?) })
    }

    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        let params = json!([wire::trial(&trial)]);
        Box::pin(async { Ok(wire::number(&self.ask("eth_estimateGas", params).await?)?) })
    }

    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        let params = json!([wire::trial(&trial), "latest"]);
        Box::pin(async { Ok(wire::bytes(&self.ask("eth_call", params).await?)?) })
    }

    fn send(&self, raw: Bytes) -> Answer<'_, Receipt> {
        // Exactly one parameter: nodes refuse a second, even the timeout that others document.
        let params = json!([raw.to_string()]);
        Box::pin(async {
            let mined =
                self.exchange("eth_sendRawTransactionSync", params, self.patience.send).await?;
            Ok(wire::receipt(&mined)?.ok_or(Malformed::Member("receipt"))?)
        })
    }

    fn receipt(&self, hash: B256) -> Answer<'_, Option<Receipt>> {
        let params = json!([hash.to_string()]);
        Box::pin(async {
            Ok(wire::receipt(&self.ask("eth_getTransactionReceipt", params).await?)?)
        })
    }

    fn broadcast(&self, raw: Bytes) -> Answer<'_, B256> {
        let params = json!([raw.to_string()]);
        Box::pin(async { Ok(wire::hash(&self.ask("eth_sendRawTransaction", params).await?)?) })
    }

    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        let params = json!([format!("{number:#x}"), false]);
        Box::pin(async { Ok(wire::some_block(&self.ask("eth_getBlockByNumber", params).await?)?) })
    }

    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        let params = json!([wire::search(&search)]);
        Box::pin(async { Ok(wire::told(&self.ask("eth_getLogs", params).await?)?) })
    }

    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        let params = wire::simulation(&trial);
        Box::pin(async { wire::simulated(&self.ask("tempo_simulateV1", params).await?) })
    }
}

impl fmt::Debug for HttpRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.endpoint.host_str().unwrap_or_default();
        f.debug_struct("HttpRpc").field("host", &host).finish_non_exhaustive()
    }
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, RpcError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Malformed::TooLong.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> RpcError {
    RpcError::Unreachable(error.without_url().into())
}

fn unanswered(error: reqwest::Error) -> RpcError {
    RpcError::Unanswered(error.without_url().into())
}
