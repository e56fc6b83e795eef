//! The chain as a judge of channels: what everybody holds, what the contract says it did, and who paid the fees.

use anyhow::{Context, ensure};
use mpp_testkit::devnet::{PATH_USD, RECIPIENT, SPONSOR, TOKENS};
use serde_json::{Value, json};

use super::flow::Flow;
use crate::interop::books::{Books, digits, fee, number};

/// Who is watched, in this order.
const ROLES: [&str; 4] = ["payer", "payee", "sponsor", "reserve"];
/// More than any fee on a development chain, in base units: 0.05 dollars.
const MOST_FEE: i128 = 50_000;

/// Who pays, and which contract keeps the channel: its address, and the topic of its opening.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) payer: &'a str,
    pub(super) contract: &'a str,
}

/// What they hold, as of a block.
#[derive(Debug)]
pub(super) struct Tally {
    block: i128,
    held: [i128; ROLES.len()],
}

/// What a contract says it did with one channel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Channel {
    id: String,
    deposit: i128,
    top_ups: u64,
    /// What it gave to the payee and back to the payer; `None` while it is open.
    ended: Option<(i128, i128)>,
}

impl Watched<'_> {
    fn accounts(&self) -> [&str; ROLES.len()] {
        [self.payer, RECIPIENT.address, SPONSOR.address, self.contract]
    }

    /// What is held now.
    pub(super) async fn tally(&self, books: &Books) -> anyhow::Result<Tally> {
        let block = number(&books.rpc("eth_blockNumber", json!([])).await?);
        let mut held = [0; ROLES.len()];
        for (units, account) in held.iter_mut().zip(self.accounts()) {
            *units = books.balance(PATH_USD, account).await?;
        }
        Ok(Tally { block: block.context("no block number")?, held })
    }

    /// Says what of the money is not as it should be, a flow having been played since.
    pub(super) async fn account_for(
        &self,
        books: &Books,
        before: &Tally,
        flow: &Flow,
        channel: &str,
    ) -> anyhow::Result<Channel> {
        let after = self.tally(books).await?;
        let logs = self.logs(books, before, &after).await?;
        let mut channels = channels(&logs, self.contract)?;
        let found = channels.pop().context("the contract opened no channel")?;
        ensure!(channels.is_empty(), "{} channels too many were opened", channels.len());
        ensure!(found.id.eq_ignore_ascii_case(channel), "{} is not {channel}", found.id);
        let cost = i128::try_from(flow.cost())?;
        let (settled, refunded) = found.ended.context("the channel is still open")?;
        ensure!(settled == cost, "{settled} was settled, which is not {cost}");
        let deposit = found.deposit;
        ensure!(deposit == settled + refunded, "of {deposit}, {refunded} came back");
        let top_ups = found.top_ups;
        ensure!(top_ups >= flow.top_ups, "the deposit was added to {top_ups} times");
        self.moved(before, &after, &logs, [-settled, settled, 0, 0], flow.sponsored)?;
        Ok(found)
    }

    /// That nothing moved.
    pub(super) async fn is_unmoved(&self, books: &Books, before: &Tally) -> anyhow::Result<()> {
        let after = self.tally(books).await?;
        for (at, role) in ROLES.into_iter().enumerate() {
            ensure!(before.held[at] == after.held[at], "money of the {role} moved");
        }
        Ok(())
    }

    fn moved(
        &self,
        before: &Tally,
        after: &Tally,
        logs: &Value,
        shares: [i128; ROLES.len()],
        sponsored: bool,
    ) -> anyhow::Result<()> {
        let receipt = json!({ "logs": logs });
        for (at, account) in self.accounts().into_iter().enumerate() {
            let (role, share) = (ROLES[at], shares[at]);
            let paid = fee(&receipt, account, PATH_USD);
            let moved = after.held[at] - before.held[at];
            ensure!(
                moved == share - paid,
                "the {role} moved by {moved}, which is not {share} less a fee of {paid}"
            );
            let fees: i128 = TOKENS.iter().map(|(_, token)| fee(&receipt, account, token)).sum();
            ensure!((0..MOST_FEE).contains(&fees), "the {role} paid fees of {fees}");
            let may_pay = match role {
                "payer" => !sponsored,
                // Some sponsor their own settlements wherever they can sponsor at all.
                "payee" | "sponsor" => true,
                _ => false,
            };
            ensure!(fees == 0 || may_pay, "the {role} paid fees of {fees}");
        }
        let theirs: i128 =
            TOKENS.iter().map(|(_, token)| fee(&receipt, SPONSOR.address, token)).sum();
        ensure!(theirs > 0 || !sponsored, "the sponsor paid nothing");
        Ok(())
    }

    /// What the tokens and the contract logged since.
    async fn logs(&self, books: &Books, before: &Tally, after: &Tally) -> anyhow::Result<Value> {
        let tokens = TOKENS.iter().map(|(_, token)| *token);
        let addresses = Vec::from_iter(tokens.chain([self.contract]));
        let filter = json!({
            "fromBlock": format!("{:#x}", before.block + 1), "toBlock": format!("{:#x}", after.block),
            "address": addresses,
        });
        books.rpc("eth_getLogs", json!([filter])).await
    }
}

/// What a contract did, by channel, in the order of their opening.
fn channels(logs: &Value, contract: &str) -> anyhow::Result<Vec<Channel>> {
    let mut found = Vec::<Channel>::new();
    for log in logs.as_array().into_iter().flatten() {
        let (address, topic) = (log["address"].as_str(), log["topics"][0].as_str());
        let (Some(address), Some(topic)) = (address, topic) else { continue };
        if !address.eq_ignore_ascii_case(contract) {
            continue;
        }
        let id = log["topics"][1].as_str().context("an event of no channel")?;
        let words = words(&log["data"])?;
        let word = |at: usize| words.get(at).copied().context("an event is short of words");
        if OPENED.contains(&topic) {
            let deposit = *words.last().context("an opening without a deposit")?;
            found.push(Channel { id: id.to_owned(), deposit, ..Channel::default() });
            continue;
        }
        let Some(channel) = found.iter_mut().find(|channel| channel.id == id) else { continue };
        if TOPPED_UP.contains(&topic) {
            channel.deposit += word(0)?;
            channel.top_ups += 1;
        }
        if CLOSED.contains(&topic) {
            channel.ended = Some((word(0)?, word(1)?));
        }
    }
    Ok(found)
}

/// The topics of `ChannelOpened`, `TopUp` and `ChannelClosed`: of the reserve, and of the escrow.
const OPENED: [&str; 2] = [
    "0xdebaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a7",
    "0xcd6e60364f8ee4c2b0d62afc07a1fb04fd267ce94693f93f8f85daaa099b5c94",
];
const TOPPED_UP: [&str; 2] = [
    "0x2a96f534665f3150977dd4c35d91373c74030288edbb3cf83c527dd25012364f",
    "0xe96f4c65929984be10da5cfd4f1b95b417d798f26d5e59e6b1d1077fcd06343e",
];
const CLOSED: [&str; 2] = [
    "0x5613aed96d5bf39f928408dbe1d4143490b9bb5957eac2dd8e69b5dc4b2206e6",
    "0x92ed5fe0fe56b3f4185e688efb342e92a4492b9df29ad5de596c44e64d097b51",
];

/// The words of an event's data; what is no number, such as a salt, is nought.
fn words(data: &Value) -> anyhow::Result<Vec<i128>> {
    let text = digits(data.as_str().context("an event without data")?);
    let word = |chunk: &[u8]| {
        let chunk = std::str::from_utf8(chunk).unwrap_or_default();
        number(&json!(format!("0x{chunk}"))).unwrap_or_default()
    };
    Ok(text.as_bytes().chunks(64).map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_what_its_contract_says_of_it() {
        let word = |units: u128| format!("{units:064x}");
        let log = |topic: &str, id: &str, data: &[u128]| {
            let data = data.iter().map(|units| word(*units)).collect::<String>();
            json!({ "address": "0x4D50", "topics": [topic, id], "data": format!("0x{data}") })
        };
        let mut logs = json!([
            log(OPENED[0], "0x0a", &[7, 8, u128::MAX, 10_000]),
            log(TOPPED_UP[0], "0x0a", &[5_000, 15_000]),
            log(CLOSED[0], "0x0b", &[1, 2]),
            log(CLOSED[0], "0x0a", &[14_000, 1_000]),
        ]);
        let read = |logs: &Value| channels(logs, "0x4d50").unwrap();
        let whole = Channel {
            id: "0x0a".into(),
            deposit: 15_000,
            top_ups: 1,
            ended: Some((14_000, 1_000)),
        };
        assert_eq!(read(&logs), [whole]);
        logs[3]["address"] = json!("0x99");
        assert_eq!(read(&logs)[0].ended, None);
        logs[0]["data"] = json!("0x");
        assert!(channels(&logs, "0x4d50").is_err());
    }
}
