//! The two processes at their trade, a kill each round, and the audit at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::time::{self, Instant};

use super::{
    Options,
    books::Books,
    child::Peer,
    plan::{Deck, Dice, Kind, POINTS, Point, Victim},
    rail::Rail,
};
use crate::console::Console;

/// How long a round waits for its point before it kills anyway.
const ROUND: Duration = Duration::from_secs(6);
/// How often an order is asked for in a round.
const ASKS: u32 = 5;
/// How many rounds more.
const MORE: u64 = 40;
/// The last hour of a challenge's entry is long over by then.
const AHEAD: u64 = 1800;

/// Seller, buyer, and what is known of their trade.
pub(super) struct Market<'a> {
    console: Console,
    program: PathBuf,
    rail: &'a Rail,
    /// Where the rail is asked.
    rpc: String,
    port: u16,
    stores: (String, String),
    seller: Option<Peer>,
    buyer: Option<Peer>,
    dice: Dice,
    one_away_in: u64,
    deck: Deck,
    orders: u64,
    kinds: BTreeMap<u64, Kind>,
    /// Asked for, and not answered by a buyer that lives.
    pending: BTreeSet<u64>,
    /// Interrupted, and left alone until the audit.
    away: BTreeSet<u64>,
    /// Interrupted at least once.
    interrupted: BTreeSet<u64>,
    /// Delivered in peace.
    used_up: Vec<(u64, String)>,
    copies: reqwest::Client,
    books: Books,
}

impl<'a> Market<'a> {
    pub(super) async fn open(
        console: Console,
        program: &Path,
        rail: &'a Rail,
        stores: (String, String),
        options: &Options,
        seed: u64,
    ) -> anyhow::Result<Self> {
        // The same port in every life: the client knows a server by its origin.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut me = Self {
            console,
            program: program.to_owned(),
            rail,
            rpc: rail.url().to_owned(),
            port,
            stores,
            seller: None,
            buyer: None,
            dice: Dice::new(seed),
            one_away_in: options.one_away_in,
            deck: Deck::default(),
            orders: 0,
            kinds: BTreeMap::new(),
            pending: BTreeSet::new(),
            away: BTreeSet::new(),
            interrupted: BTreeSet::new(),
            used_up: Vec::new(),
            copies: reqwest::Client::new(),
            books: Books::default(),
        };
        me.start_seller(&[]).await?;
        me.start_buyer(&[]).await?;
        Ok(me)
    }

    /// So many rounds, and a few more while a point was missed that enough rounds should have passed: a busy machine kills
    /// by the clock what meant to die by name.
    pub(super) async fn rounds(&mut self, rounds: u64) -> anyhow::Result<()> {
        let all = rounds >= POINTS.len() as u64;
        let missed = |books: &Books| POINTS.iter().any(|p| !books.points.contains_key(&p.label()));
        let mut round = 0;
        while round < rounds || all && round < rounds + MORE && missed(&self.books) {
            round += 1;
            let point = self.deck.draw(&mut self.dice, POINTS);
            self.round(point).await.with_context(|| format!("round {round}, {}", point.label()))?;
            if round % 50 == 0 {
                let delivered = self.books.delivered.len();
                self.console.say(format_args!("  {round} kills, {delivered} deliveries"));
            }
        }
        Ok(())
    }

    /// Orders are asked for, one process dies, it comes back, and most orders are asked for again.
    async fn round(&mut self, point: Point) -> anyhow::Result<()> {
        let mut asked = vec![self.order(point.kind)];
        if self.dice.one_in(2) {
            let kinds = [Kind::Item, Kind::Late, Kind::Flaky];
            let kind = kinds[usize::try_from(self.dice.below(3)).unwrap_or(0)];
            asked.push(self.order(kind));
        }
        if let Some(name) = point.name {
            self.victim(point.victim)?.tell(&format!("arm {name}")).await;
        }
        self.rail.trouble(&mut self.dice);
        for order in &asked {
            self.ask(*order).await?;
        }
        let died = self.until_dead(point, &asked).await?;
        let label = match (died, point.name) {
            (true, Some(_)) => point.label(),
            (_, named) => {
                // Nothing was in hand when it died, or it never came by: it dies here.
                if named.is_some() {
                    self.deck.put_back(point);
                }
                Point { name: None, ..point }.label()
            }
        };
        *self.books.points.entry(label).or_default() += 1;
        asked.retain(|order| !self.books.delivered.contains_key(order));
        self.interrupted.extend(&asked);
        if self.dice.one_in(self.one_away_in) {
            // Its client gives up before the server is back, and comes again when the world has moved on.
            if point.victim == Victim::Seller {
                self.until_all_answered(&asked).await?;
            }
            self.away.extend(&asked);
            return self.revive(point.victim).await;
        }
        self.revive(point.victim).await?;
        self.finish(&asked).await
    }

    /// Waits until the victim is dead. True where it died by itself.
    async fn until_dead(&mut self, point: Point, asked: &[u64]) -> anyhow::Result<bool> {
        let wait = match point.name {
            Some(_) => ROUND,
            None => Duration::from_millis(self.dice.below(60)),
        };
        let deadline = Instant::now() + wait;
        let mut answered = BTreeSet::new();
        loop {
            let (Some(seller), Some(buyer)) = (&mut self.seller, &mut self.buyer) else {
                bail!("a process is missing");
            };
            let heard = tokio::select! {
                () = time::sleep_until(deadline) => break,
                said = seller.hear() => match said? {
                    Some(_) => continue,
                    None if point.victim == Victim::Seller => return Ok(true),
                    None => bail!("the seller died, and was not meant to"),
                },
                said = buyer.hear() => match said? {
                    Some(said) => said,
                    None if point.victim == Victim::Buyer => return Ok(true),
                    None => bail!("the buyer died, and was not meant to"),
                },
            };
            let order = self.hear(&heard)?;
            answered.insert(order);
            let failed = !self.books.delivered.contains_key(&order);
            // The first answer of a flaky route is a failure; what comes after it is what the point is about.
            if failed && point.kind == Kind::Flaky && self.books.asked.get(&order) < Some(&ASKS) {
                time::sleep(Duration::from_millis(20)).await;
                answered.remove(&order);
                self.ask(order).await?;
            }
            if point.name.is_some() && asked.iter().all(|order| answered.contains(order)) {
                // What comes after the last byte comes soon.
                let soon = Instant::now() + Duration::from_millis(150);
                return self.dies_before(point.victim, soon).await;
            }
        }
        self.take(point.victim)?.kill().await;
        Ok(false)
    }

    async fn dies_before(&mut self, victim: Victim, deadline: Instant) -> anyhow::Result<bool> {
        let peer = self.victim(victim)?;
        let died = loop {
            match time::timeout_at(deadline, peer.hear()).await {
                Ok(said) => match said? {
                    Some(_) => {}
                    None => break true,
                },
                Err(_) => break false,
            }
        };
        self.take(victim)?.kill().await;
        Ok(died)
    }

    async fn revive(&mut self, victim: Victim) -> anyhow::Result<()> {
        match victim {
            Victim::Seller => self.start_seller(&[]).await,
            Victim::Buyer => self.start_buyer(&[]).await,
        }
    }

    /// Hears what is still to come of a round's orders, and asks again for what was not delivered.
    async fn finish(&mut self, asked: &[u64]) -> anyhow::Result<()> {
        for order in asked {
            if self.pending.contains(order) {
                // An application asks again once it has an answer, or none can come any more.
                self.until_answered(*order).await?;
            }
            for _ in 0..ASKS {
                if self.books.delivered.contains_key(order) {
                    break;
                }
                self.ask(*order).await?;
                let credential = self.until_answered(*order).await?;
                if let Some(credential) = credential {
                    // In peace, and to the end: whoever copied this credential gets nothing for it, now or later.
                    self.try_copy(*order, &credential).await?;
                    self.used_up.push((*order, credential));
                }
                time::sleep(Duration::from_millis(20)).await;
            }
            if !self.books.delivered.contains_key(order) {
                self.away.insert(*order);
            }
        }
        Ok(())
    }

    async fn until_all_answered(&mut self, asked: &[u64]) -> anyhow::Result<()> {
        while let Some(order) = asked.iter().find(|order| self.pending.contains(order)) {
            self.until_answered(*order).await?;
        }
        Ok(())
    }

    /// What is left is asked for in a world that has moved on: the challenges are over, and the rail cannot be asked by
    /// the seller. What was settled must be on its books.
    pub(super) async fn audit(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let seller = self.victim(Victim::Seller)?;
            seller.tell("recover").await;
            let found = seller.hear().await?.context("the seller died in the audit")?;
            if found["open"] == 0 && found["settled"] == 0 {
                break;
            }
            if Instant::now() > deadline {
                self.console.say(format_args!("  payments stay open: {found}"));
                break;
            }
            time::sleep(Duration::from_secs(1)).await;
        }
        self.take(Victim::Seller)?.kill().await;
        self.take(Victim::Buyer)?.kill().await;
        // Nobody listens there.
        let nowhere = "http://127.0.0.1:1".to_owned();
        let real = std::mem::replace(&mut self.rpc, nowhere);
        self.start_seller(&["--ahead".into(), AHEAD.to_string()]).await?;
        self.rpc = real;
        self.start_buyer(&["--broke".into()]).await?;
        for (order, credential) in std::mem::take(&mut self.used_up) {
            self.try_copy(order, &credential).await?;
        }
        for order in std::mem::take(&mut self.away) {
            for _ in 0..2 {
                if self.books.delivered.contains_key(&order) {
                    break;
                }
                self.ask(order).await?;
                self.until_answered(order).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn close(mut self) -> Books {
        for peer in [self.seller.take(), self.buyer.take()].into_iter().flatten() {
            peer.kill().await;
        }
        self.books
    }

    fn order(&mut self, kind: Kind) -> u64 {
        self.orders += 1;
        self.kinds.insert(self.orders, kind);
        self.orders
    }

    fn path(&self, order: u64) -> &'static str {
        self.kinds.get(&order).map_or("item", |kind| kind.path())
    }

    async fn ask(&mut self, order: u64) -> anyhow::Result<()> {
        *self.books.asked.entry(order).or_default() += 1;
        self.pending.insert(order);
        let line = format!("pay {} {order}", self.path(order));
        self.victim(Victim::Buyer)?.tell(&line).await;
        Ok(())
    }

    /// Waits for the answer to one order, and returns the credential that was delivered on.
    async fn until_answered(&mut self, order: u64) -> anyhow::Result<Option<String>> {
        loop {
            let buyer = self.victim(Victim::Buyer)?;
            let said = buyer.hear().await?.context("the buyer died, and was not meant to")?;
            if self.hear(&said)? == order {
                return Ok(said["credential"].as_str().map(str::to_owned));
            }
        }
    }

    fn hear(&mut self, said: &Value) -> anyhow::Result<u64> {
        let order = said["order"].as_u64().with_context(|| format!("no order: {said}"))?;
        self.pending.remove(&order);
        if said["delivered"] == true {
            let reference = said["reference"].as_str().map(str::to_owned);
            self.books.delivered.insert(order, reference);
            if self.interrupted.contains(&order) {
                self.books.redeemed.insert(order);
            }
        }
        Ok(order)
    }

    /// Shows a delivered credential once more, as a thief would: without the client's own name for the request. At first it
    /// may still be in hand; then it must be used up.
    async fn try_copy(&mut self, order: u64, credential: &str) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/{}/{order}", self.port, self.path(order));
        for _ in 0..100 {
            let shown =
                self.copies.post(&url).header("authorization", format!("Payment {credential}"));
            let answer = shown.body(format!("order {order}")).send().await;
            let status = answer.context("a copy of a credential")?.status();
            if status.is_success() {
                self.books.double_delivered.insert(order);
            }
            if status.as_u16() != 403 {
                break;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn victim(&mut self, victim: Victim) -> anyhow::Result<&mut Peer> {
        let peer = match victim {
            Victim::Seller => &mut self.seller,
            Victim::Buyer => &mut self.buyer,
        };
        peer.as_mut().context("a process is missing")
    }

    fn take(&mut self, victim: Victim) -> anyhow::Result<Peer> {
        let peer = match victim {
            Victim::Seller => &mut self.seller,
            Victim::Buyer => &mut self.buyer,
        };
        peer.take().context("a process is missing")
    }

    async fn start_seller(&mut self, more: &[String]) -> anyhow::Result<()> {
        let (seller, _) = self.start("seller", &self.stores.0.clone(), more).await?;
        self.seller = Some(seller);
        Ok(())
    }

    /// A buyer that died after it had read a body to the end, and before it said so, says so now.
    async fn start_buyer(&mut self, more: &[String]) -> anyhow::Result<()> {
        let (buyer, ready) = self.start("buyer", &self.stores.1.clone(), more).await?;
        self.buyer = Some(buyer);
        self.pending.clear();
        for order in ready["delivered"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            self.books.delivered.entry(order).or_default();
        }
        Ok(())
    }

    async fn start(
        &self,
        role: &str,
        store: &str,
        more: &[String],
    ) -> anyhow::Result<(Peer, Value)> {
        let mut args = vec![role.to_owned()];
        for (name, value) in
            [("--store", store), ("--rpc", &self.rpc), ("--port", &self.port.to_string())]
        {
            args.extend([name.to_owned(), value.to_owned()]);
        }
        args.extend(self.rail.args());
        args.extend_from_slice(more);
        Peer::start(&self.program, &args).await
    }
}
