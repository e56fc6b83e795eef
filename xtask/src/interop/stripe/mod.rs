//! Cards: paid in both directions through a simulated Stripe, beside the chain on composed routes, and refused where they must be.

mod flow;
mod fraud;
mod paid;
mod party;
mod refused;
mod tally;

use std::time::Duration;

use anyhow::{Context, ensure};
use mpp_testkit::stripe::Simulator;
use tokio::time::{Instant, sleep_until, timeout};

use self::{
    flow::{FLOWS, MENUS, pairs},
    fraud::{FRAUDS, Fraud},
    party::{Client, Places},
    refused::Shown,
};
use super::{
    Options,
    books::Books,
    flow::{Expect, Pair},
    install::Installed,
    matrix::{Cell, Matrix},
    party::{Sdk, Server},
    refused::ENDS,
};
use crate::console::Console;

/// A cell takes one payment and a few looks at the books.
const CELL: Duration = Duration::from_secs(25);

/// Everybody that plays, and who plays whom.
pub(super) struct Round<'o> {
    pairs: Vec<Pair>,
    clients: Vec<(Sdk, Client)>,
    servers: Vec<(Sdk, Server)>,
    stripe: Simulator,
    books: Books,
    only: Option<&'o str>,
}

impl<'o> Round<'o> {
    /// Starts everybody that plays, at one Stripe and on one node.
    pub(super) async fn begin(
        installed: &Installed,
        rpc: &str,
        options: &'o Options,
    ) -> anyhow::Result<Self> {
        let pairs = pairs(options.peers_only);
        let stripe = Simulator::start().await?;
        let places = Places { installed, rpc, stripe: &stripe };
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for pair in &pairs {
            if clients.iter().all(|(sdk, _)| *sdk != pair.client) {
                clients.push((pair.client, places.client(pair.client).await?));
            }
            if servers.iter().all(|(sdk, _)| *sdk != pair.server) {
                servers.push((pair.server, places.server(pair.server).await?));
            }
        }
        let (books, only) = (Books::at(rpc)?, options.only.as_deref());
        Ok(Self { pairs, clients, servers, stripe, books, only })
    }

    /// Plays every cell.
    pub(super) async fn play(mut self, console: Console) -> anyhow::Result<Matrix> {
        let mut matrix = Matrix::default();
        let mut add = |cell: Cell| {
            let cell = cell.under("stripe");
            console.note(cell.line());
            matrix.add(cell);
        };
        let pairs = std::mem::take(&mut self.pairs);
        let mut ending = Vec::new();
        for pair in &pairs {
            if self.plays(pair, Fraud::Expired.name()) {
                ending.push((pair, self.prepare(pair, Fraud::Expired).await));
            }
        }
        let ended = Instant::now() + ENDS + Duration::from_secs(1);
        for pair in &pairs {
            for menu in MENUS.iter().filter(|menu| menu.is_played(pair)) {
                if self.plays(pair, menu.name) {
                    let server = self.server(pair)?;
                    let got = judged(paid::look(menu, server)).await;
                    add(Cell::new(pair, menu.name, Expect::Offered, self.told(pair, got)));
                }
            }
            for flow in FLOWS.iter().filter(|flow| flow.is_played(pair)) {
                if self.plays(pair, flow.name) {
                    let got = self.pay(pair, flow).await;
                    add(Cell::new(pair, flow.name, Expect::Paid, self.told(pair, got)));
                }
            }
            for fraud in FRAUDS.iter().copied().filter(|fraud| *fraud != Fraud::Expired) {
                if fraud.is_played(pair) && self.plays(pair, fraud.name()) {
                    let prepared = self.prepare(pair, fraud).await;
                    add(self.refuse(pair, fraud, prepared).await);
                }
            }
        }
        sleep_until(if ending.is_empty() { Instant::now() } else { ended }).await;
        for (pair, prepared) in ending {
            add(self.refuse(pair, Fraud::Expired, prepared).await);
        }
        Ok(matrix)
    }

    async fn pay(&mut self, pair: &Pair, flow: &flow::Flow) -> anyhow::Result<String> {
        let Self { clients, servers, stripe, books, .. } = self;
        let client = clients.iter_mut().find(|(sdk, _)| *sdk == pair.client);
        let server = servers.iter().find(|(sdk, _)| *sdk == pair.server);
        let client = &mut client.context("nobody pays")?.1;
        let server = &server.context("nobody sells")?.1;
        judged(paid::play(flow, client, (pair.server, server), stripe, books)).await
    }

    async fn prepare(&mut self, pair: &Pair, fraud: Fraud) -> anyhow::Result<Shown> {
        let Self { clients, servers, stripe, .. } = self;
        let client = clients.iter_mut().find(|(sdk, _)| *sdk == pair.client);
        let server = servers.iter().find(|(sdk, _)| *sdk == pair.server);
        let client = &mut client.context("nobody pays")?.1;
        let server = &server.context("nobody sells")?.1;
        judged(refused::prepare(fraud, client, server, stripe)).await
    }

    async fn refuse(&self, pair: &Pair, fraud: Fraud, prepared: anyhow::Result<Shown>) -> Cell {
        let got = match prepared {
            Ok(shown) => judged(refused::show(fraud, &shown, &self.stripe)).await,
            Err(error) => Err(error.context("it could not be prepared")),
        };
        let named = got.and_then(|said| {
            let named = fraud.problems().iter().any(|name| said.ends_with(&format!(" {name}")));
            ensure!(named || pair.server != Sdk::Ours, "it is not named as it should be: {said}");
            Ok(said)
        });
        Cell::new(pair, fraud.name(), Expect::Refused, self.told(pair, named))
    }

    fn server(&self, pair: &Pair) -> anyhow::Result<&Server> {
        let server = self.servers.iter().find(|(sdk, _)| *sdk == pair.server);
        Ok(&server.context("nobody sells")?.1)
    }

    fn plays(&self, pair: &Pair, flow: &str) -> bool {
        self.only.is_none_or(|only| Cell::name(pair, flow).contains(only))
    }

    /// What went wrong, with the last words of a server that may have seen why.
    fn told(&self, pair: &Pair, got: anyhow::Result<String>) -> Result<String, String> {
        got.map_err(|error| {
            let words = self.server(pair).map(Server::words).unwrap_or_default();
            if words.is_empty() {
                return format!("{error:#}");
            }
            format!("{error:#} (the server said: {words})")
        })
    }
}

async fn judged<T>(cell: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(CELL, cell).await.context("it took too long")?
}
