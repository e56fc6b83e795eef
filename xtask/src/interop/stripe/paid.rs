//! A cell that pays: what the client says, what the receipt says, what Stripe says and what the chain says.

use anyhow::{Context, ensure};
use http::Method;
use mpp_core::transport::read_challenges;
use mpp_testkit::{devnet::PAYER, stripe::Simulator};

use super::{
    flow::{Flow, Menu, Way, asked, on_chain},
    party::Client,
    tally::{Tally, is_as_asked},
};
use crate::interop::{
    books::Books,
    party::{Sdk, Server},
    refused::send_with,
};

/// Plays it, and says what became of it; an error is what went wrong.
pub(super) async fn play(
    flow: &Flow,
    client: &mut Client,
    (seller, server): (Sdk, &Server),
    stripe: &Simulator,
    books: &Books,
) -> anyhow::Result<String> {
    let url = format!("{}{}", server.url, flow.path);
    let (tally, before) = (Tally::of(stripe), books.holdings(PAYER.address).await?);
    let answer = client.fetch(&url, flow.means).await?;
    let after = books.holdings(PAYER.address).await?;
    let receipt = answer.served(flow.path, flow.by.method())?;
    match flow.by {
        Way::Card => {
            let made = tally.one_since(stripe)?;
            is_as_asked(&made, &asked(flow.path), seller, receipt)?;
            before.unmoved(&after)?;
        }
        Way::Chain => {
            tally.is_unmoved(stripe)?;
            let hash = receipt["reference"].as_str().context("the receipt refers to nothing")?;
            let mined = books.succeeded(hash).await?;
            before.account_for(&after, PAYER.address, &on_chain(flow.path), &mined)?;
        }
    }
    Ok("paid".to_owned())
}

/// Looks at what a route offers to whom, and pays nothing.
pub(super) async fn look(menu: &Menu, server: &Server) -> anyhow::Result<String> {
    let url = format!("{}{}", server.url, menu.path);
    let accept = http::HeaderName::from_static("accept-payment");
    let (status, headers, body) =
        send_with(Method::GET, &url, menu.accept.map(|wish| (accept, wish))).await?;
    ensure!(status == 402, "unpaid, the route answers {status}: {}", body.trim());
    let offered = read_challenges(&headers).into_iter().map(|c| c.method_id().to_string());
    let offered = Vec::from_iter(offered).join(", ");
    let wanted = Vec::from_iter(menu.offers.iter().map(|way| way.range())).join(", ");
    ensure!(offered == wanted, "it offers {offered}, and not {wanted}");
    Ok("offered".to_owned())
}
