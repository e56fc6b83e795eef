//! A whole round: everybody started once, every cell played in turn, so that each sees only its own money move.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use mpp_testkit::devnet::PAYER;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Options, PATIENCE,
    books::Books,
    flow::{Expect, FLOWS, FRAUDS, Fraud, Pair},
    install::Installed,
    matrix::{Cell, Matrix},
    paid,
    party::{Client, Sdk, Server},
    refused::{self, ENDS, Shown},
};
use crate::console::Console;

/// Everybody that plays, and who plays whom.
pub(super) struct Round<'o> {
    pairs: Vec<Pair>,
    clients: Vec<(Sdk, Client)>,
    servers: Vec<(Sdk, Server)>,
    books: Arc<Books>,
    only: Option<&'o str>,
}

/// A cell takes one payment and a few looks at the books.
const CELL: Duration = PATIENCE.saturating_add(Duration::from_secs(5));

impl<'o> Round<'o> {
    /// Starts everybody, on one node.
    pub(super) async fn begin(
        installed: &Installed,
        rpc: &str,
        options: &'o Options,
    ) -> anyhow::Result<Self> {
        let pairs = pairs(options.peers_only);
        let books = Arc::new(Books::at(rpc)?);
        books.holdings(PAYER.address).await.context("the node has no Tempo accounts")?;
        let [a, b, c] = [Sdk::Ours, Sdk::Mppx, Sdk::Pympp];
        // All at once: what takes time is to load them.
        let (clients, servers) = tokio::try_join!(
            async {
                let client = |sdk| Client::of(sdk, installed, rpc);
                tokio::try_join!(client(a), client(b), client(c))
            },
            async {
                let server = |sdk| Server::of(sdk, installed, rpc);
                tokio::try_join!(server(a), server(b), server(c))
            },
        )?;
        let clients = vec![(a, clients.0), (b, clients.1), (c, clients.2)];
        let servers = vec![(a, servers.0), (b, servers.1), (c, servers.2)];
        Ok(Self { pairs, clients, servers, books, only: options.only.as_deref() })
    }

    /// Plays every cell.
    pub(super) async fn play(mut self, console: Console) -> anyhow::Result<Matrix> {
        let mut matrix = Matrix::default();
        let mut add = |cell: Cell| {
            console.note(cell.line());
            matrix.add(cell);
        };
        let (pairs, books) = (std::mem::take(&mut self.pairs), self.books.clone());
        let mut ending = Vec::new();
        for pair in &pairs {
            if self.plays(pair, Fraud::Expired.name()) {
                ending.push((pair, self.prepare(pair, Fraud::Expired).await));
            }
        }
        let ended = Instant::now() + ENDS + Duration::from_secs(1);
        for pair in &pairs {
            for flow in FLOWS {
                let Some(expect) = flow.expect(pair) else { continue };
                if self.plays(pair, flow.name) {
                    let Some((client, server)) = self.parties(pair) else { continue };
                    let way = flow.way_for(pair);
                    let cell = paid::play(flow, way, expect, client, server, &books);
                    let got = judged(cell).await.map_err(|e| self.wrong(pair, &e));
                    add(Cell::new(pair, flow.name, expect, got));
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

    async fn prepare(&mut self, pair: &Pair, fraud: Fraud) -> anyhow::Result<Shown> {
        let (client, server) = self.parties(pair).context("nobody plays")?;
        judged(refused::prepare(fraud, client, server)).await
    }

    async fn refuse(&self, pair: &Pair, fraud: Fraud, prepared: anyhow::Result<Shown>) -> Cell {
        let got = match prepared {
            Ok(shown) => judged(refused::show(&shown, &self.books)).await,
            Err(error) => Err(error.context("it could not be prepared")),
        };
        let got = got.map_err(|error| self.wrong(pair, &error));
        Cell::new(pair, fraud.name(), Expect::Refused, got)
    }

    fn parties(&mut self, pair: &Pair) -> Option<(&mut Client, &Server)> {
        let client = self.clients.iter_mut().find(|(sdk, _)| *sdk == pair.client)?;
        let server = self.servers.iter().find(|(sdk, _)| *sdk == pair.server)?;
        Some((&mut client.1, &server.1))
    }

    fn plays(&self, pair: &Pair, flow: &str) -> bool {
        self.only.is_none_or(|only| Cell::name(pair, flow).contains(only))
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

async fn judged<T>(cell: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(CELL, cell).await.context("it took too long")?
}

fn pairs(peers_only: bool) -> Vec<Pair> {
    use Sdk::{Mppx, Ours, Pympp};
    let pairs = if peers_only {
        [(Mppx, Mppx), (Pympp, Mppx), (Mppx, Pympp), (Pympp, Pympp)]
    } else {
        [(Ours, Mppx), (Mppx, Ours), (Ours, Pympp), (Pympp, Ours)]
    };
    pairs.into_iter().map(|(client, server)| Pair::new(client, server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_played_in_both_directions_and_what_peers_lack_is_asked_for_as_a_refusal() {
        let cells = |pair: &Pair| {
            let flows = FLOWS.iter().filter(|flow| flow.expect(pair).is_some()).count();
            flows + FRAUDS.iter().filter(|fraud| fraud.is_played(pair)).count()
        };
        assert!(pairs(false).iter().map(cells).sum::<usize>() >= 60);
        let zero = FLOWS.iter().find(|flow| flow.path == "/zero").unwrap();
        for (client, server, expect) in [
            (Sdk::Ours, Sdk::Mppx, Some(Expect::Paid)),
            (Sdk::Mppx, Sdk::Ours, Some(Expect::Paid)),
            (Sdk::Ours, Sdk::Pympp, Some(Expect::Refused)),
            (Sdk::Pympp, Sdk::Ours, Some(Expect::Refused)),
        ] {
            assert_eq!(zero.expect(&Pair::new(client, server)), expect);
        }
    }
}
