//! A cell that pays: what the client says, what the receipt says, and what the chain says.

use anyhow::{Context, ensure};
use mpp_testkit::devnet::PAYER;
use serde_json::Value;

use super::{
    books::Books,
    flow::{Expect, Flow, terms},
    party::{Answer, Client, Purse, Server},
};
use crate::pay::Way;

/// Plays it, and says what became of it; an error is what went wrong.
pub(super) async fn play(
    flow: &Flow,
    way: Option<Way>,
    expect: Expect,
    client: &mut Client,
    server: &Server,
    books: &Books,
) -> anyhow::Result<String> {
    let (key, payer) = if flow.fresh { fresh(books, flow.path).await? } else { known() };
    let url = format!("{}{}", server.url, flow.path);
    let before = books.holdings(&payer).await?;
    let answer = client.fetch(&url, Purse { key: &key, way }).await?;
    let after = books.holdings(&payer).await?;
    if expect == Expect::Refused {
        let refused = answer.refused()?;
        before.unmoved(&after)?;
        return Ok(refused);
    }
    let receipt = answer.served(flow.path, "tempo")?;
    let reference = text(receipt, "reference")?;
    let terms = terms(flow.path);
    if terms.price == 0 {
        before.unmoved(&after)?;
        ensure!(!reference.is_empty(), "the receipt refers to nothing");
        return Ok("paid".to_owned());
    }
    let hash = reference.strip_prefix("0x").unwrap_or_default();
    let is_hash = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    ensure!(is_hash, "the receipt's reference is no transaction: {reference}");
    let mined = books.succeeded(reference).await?;
    before.account_for(&after, &payer, &terms, &mined)?;
    Ok("paid".to_owned())
}

fn known() -> (String, String) {
    (PAYER.key.hex().to_owned(), PAYER.address.to_owned())
}

/// An account that nobody has seen, and that holds a route's price and not a unit more.
async fn fresh(books: &Books, path: &str) -> anyhow::Result<(String, String)> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let key = format!("0x{:064x}", now.as_nanos());
    let address = key.parse::<mpp_tempo::Key>()?.address().to_string();
    let terms = terms(path);
    books.fund(terms.token, &address, terms.price).await.context("a fresh account")?;
    Ok((key, address))
}

impl Answer {
    /// The receipt of an answer that is what was paid for.
    pub(super) fn served(&self, path: &str, method: &str) -> anyhow::Result<&Value> {
        let said = self.error.as_deref().unwrap_or(&self.body);
        let status = self.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        ensure!(self.status == Some(200) && self.error.is_none(), "{status}: {}", said.trim());
        let body: Value = serde_json::from_str(&self.body).context("what was served")?;
        ensure!(body["ok"] == true && body["path"] == path, "what was served is {body}");
        let receipt = self.receipt.as_ref().context("no receipt came")?;
        ensure!(text(receipt, "method")? == method, "the receipt is of another method");
        ensure!(text(receipt, "status")? == "success", "the receipt is of no success");
        ensure!(!text(receipt, "timestamp")?.is_empty(), "the receipt has no time");
        Ok(receipt)
    }

    /// That nothing was served, by the server's word or the client's own.
    fn refused(&self) -> anyhow::Result<String> {
        ensure!(self.receipt.is_none(), "a receipt came");
        match (self.status, &self.error) {
            (Some(status), _) => super::refused::is_refusal(status, &self.body),
            (None, Some(_)) => Ok("refused by the client".to_owned()),
            (None, None) => anyhow::bail!("neither an answer nor an error came"),
        }
    }
}

fn text<'a>(receipt: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    let member = receipt.get(name).and_then(Value::as_str);
    member.with_context(|| format!("the receipt has no {name}"))
}
