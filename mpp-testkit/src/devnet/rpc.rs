//! One JSON-RPC call over loopback HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::DevnetError;

/// A node answers at once, or half a minute late about a transaction that it dropped.
const DEADLINE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Rpc {
    url: String,
    http: reqwest::Client,
}

impl Rpc {
    /// Keeps no idle connections: a chain shared by many tests outlives the runtime of each, and a
    /// pooled connection dies with the runtime that opened it.
    pub(super) fn new(url: String) -> Result<Self, DevnetError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(DEADLINE)
            .build()
            .map_err(|source| DevnetError::Unreached { method: "any method".to_owned(), source })?;
        Ok(Self { url, http })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, DevnetError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let unreached = |source| DevnetError::Unreached { method: method.to_owned(), source };
        let sent = self.http.post(&self.url).json(&body).send().await.map_err(unreached)?;
        let mut answer: Value = sent.json().await.map_err(unreached)?;
        if let Some(error) = answer.get("error") {
            return Err(DevnetError::Rpc {
                method: method.to_owned(),
                code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
                message: error
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
        let result = answer.get_mut("result").map(Value::take);
        result.ok_or_else(|| DevnetError::Answer { method: method.to_owned() })
    }
}
