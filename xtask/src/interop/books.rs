//! The chain as a judge: what everybody holds, what a transaction cost, and whose money paid for it.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use mpp_testkit::devnet::{ALPHA_USD, FAUCET, PATH_USD, RECIPIENT, SPLIT, SPONSOR};
use serde_json::{Value, json};

use super::flow::Terms;
use crate::accounts::SHAREHOLDER;

/// How long a node may take to answer.
const ANSWERS: Duration = Duration::from_secs(3);
/// Both tokens that anything is priced in.
const TOKENS: [&str; 2] = [PATH_USD, ALPHA_USD];
/// Where fees go.
const FEE_MANAGER: &str = "0xfeec000000000000000000000000000000000000";
/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// More than any fee on a development chain, in base units: 0.05 dollars.
const MOST_FEE: i128 = 50_000;

/// A node that is asked.
pub(super) struct Books {
    url: String,
    http: reqwest::Client,
}

/// Who is watched, in this order.
const ROLES: [&str; 5] = ["payer", "recipient", "sponsor", "partner", "shareholder"];

/// What they hold, of each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holdings([[i128; TOKENS.len()]; ROLES.len()]);

impl Books {
    pub(super) fn at(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWERS).build()?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// What everybody holds, the payer being this account.
    pub(super) async fn holdings(&self, payer: &str) -> anyhow::Result<Holdings> {
        let mut held = Holdings([[0; TOKENS.len()]; ROLES.len()]);
        for (row, account) in held.0.iter_mut().zip(watched(payer)) {
            for (cell, token) in row.iter_mut().zip(TOKENS) {
                *cell = self.balance(token, account).await?;
            }
        }
        Ok(held)
    }

    /// What an account holds of a token.
    pub(super) async fn balance(&self, token: &str, account: &str) -> anyhow::Result<i128> {
        let data = format!("0x70a08231{:0>64}", digits(account));
        let word = self.rpc("eth_call", json!([{ "to": token, "data": data }, "latest"])).await?;
        number(&word).context("the token's answer is no balance")
    }

    /// Gives an account some of a token, out of the faucet's.
    pub(super) async fn fund(&self, token: &str, to: &str, amount: u128) -> anyhow::Result<()> {
        let data = format!("0xa9059cbb{:0>64}{amount:064x}", digits(to));
        let order =
            json!([{ "from": FAUCET.address, "to": token, "data": data, "gas": "0xf4240" }]);
        let hash = self.rpc("eth_sendTransaction", order).await?;
        for _ in 0..60 {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
            match receipt.get("status").and_then(Value::as_str) {
                Some("0x1") => return Ok(()),
                Some(_) => bail!("the faucet's transfer reverted"),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        bail!("the faucet's transfer was not mined")
    }

    /// The receipt of a transaction that succeeded.
    pub(super) async fn succeeded(&self, hash: &str) -> anyhow::Result<Value> {
        let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        ensure!(receipt.is_object(), "the chain knows no transaction {hash}");
        ensure!(receipt["status"] == "0x1", "the transaction {hash} failed");
        Ok(receipt)
    }

    /// What the node answers.
    pub(super) async fn rpc(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?.bytes().await?;
        let mut answer: Value = serde_json::from_slice(&answer).context("the node's answer")?;
        match answer.get("error") {
            Some(error) => bail!("the node refused {method}: {error}"),
            None => Ok(answer["result"].take()),
        }
    }
}

impl Holdings {
    /// Says where what moved is not what the terms, and the fees in the transaction's logs, account for.
    pub(super) fn account_for(
        &self,
        after: &Self,
        payer: &str,
        terms: &Terms,
        receipt: &Value,
    ) -> anyhow::Result<()> {
        let signed = |units: u128| i128::try_from(units).unwrap_or(i128::MAX);
        let (price, partner, shareholder) =
            (signed(terms.price), signed(terms.partner), signed(terms.shareholder));
        let shares = [-price, price - partner - shareholder, 0, partner, shareholder];
        for (at, account) in watched(payer).into_iter().enumerate() {
            for (column, token) in TOKENS.into_iter().enumerate() {
                let fee = fee(receipt, account, token);
                let role = ROLES[at];
                ensure!((0..MOST_FEE).contains(&fee), "{role} paid a fee of {fee} units");
                let may_pay = role == if terms.sponsored { "sponsor" } else { "payer" };
                ensure!(fee == 0 || may_pay, "{role} paid the fee of {fee} units");
                let share = if token == terms.token { shares[at] } else { 0 };
                let moved = after.0[at][column] - self.0[at][column];
                ensure!(
                    moved == share - fee,
                    "{role} moved by {moved} units of {token}, which is not {share} less a fee of {fee}"
                );
            }
        }
        let sponsor_paid = TOKENS.iter().any(|token| fee(receipt, SPONSOR.address, token) > 0);
        ensure!(sponsor_paid == terms.sponsored, "the fee was not paid by whom it should be");
        Ok(())
    }

    /// Says what moved where nothing may.
    pub(super) fn unmoved(&self, after: &Self) -> anyhow::Result<()> {
        for (at, role) in ROLES.into_iter().enumerate() {
            ensure!(self.0[at] == after.0[at], "money of the {role} moved");
        }
        Ok(())
    }
}

fn watched(payer: &str) -> [&str; ROLES.len()] {
    [payer, RECIPIENT.address, SPONSOR.address, SPLIT.address, SHAREHOLDER]
}

/// What an account paid in fees of a token by what has these logs, less what came back.
pub(super) fn fee(receipt: &Value, account: &str, token: &str) -> i128 {
    let logs = receipt["logs"].as_array().into_iter().flatten();
    let mut fee = 0;
    for log in logs.filter(|log| log["address"] == token && log["topics"][0] == TRANSFER) {
        let party = |topic: usize| log["topics"][topic].as_str().map(digits);
        let (from, to) = (party(1), party(2));
        let is = |party: &Option<String>, who: &str| {
            party.as_ref().is_some_and(|party| party.ends_with(&digits(who)))
        };
        let units = number(&log["data"]).unwrap_or(0);
        if is(&from, account) && is(&to, FEE_MANAGER) {
            fee += units;
        }
        if is(&from, FEE_MANAGER) && is(&to, account) {
            fee -= units;
        }
    }
    fee
}

/// Hex digits in lower case, without their prefix.
pub(super) fn digits(hex: &str) -> String {
    hex.trim_start_matches("0x").to_ascii_lowercase()
}

/// A number in hex.
pub(super) fn number(word: &Value) -> Option<i128> {
    let digits = word.as_str()?.strip_prefix("0x")?;
    i128::from_str_radix(digits.trim_start_matches('0'), 16)
        .ok()
        .or_else(|| digits.bytes().all(|digit| digit == b'0').then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_what_went_to_the_fee_manager_less_what_came_back() {
        let topic = |account: &str| format!("0x{:0>64}", digits(account));
        let log = |from: &str, to: &str, units: &str| json!({ "address": PATH_USD, "data": units, "topics": [TRANSFER, topic(from), topic(to)] });
        let (payer, shop) = (FAUCET.address, RECIPIENT.address);
        let receipt = json!({ "logs": [
            log(payer, FEE_MANAGER, "0x64"), log(payer, shop, "0x2710"), log(FEE_MANAGER, payer, "0x0a"),
        ]});
        assert_eq!(fee(&receipt, payer, PATH_USD), 90);
        assert_eq!(fee(&receipt, shop, PATH_USD), 0);
        assert_eq!(fee(&receipt, payer, ALPHA_USD), 0);
    }

    #[test]
    fn numbers_are_words_of_hex() {
        for (word, expected) in
            [("0x0", Some(0)), ("0x00ff", Some(255)), ("0x", Some(0)), ("", None), ("0xzz", None)]
        {
            assert_eq!(number(&json!(word)), expected, "{word}");
        }
    }
}
