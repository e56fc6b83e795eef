//! The node behind the front.

use serde_json::{Value, json};

use super::fault::Fault;

/// Keeps its connections: unlike a chain's own client, it lives on one runtime from first to last.
#[derive(Debug)]
pub(super) struct Node {
    url: String,
    http: reqwest::Client,
}

impl Node {
    pub(super) fn new(url: String) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { url, http })
    }

    /// Passes a request on as it came, and the answer back as it comes.
    pub(super) async fn forward(&self, body: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let unanswered = |_| Fault::unanswered("the node behind could not be reached");
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let answer = request.body(body).send().await.map_err(unanswered)?;
        Ok(answer.bytes().await.map_err(unanswered)?.into())
    }

    /// Calls a method of the node's own.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, Fault> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.forward(request.to_string().into_bytes()).await?;
        let mut answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if let Some(error) = answer.get_mut("error").map(Value::take) {
            return Err(Fault(error));
        }
        let result = answer.get_mut("result").map(Value::take);
        result.ok_or_else(|| {
            Fault::unanswered(format!("the node's answer to {method} was not understood"))
        })
    }
}
