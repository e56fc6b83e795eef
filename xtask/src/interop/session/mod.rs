//! Sessions: channels opened, topped up, streamed from and closed in both directions, and forged vouchers refused.

mod flow;
mod forge;
mod fraud;
mod ours;
mod paid;
mod party;
mod refused;
mod tally;

use std::time::Duration;

use anyhow::{Context, ensure};
use mpp_testkit::devnet::{CHANNEL_RESERVE, MAINNET_SESSION_ESCROW, PAYER, SESSION_ESCROW};
use tokio::time::timeout;

use self::{
    flow::{Flow, flows, pairs},
    fraud::{FRAUDS, Fraud},
    party::Client,
    tally::Watched,
};
use super::{
    Options,
    books::Books,
    flow::{Expect, Pair},
    install::Installed,
    matrix::{Cell, Matrix},
    party::{Sdk, Server},
};
use crate::{console::Console, pay};

/// A cell takes a channel's whole life and a few looks at the books.
const CELL: Duration = Duration::from_secs(30);

/// Everybody that plays, and who plays whom.
pub(super) struct Round<'o> {
    pairs: Vec<Pair>,
    clients: Vec<(Sdk, Client)>,
    servers: Vec<(Sdk, Server)>,
    books: Books,
    chain_id: u64,
    reserve: String,
    escrow: String,
    only: Option<&'o str>,
}

impl<'o> Round<'o> {
    /// Starts everybody that plays, on one node.
    pub(super) async fn begin(
        installed: &Installed,
        rpc: &str,
        options: &'o Options,
    ) -> anyhow::Result<Self> {
        let pairs = pairs(options.peers_only);
        let (chain, _) = pay::chain_at(rpc).await?;
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for pair in &pairs {
            if clients.iter().all(|(sdk, _)| *sdk != pair.client) {
                clients.push((pair.client, Client::of(pair.client, installed, rpc).await?));
            }
            if servers.iter().all(|(sdk, _)| *sdk != pair.server) {
                servers.push((pair.server, party::server(pair.server, installed, rpc).await?));
            }
        }
        let escrow = if chain.id == 42_431 { SESSION_ESCROW } else { MAINNET_SESSION_ESCROW };
        Ok(Self {
            pairs,
            clients,
            servers,
            books: Books::at(rpc)?,
            chain_id: chain.id,
            reserve: CHANNEL_RESERVE.to_string(),
            escrow: escrow.to_string(),
            only: options.only.as_deref(),
        })
    }

    /// Plays every cell.
    pub(super) async fn play(mut self, console: Console) -> anyhow::Result<Matrix> {
        let mut matrix = Matrix::default();
        let mut add = |cell: Cell| {
            let cell = cell.under("session");
            console.note(cell.line());
            matrix.add(cell);
        };
        let only = self.only;
        for pair in &std::mem::take(&mut self.pairs) {
            for flow in flows(pair).iter().filter(|flow| plays(only, pair, flow.name)) {
                let paid = timeout(CELL, self.pay(pair, flow)).await;
                let got = paid.context("it took too long").flatten();
                add(Cell::new(
                    pair,
                    flow.name,
                    Expect::Paid,
                    got.map_err(|e| self.wrong(pair, &e)),
                ));
            }
            let frauds = FRAUDS.iter().filter(|fraud| fraud.is_played(pair));
            for fraud in frauds.filter(|fraud| plays(only, pair, fraud.name())) {
                let refused = timeout(CELL, self.refuse(pair, *fraud)).await;
                let got = refused.context("it took too long").flatten();
                let got = got.map_err(|e| self.wrong(pair, &e));
                add(Cell::new(pair, fraud.name(), Expect::Refused, got));
            }
        }
        Ok(matrix)
    }

    async fn pay(&mut self, pair: &Pair, flow: &Flow) -> anyhow::Result<String> {
        let Table { client, server, books, watched, .. } = self.table(pair)?;
        paid::play(flow, client, server, watched, books).await
    }

    async fn refuse(&mut self, pair: &Pair, fraud: Fraud) -> anyhow::Result<String> {
        let Table { client, server, books, watched, chain_id } = self.table(pair)?;
        let prepared = refused::prepare(client, server, watched, chain_id, books);
        let prepared = prepared.await.context("it could not be prepared")?;
        let said = refused::show(fraud, &prepared, watched, books).await;
        // Closed in either case: what is left open would weigh on the next.
        let intact = refused::is_intact(&prepared, watched, books).await;
        let said = said?;
        intact.context("the channel is not what it was")?;
        let named = said.ends_with(&format!(" {}", fraud.problem()));
        ensure!(named || pair.server != Sdk::Ours, "it is not named as it should be: {said}");
        Ok(said)
    }

    fn table(&mut self, pair: &Pair) -> anyhow::Result<Table<'_>> {
        let client = self.clients.iter_mut().find(|(sdk, _)| *sdk == pair.client);
        let server = self.servers.iter().find(|(sdk, _)| *sdk == pair.server);
        let of_version_1 = pair.server == Sdk::Legacy;
        let contract = if of_version_1 { &self.escrow } else { &self.reserve };
        Ok(Table {
            client: &mut client.context("nobody pays")?.1,
            server: &server.context("nobody sells")?.1,
            books: &self.books,
            watched: Watched { payer: PAYER.address, contract },
            chain_id: self.chain_id,
        })
    }

    /// What went wrong, with the last words of a server that may have seen why.
    fn wrong(&self, pair: &Pair, error: &anyhow::Error) -> String {
        let server = self.servers.iter().find(|(sdk, _)| *sdk == pair.server);
        let words = server.map(|(_, server)| server.words()).unwrap_or_default();
        if words.is_empty() {
            return format!("{error:#}");
        }
        format!("{error:#} (the server said: {words})")
    }
}

/// Who and what a cell is played with.
struct Table<'a> {
    client: &'a mut Client,
    server: &'a Server,
    books: &'a Books,
    watched: Watched<'a>,
    chain_id: u64,
}

fn plays(only: Option<&str>, pair: &Pair, flow: &str) -> bool {
    only.is_none_or(|only| Cell::name(pair, flow).contains(only))
}
