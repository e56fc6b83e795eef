//! What a server did beside serving: each write to its store, and each call of its node, as they happen.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use alloy::primitives::{B256, Bytes};
use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use mpp_core::{
    Credential,
    store::{BoxFuture, Keep, Key, Store, StoreError, Version, Versioned},
};
use mpp_tempo::chain::rpc::{Answer, Block, Receipt, Rpc, Search, Told, Trial};
use serde_json::Value;

/// What was counted. One server's store, node and router share it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Writes to the store.
    pub(super) writes: AtomicU64,
    /// Those of them while a stream ran: vouchers, what is set aside of them, additions to the deposit.
    pub(super) writes_streaming: AtomicU64,
    /// Calls of the node while a stream ran and no order was in hand.
    pub(super) calls: AtomicU64,
    /// Vouchers that came by themselves, and were taken.
    pub(super) vouchers: AtomicU64,
    /// Additions to the deposit that were taken.
    pub(super) top_ups: AtomicU64,
    orders: AtomicU64,
    streaming: AtomicBool,
}

impl Counts {
    /// Says that a stream runs, or that it is over.
    pub(super) fn streams(&self, it_does: bool) {
        self.streaming.store(it_does, Ordering::SeqCst);
    }

    /// Says that an order is carried out, as long as this lives.
    pub(super) fn order(self: &Arc<Self>) -> InHand {
        self.orders.fetch_add(1, Ordering::SeqCst);
        InHand(self.clone())
    }

    fn written(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        if self.streaming.load(Ordering::SeqCst) {
            self.writes_streaming.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn called(&self) {
        if self.streaming.load(Ordering::SeqCst) && self.orders.load(Ordering::SeqCst) == 0 {
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sees what a request asks of a channel, before anybody else does.
    pub(super) async fn watch(self: Arc<Self>, request: Request, next: Next) -> Response {
        let action = action(&request).unwrap_or_default();
        let is_order = matches!(action.as_str(), "open" | "topUp" | "close");
        let in_hand = is_order.then(|| self.order());
        let response = next.run(request).await;
        drop(in_hand);
        if is_stream(&response) {
            self.streams(true);
        }
        let counted = match action.as_str() {
            "voucher" => Some(&self.vouchers),
            "topUp" => Some(&self.top_ups),
            _ => None,
        };
        if let Some(counted) = counted.filter(|_| response.status().is_success()) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        response
    }
}

/// An order that is carried out.
pub(super) struct InHand(Arc<Counts>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.orders.fetch_sub(1, Ordering::SeqCst);
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}

fn action(request: &Request) -> Option<String> {
    let field = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let credential = Credential::from_token(field.strip_prefix("Payment ")?).ok()?;
    let payload: Value = serde_json::from_str(credential.payload_json()).ok()?;
    Some(payload.get("action")?.as_str()?.to_owned())
}

/// A store whose writes are counted.
#[derive(Debug)]
pub(super) struct CountedStore<S> {
    pub(super) store: S,
    pub(super) counts: Arc<Counts>,
}

impl<S: Store> Store for CountedStore<S> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.store.get(key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let written = self.store.swap(key, expect, value, keep).await?;
            // Where another was first nothing was written.
            if written.is_some() {
                self.counts.written();
            }
            Ok(written)
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.store.scan(prefix, after, limit)
    }
}

/// A node whose calls are counted.
#[derive(Debug)]
pub(super) struct CountedNode {
    pub(super) node: Arc<dyn Rpc>,
    pub(super) counts: Arc<Counts>,
}

impl CountedNode {
    fn called(&self) -> &dyn Rpc {
        self.counts.called();
        &*self.node
    }
}

impl Rpc for CountedNode {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.called().chain_id()
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.called().gas_price()
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.called().latest_block()
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.called().estimate_gas(trial)
    }
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        self.called().call(trial)
    }
    fn send(&self, raw: Bytes) -> Answer<'_, Receipt> {
        self.called().send(raw)
    }
    fn receipt(&self, hash: B256) -> Answer<'_, Option<Receipt>> {
        self.called().receipt(hash)
    }
    fn broadcast(&self, raw: Bytes) -> Answer<'_, B256> {
        self.called().broadcast(raw)
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.called().block(number)
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.called().logs(search)
    }
    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        self.called().simulate(trial)
    }
}
