//! A cell that pays by a channel: what the client says, what the last receipt says, and what the chain says.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    flow::Flow,
    party::{Client, Outcome},
    tally::Watched,
};
use crate::interop::{books::Books, party::Server};

/// Plays it, and says what became of it; an error is what went wrong.
pub(super) async fn play(
    flow: &Flow,
    client: &mut Client,
    server: &Server,
    watched: Watched<'_>,
    books: &Books,
) -> anyhow::Result<String> {
    let before = watched.tally(books).await?;
    let outcome = client.run(flow, &server.url).await?;
    outcome.is_as_paid_for(flow)?;
    watched.account_for(books, &before, flow, &outcome.channel).await?;
    Ok("paid".to_owned())
}

impl Outcome {
    /// That everything was served, and nothing else is claimed by the receipt that came last.
    fn is_as_paid_for(&self, flow: &Flow) -> anyhow::Result<()> {
        let (served, units) = (self.served, flow.units);
        ensure!(served == units, "{served} units were served, and not {units}");
        let receipt = &self.close;
        let member = |name: &str| receipt.get(name).and_then(Value::as_str);
        let text = |name: &str| member(name).with_context(|| format!("the receipt has no {name}"));
        ensure!(text("method")? == "tempo", "the receipt is of another method");
        ensure!(text("status")? == "success", "the receipt is of no success");
        let spent = text("spent")?;
        ensure!(spent == flow.cost().to_string(), "the receipt says that {spent} was spent");
        let accepted = text("acceptedCumulative")?.parse::<u128>()?;
        ensure!(accepted >= flow.cost(), "the receipt says that {accepted} was accepted");
        let named = text("channelId")?.eq_ignore_ascii_case(&self.channel);
        ensure!(named, "the receipt is of another channel");
        ensure!(text("txHash")?.len() == 66, "the receipt names no transaction");
        Ok(())
    }
}
