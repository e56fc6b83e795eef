//! The seller's process over its lives: started, armed, found dead, and started again on the same books.

use std::{collections::BTreeMap, net::TcpListener, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    super::{child::Peer, plan::Dice},
    points::{AT_RANDOM, Phase},
};

/// Units that a meter sets aside: what one kill may cost.
pub(super) const BATCH: u64 = 4;
/// Units after which the stall collects.
pub(super) const COLLECTS: u64 = 8;
/// How long a process whose connection broke may take to be found dead.
const SOON: Duration = Duration::from_secs(3);
/// The longest that one lives that is to die whenever, in milliseconds.
const WHENEVER: u64 = 60;

/// What a stall is started with.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) program: PathBuf,
    pub(super) rpc: String,
    pub(super) store: String,
    pub(super) key: &'static str,
    pub(super) without: Option<String>,
}

/// A stall, and where it died.
#[derive(Debug)]
pub(super) struct Stall {
    site: Site,
    port: u16,
    peer: Option<Peer>,
    pub(super) dice: Dice,
    armed: Option<(Phase, &'static str)>,
    pub(super) kills: u64,
    /// Where it died, and how often.
    pub(super) points: BTreeMap<String, u64>,
}

impl Stall {
    pub(super) async fn open(site: Site, dice: Dice) -> anyhow::Result<Self> {
        // The same port in every life, as a payer knows it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let points = BTreeMap::new();
        let mut me = Self { site, port, peer: None, dice, armed: None, kills: 0, points };
        me.start().await?;
        Ok(me)
    }

    pub(super) fn url(&self, more: &str) -> String {
        format!("http://127.0.0.1:{}/units{more}", self.port)
    }

    /// Lets it die at a point that is still to come.
    pub(super) async fn arm(&mut self, phase: Phase, point: &'static str) -> anyhow::Result<()> {
        let line = match point {
            AT_RANDOM => format!("die {}", self.dice.below(WHENEVER)),
            point => format!("arm {point}"),
        };
        self.armed = Some((phase, point));
        self.peer()?.tell(&line).await;
        Ok(())
    }

    /// Takes the fuse out again; the point that was not reached, if one was armed.
    pub(super) async fn disarm(&mut self) -> anyhow::Result<Option<(Phase, &'static str)>> {
        let Some(armed) = self.armed else { return Ok(None) };
        if self.ask("disarm").await?.is_none() {
            // It died in the meantime.
            return Ok(None);
        }
        self.armed = None;
        Ok(Some(armed))
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.is_some()
    }

    /// What it answers; `None` where it died instead, and was started again.
    pub(super) async fn ask(&mut self, line: &str) -> anyhow::Result<Option<Value>> {
        let peer = self.peer()?;
        peer.tell(line).await;
        match peer.hear().await? {
            Some(said) => Ok(Some(said)),
            None => {
                self.died().await?;
                Ok(None)
            }
        }
    }

    /// A connection broke off: it must be dead, and is started again.
    pub(super) async fn revive(&mut self) -> anyhow::Result<()> {
        let dead = self.is_dead(SOON).await?;
        ensure!(dead, "an answer broke off, and the seller lives");
        self.died().await
    }

    /// Whether it dies in so short a time; then it was started again.
    pub(super) async fn dies_within(&mut self, soon: Duration) -> anyhow::Result<bool> {
        if !self.is_dead(soon).await? {
            return Ok(false);
        }
        self.died().await?;
        Ok(true)
    }

    /// Kills it from outside, and starts it again.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.peer.take().context("a stall without a process")?.kill().await;
        self.start().await
    }

    pub(super) async fn close(mut self) {
        if let Some(peer) = self.peer.take() {
            peer.kill().await;
        }
    }

    async fn is_dead(&mut self, soon: Duration) -> anyhow::Result<bool> {
        match timeout(soon, self.peer()?.hear()).await {
            Ok(said) => {
                ensure!(said?.is_none(), "a word that nobody asked for");
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// It died where it was armed. One of three lives that follow is short, too, and ends in the same part.
    async fn died(&mut self) -> anyhow::Result<()> {
        self.peer.take().context("a stall without a process")?.kill().await;
        let (phase, point) = self.armed.take().context("a death that was not planned")?;
        self.count(phase, point);
        if self.dice.one_in(3) {
            self.armed = Some((phase, phase.any(&mut self.dice)));
        }
        self.start().await
    }

    fn count(&mut self, phase: Phase, point: &str) {
        self.kills += 1;
        *self.points.entry(phase.label(point)).or_default() += 1;
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        loop {
            let eager = self.dice.one_in(2);
            let mut peer = Peer::spawn(&self.site.program, &self.args(eager))?;
            if peer.hear().await?.is_some() {
                self.peer = Some(peer);
                return Ok(());
            }
            peer.kill().await;
            let armed = self.armed.take();
            let (phase, point) = armed.context("the stall died before it was open")?;
            self.count(phase, &format!("{point}, in recovery"));
        }
    }

    fn args(&self, eager: bool) -> Vec<String> {
        let Site { rpc, store, key, without, .. } = &self.site;
        let (port, batch, collects) =
            (self.port.to_string(), BATCH.to_string(), COLLECTS.to_string());
        let mut args = vec!["stall".to_owned()];
        let mut put = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        put("--store", store);
        put("--rpc", rpc);
        put("--port", &port);
        put("--till", key);
        put("--batch", &batch);
        put("--collects", &collects);
        if let Some((_, point)) = self.armed {
            put("--arm", point);
        }
        if let Some(write) = without {
            put("--without", write);
        }
        if eager {
            args.push("--eager".to_owned());
        }
        args
    }

    fn peer(&mut self) -> anyhow::Result<&mut Peer> {
        self.peer.as_mut().context("a stall without a process")
    }
}
