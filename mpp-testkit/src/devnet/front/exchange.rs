//! One HTTP request: a JSON-RPC request, or a batch of them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, timeout_at};

use super::{fault::Fault, methods::Methods};

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

/// Answers a body. Whatever cannot be read goes to the node: what is wrong with it is said in the node's words.
pub(super) async fn answer(methods: &Methods, body: &[u8], deadline: Duration) -> Vec<u8> {
    let until = Instant::now() + deadline;
    match serde_json::from_slice::<Vec<&RawValue>>(body) {
        Ok(batch) if !batch.is_empty() => {
            // One after the other, so that a request may count on those before it.
            let mut answers = Vec::with_capacity(batch.len());
            for request in batch {
                let answer = one(methods, request.get().as_bytes(), until).await;
                // A notification has no answer.
                answers.extend((!answer.is_empty()).then_some(answer));
            }
            [b"[", answers.join(b",".as_slice()).as_slice(), b"]"].concat()
        }
        _ => one(methods, body, until).await,
    }
}

async fn one(methods: &Methods, text: &[u8], until: Instant) -> Vec<u8> {
    let request: Option<Request> = serde_json::from_slice(text).ok();
    let id = request.as_ref().map(|request| request.id.clone()).unwrap_or_default();
    let answered = timeout_at(until, ours_or_theirs(methods, text, request)).await;
    let late = || Err(Fault::unanswered("the node behind did not answer in time"));
    match answered.unwrap_or_else(|_| late()) {
        Ok(answer) => answer,
        Err(Fault(error)) => text_of(&json!({ "jsonrpc": "2.0", "id": id, "error": error })),
    }
}

async fn ours_or_theirs(
    methods: &Methods,
    text: &[u8],
    request: Option<Request>,
) -> Result<Vec<u8>, Fault> {
    if let Some(Request { id, method, params }) = request
        && let Some(result) = methods.answer(&method, &params).await?
    {
        return Ok(text_of(&json!({ "jsonrpc": "2.0", "id": id, "result": result })));
    }
    methods.node.forward(text.to_vec()).await
}

fn text_of(answer: &Value) -> Vec<u8> {
    answer.to_string().into_bytes()
}
