//! The routes that are paid from channels: requests, streams of tokens, a socket of them.

use std::sync::Arc;

use axum::{Router, extract::RawQuery, response::IntoResponse, routing::get};
use mpp_core::{
    Charge, Price,
    intent::{Rate, Session as SessionIntent},
};
use mpp_server::{
    Gate, Offers, Route, Session,
    axum::MeteredUpgrade,
    stream::{BoxError, Tap},
};
use mpp_tempo::{
    Chain, Key,
    chain::rpc::Rpc,
    charge::{Verifier, sponsor::Sponsor},
    session::Teller,
};
use mpp_testkit::devnet::{RECIPIENT, THETA_USD};

use super::ok;

/// How many tokens a stream has, unless it is asked for others.
const TOKENS: u64 = 20;
/// No stream has more.
const MOST_TOKENS: u64 = 100_000;

/// Who sells by sessions: for themselves, and with the fees of others paid.
pub(super) struct Tellers {
    own: Arc<Teller>,
    sponsored: Arc<Teller>,
    /// What payers that forgot their channel prove who they are by.
    proof: Arc<Verifier>,
}

impl Tellers {
    pub(super) fn new(chain: &Chain, rpc: &Arc<dyn Rpc>, sponsor: Sponsor) -> anyhow::Result<Self> {
        let signer = Arc::new(RECIPIENT.key.hex().parse::<Key>()?);
        // Fees in another token than any price is in, so that prices are seen bare.
        let own =
            Teller::new(chain, RECIPIENT.address, signer, rpc.clone())?.fee_token(THETA_USD)?;
        // Foreign clients add as little as they are short of.
        let sponsored = own.clone().sponsor(sponsor)?.min_deposit("0.0001")?;
        let proof = Arc::new(Verifier::new(chain, RECIPIENT.address, rpc.clone())?);
        Ok(Self { own: Arc::new(own), sponsored: Arc::new(sponsored), proof })
    }
}

/// Adds all of them. `charged` is what the one route that takes payments by the request as well takes them by.
pub(super) fn sell(
    app: Router,
    gate: &Gate,
    tellers: &Tellers,
    charged: (Price, &Arc<Verifier>),
) -> anyhow::Result<Router> {
    let Tellers { own, sponsored, proof } = tellers;
    let (price, verifier) = charged;
    let data = gate.session(rate("0.001 usd per request")?)?.via(own).bootstrap(proof)?.layer()?;
    let sse = gate.session(rate("0.0001 usd per token")?)?;
    let sse = sse.via(own).metered().bootstrap(proof)?.layer()?;
    let sse_sponsored =
        gate.session(rate("0.0001 usd per token")?)?.via(sponsored).metered().layer()?;
    let socket = gate.session(rate("0.0001 usd per token")?)?.via(own).socket()?;
    let by_request = Offers::<SessionIntent>::of(rate("0.001 usd per request")?).via(sponsored);
    let at_once = Offers::<Charge>::of(price).via(verifier);
    let either = gate.paywall(Route::of(at_once.into_iter().chain(by_request)))?;
    Ok(app
        .route("/data", data.guard(get(ok)))
        .route("/sse", sse.guard(get(stream)))
        .route("/sse-sponsored", sse_sponsored.guard(get(stream)))
        .route("/ws", socket.guard(get(upgrade)))
        .route("/sponsored", either.guard(get(ok))))
}

fn rate(text: &str) -> anyhow::Result<Rate> {
    Ok(text.parse::<Rate>()?.suggest("0.01 usd".parse()?))
}

async fn stream(session: Session, RawQuery(query): RawQuery) -> impl IntoResponse {
    let wanted = wanted(query.as_deref());
    session.sse_with(move |tap| tokens(tap, wanted))
}

async fn upgrade(up: MeteredUpgrade, RawQuery(query): RawQuery) -> impl IntoResponse {
    let wanted = wanted(query.as_deref());
    up.serve_with(move |tap| tokens(tap, wanted))
}

/// Each is charged for before it is said.
async fn tokens(tap: Tap, wanted: u64) -> Result<(), BoxError> {
    for at in 0..wanted {
        tap.charge(1).await?;
        tap.send(format!("token-{at} ")).await?;
    }
    Ok(())
}

/// `?n=` how many.
fn wanted(query: Option<&str>) -> u64 {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let asked = pairs.find(|(name, _)| *name == "n").and_then(|(_, value)| value.parse().ok());
    asked.unwrap_or(TOKENS).min(MOST_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_as_many_tokens_as_are_asked_for() {
        for (query, tokens) in
            [(None, 20), (Some("n=3"), 3), (Some("a=1&n=7"), 7), (Some("n=x"), 20), (Some("n"), 20)]
        {
            assert_eq!(wanted(query), tokens, "{query:?}");
        }
        assert_eq!(wanted(Some("n=18446744073709551615")), MOST_TOKENS);
    }
}
