//! The seller: a stream of tokens, over a store and a node whose every use is counted.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::RawQuery, middleware, response::IntoResponse, routing::get};
use mpp_core::{intent::Rate, store::Memory};
use mpp_server::{Gate, Session};
use mpp_tempo::{Chain, HttpRpc, Key, chain::rpc::Rpc, session::Teller};
use mpp_testkit::devnet::{Devnet, RECIPIENT, THETA_USD};
use tokio::{net::TcpListener, task::JoinHandle};

use super::count::{CountedNode, CountedStore, Counts};

/// The price of a token.
pub(super) const RATE: &str = "0.0001 usd per token";
/// What a channel is opened with, unless its payer says otherwise: a hundred tokens.
const DEPOSIT: &str = "0.01 usd";
/// Tokens that are set aside at a time: a server that dies has charged for so many unserved ones at most.
const BATCH: u64 = 100;

/// How long a token takes to be made.
const TAKES: Duration = Duration::from_millis(5);

/// A server that runs.
pub(super) struct Shop {
    pub(super) url: String,
    pub(super) gate: Gate,
    serving: JoinHandle<()>,
}

impl Shop {
    pub(super) async fn open(chain: &Devnet, counts: &Arc<Counts>) -> anyhow::Result<Self> {
        let node: Arc<dyn Rpc> = Arc::new(HttpRpc::new(chain.rpc_url())?);
        let node = Arc::new(CountedNode { node, counts: counts.clone() });
        let key: Key = RECIPIENT.key.hex().parse()?;
        let tempo = Chain::by_id(chain.chain_id());
        // Fees in another token, so that the channel's token moves by prices alone.
        let teller = Teller::new(&tempo, RECIPIENT.address, Arc::new(key), node)?;
        let teller = Arc::new(teller.fee_token(THETA_USD)?);
        let store = CountedStore { store: Memory::volatile(), counts: counts.clone() };
        let gate = Gate::builder(store).realm("127.0.0.1").secret(crate::demo::secret()).build()?;
        let rate = RATE.parse::<Rate>()?.suggest(DEPOSIT.parse()?);
        let paywall = gate.session(rate)?.via(&teller).metered().layer()?;
        let watching = counts.clone();
        let app = Router::new()
            .route("/tokens", paywall.guard(get(tokens)))
            .layer(middleware::from_fn(move |request, next| watching.clone().watch(request, next)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        Ok(Self { url, gate, serving })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn tokens(session: Session, RawQuery(query): RawQuery) -> impl IntoResponse {
    let asked = query.as_deref().and_then(|query| query.strip_prefix("n=")?.parse().ok());
    session.in_batches_of(BATCH).sse_with(async move |tap| {
        for at in 0..asked.unwrap_or(20_u64) {
            tap.charge(1).await?;
            tokio::time::sleep(TAKES).await;
            tap.send(format!("token {at}")).await?;
        }
        Ok(())
    })
}
