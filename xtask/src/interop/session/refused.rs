//! A cell that must be refused: a channel is opened in good faith, one credential is forged, and then it must be as if that had
//! never been shown.

use anyhow::{Context, ensure};
use http::{HeaderMap, Method};
use mpp_core::Receipt;
use mpp_tempo::session::SessionReceipt;

use super::{
    flow::Flow,
    forge::Channel,
    fraud::Fraud,
    party::Client,
    tally::{Tally, Watched},
};
use crate::interop::{
    books::Books,
    party::Server,
    refused::{asked, is_refusal, send},
};

/// What is bought in the end: the opening's unit, and one more.
const BOUGHT: Flow = Flow { name: "", price: 1_000, units: 2, top_ups: 0, sponsored: false };

/// A channel that was opened, and paid for one unit.
pub(super) struct Prepared {
    url: String,
    channel: Channel,
    before: Tally,
}

/// Opens one.
pub(super) async fn prepare(
    client: &mut Client,
    server: &Server,
    watched: Watched<'_>,
    chain_id: u64,
    books: &Books,
) -> anyhow::Result<Prepared> {
    let before = watched.tally(books).await?;
    let url = format!("{}/data", server.url);
    let asked = asked(&url, "tempo/session").await?;
    let opening = client.open(&url, &asked).await?;
    let channel = Channel::opened_by(&opening, chain_id)?;
    let (status, headers, body) = send(Method::GET, &url, Some(&opening)).await?;
    ensure!(status == 200, "the opening is not taken: {status} {body}");
    let spent = receipt(&headers)?.spent.get();
    ensure!(spent == BOUGHT.price, "{spent} is spent by the opening");
    Ok(Prepared { url, channel, before })
}

/// Shows what is forged, and says how it was refused; an error is what was not.
pub(super) async fn show(
    fraud: Fraud,
    prepared: &Prepared,
    watched: Watched<'_>,
    books: &Books,
) -> anyhow::Result<String> {
    let Prepared { url, channel, .. } = prepared;
    let before = watched.tally(books).await?;
    let forged = channel.forged(fraud, BOUGHT.cost()).await?;
    let (status, headers, body) = send(Method::GET, url, Some(&forged)).await?;
    ensure!(!headers.contains_key("payment-receipt"), "a receipt came");
    let refused = is_refusal(status, &body)?;
    watched.is_unmoved(books, &before).await?;
    Ok(refused)
}

/// Buys another unit by the next voucher and closes the channel, and sees that nothing but the two units was ever charged.
pub(super) async fn is_intact(
    prepared: &Prepared,
    watched: Watched<'_>,
    books: &Books,
) -> anyhow::Result<()> {
    let Prepared { url, channel, before } = prepared;
    let voucher = channel.voucher(BOUGHT.cost()).await?;
    let (status, headers, body) = send(Method::GET, url, Some(&voucher)).await?;
    ensure!(status == 200, "the next voucher is not taken: {status} {body}");
    let spent = receipt(&headers)?.spent.get();
    ensure!(spent == BOUGHT.cost(), "{spent} is spent once two units were bought");
    let close = channel.close(BOUGHT.cost()).await?;
    let (status, _, body) = send(Method::POST, url, Some(&close)).await?;
    ensure!((200..300).contains(&status), "it is not closed: {status} {body}");
    watched.account_for(books, before, &BOUGHT, channel.id()).await?;
    Ok(())
}

fn receipt(headers: &HeaderMap) -> anyhow::Result<SessionReceipt> {
    let field = headers.get("payment-receipt").context("no receipt came")?;
    let receipt = Receipt::from_token(field.to_str()?)?;
    SessionReceipt::read(&receipt).context("the receipt is of no session")
}
