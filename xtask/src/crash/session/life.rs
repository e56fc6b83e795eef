//! The life of one channel, over a seller that dies: opened, read from, paid ahead of, topped up, collected, closed.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use mpp_core::{
    Credential,
    transport::{Http, read_challenges},
};
use mpp_tempo::session::NeedVoucher;
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    points::{PHASES, Phase, Plan},
    purse::{Channel, Purse},
    stall::{BATCH, Stall},
};

/// What a unit costs, in base units.
pub(super) const PRICE: u128 = 100;
/// What is deposited at first, and each time again: sixteen units.
const DEPOSIT: u128 = 16 * PRICE;
/// How often an answer of 503 is asked about.
const ASKS: u32 = 100;
/// How long a collection may take to begin and to end.
const COLLECTION: Duration = Duration::from_millis(1500);

/// What became of a channel, as its payer saw it.
#[derive(Clone, Debug)]
pub(super) struct Lived {
    pub(super) channel: Channel,
    /// Units that arrived.
    pub(super) received: u64,
    /// Kills in the middle of a stream: what each may cost is a batch.
    pub(super) interrupted: u64,
    /// Each deposit that was ordered and acknowledged.
    pub(super) deposits: Vec<u128>,
    /// The highest voucher signed.
    pub(super) signed: u128,
    /// Points that were armed and not reached.
    pub(super) missed: Vec<(Phase, &'static str)>,
    /// As the seller had it on its books in the end.
    pub(super) books: Value,
}

/// How reading from a stream ended.
#[derive(PartialEq, Eq)]
enum Read {
    Whole,
    /// The seller died.
    Broken,
    /// Not served now: to be asked again.
    Later,
}

/// How an order was answered.
#[derive(PartialEq, Eq)]
enum Ordered {
    Done,
    /// The seller died.
    Broken,
    /// The seller died, is there again, and has done it.
    Late,
}

/// A payer at a stall.
pub(super) struct Life<'a> {
    stall: &'a mut Stall,
    purse: &'a mut Purse,
    http: reqwest::Client,
    opening: Option<Credential>,
    /// Whether its payer leaves after the first kill, and has left.
    leaves: (bool, bool),
    lived: Lived,
}

impl<'a> Life<'a> {
    /// Lives one channel's life by a plan.
    pub(super) async fn live(
        stall: &'a mut Stall,
        purse: &'a mut Purse,
        plan: &Plan,
    ) -> anyhow::Result<Lived> {
        // A connection of before leads to the dead.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
        let asked = http.get(stall.url("")).send().await?;
        let challenge = read_challenges(asked.headers()).into_iter().next();
        let challenge = challenge.context("nothing is asked")?;
        let first = PRICE * u128::from(BATCH);
        let (channel, opening) = purse.open(challenge, (DEPOSIT, first)).await?;
        let lived = Lived {
            channel,
            received: 0,
            interrupted: 0,
            deposits: vec![DEPOSIT],
            signed: first,
            missed: Vec::new(),
            books: Value::Null,
        };
        let (opening, leaves) = (Some(opening), (plan.leaves, false));
        let mut me = Self { stall, purse, http, opening, leaves, lived };
        for (phase, point) in PHASES.into_iter().zip(&plan.points) {
            if let Some(point) = point {
                me.stall.arm(phase, point).await?;
            }
            me.pass(phase).await.with_context(|| format!("{phase:?}, {point:?}"))?;
            let missed = me.stall.disarm().await?;
            // What a short life was armed with may well not come.
            let reached = plan.leaves || Some(missed.map_or("", |missed| missed.1)) != *point;
            me.lived.missed.extend(missed.filter(|_| !reached));
            if me.leaves.1 {
                break;
            }
        }
        if me.leaves.1 {
            me.left_alone().await?;
        } else {
            me.is_over().await?;
        }
        me.lived.books = me.books().await?;
        Ok(me.lived)
    }

    async fn pass(&mut self, phase: Phase) -> anyhow::Result<()> {
        match phase {
            Phase::Open => self.buy(3).await,
            Phase::Stream => self.buy(7).await,
            Phase::Voucher => self.buy(5).await,
            Phase::TopUp => self.top_up().await.map(drop),
            Phase::Collect => self.collected().await,
            Phase::Close => self.close().await,
        }
    }

    /// Reads until so many units more have arrived.
    async fn buy(&mut self, units: u64) -> anyhow::Result<()> {
        let goal = self.lived.received + units;
        for _ in 0..ASKS {
            if self.lived.received >= goal {
                return Ok(());
            }
            match self.read(goal - self.lived.received).await? {
                Read::Whole => {}
                Read::Broken => {
                    self.lived.interrupted += 1;
                    self.stall.revive().await?;
                    if self.leaves.0 {
                        self.leaves.1 = true;
                        return Ok(());
                    }
                }
                Read::Later => pause().await,
            }
        }
        bail!("the stream does not come to its end")
    }

    /// Reads one stream. Until one was answered what opens the channel is shown again: it may be open, or not.
    async fn read(&mut self, want: u64) -> anyhow::Result<Read> {
        let shown = match &self.opening {
            Some(opening) => opening.clone(),
            None => self.purse.draw(&self.lived.channel, self.lived.signed).await?,
        };
        let url = self.stall.url(&format!("?want={want}"));
        let Ok(mut response) = self.show(Method::GET, &url, &shown).await? else {
            return Ok(Read::Broken);
        };
        match response.status() {
            StatusCode::OK => self.opening = None,
            StatusCode::PAYMENT_REQUIRED => {
                let problem = response.text().await.unwrap_or_default();
                if !problem.contains("\"short-balance\"") {
                    return untried(&problem).map(|()| Read::Later);
                }
                // The channel is there, and the best voucher was collected: everybody can read it, so it buys nothing more.
                self.opening = None;
                return Ok(match self.pay(self.lived.signed + PRICE).await? {
                    Ordered::Broken => Read::Broken,
                    _ => Read::Later,
                });
            }
            _ => return later(response).await.map(|()| Read::Later),
        }
        let mut text = String::new();
        loop {
            let Ok(chunk) = response.chunk().await else { return Ok(Read::Broken) };
            let Some(chunk) = chunk else { bail!("a stream without its receipt") };
            text.push_str(std::str::from_utf8(&chunk)?);
            while let Some((event, rest)) = text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                text = rest;
                if let Some(end) = self.hear(&event).await? {
                    return Ok(end);
                }
            }
        }
    }

    /// One event of a stream; how it ended, if it did.
    async fn hear(&mut self, event: &str) -> anyhow::Result<Option<Read>> {
        let (name, data) = event
            .strip_prefix("event: ")
            .and_then(|event| event.split_once("\ndata: "))
            .with_context(|| format!("no event: {event}"))?;
        match name {
            "unit" => self.lived.received += 1,
            "payment-receipt" => return Ok(Some(Read::Whole)),
            "payment-need-voucher" => {
                let need: NeedVoucher = serde_json::from_str(data)?;
                match self.pay(need.required_cumulative.get()).await? {
                    Ordered::Done => {}
                    Ordered::Broken => return Ok(Some(Read::Broken)),
                    Ordered::Late => return Ok(Some(Read::Later)),
                }
            }
            _ => bail!("the stream ended: {event}"),
        }
        Ok(None)
    }

    /// Signs what a stream needs, and no more than this payer's own count allows.
    async fn pay(&mut self, required: u128) -> anyhow::Result<Ordered> {
        let most = self.lived.received + BATCH * (self.lived.interrupted + 1);
        ensure!(
            required <= PRICE * u128::from(most),
            "{required} is asked for where {} units came and {} kills cost a batch",
            self.lived.received,
            self.lived.interrupted
        );
        while required > self.deposit() {
            // Where the seller died over it the stream is dead as well.
            if self.top_up().await? == Ordered::Late {
                self.lived.interrupted += 1;
                return Ok(Ordered::Late);
            }
        }
        self.lived.signed = self.lived.signed.max(required);
        let voucher = self.purse.draw(&self.lived.channel, self.lived.signed).await?;
        self.order(&voucher, &[StatusCode::NO_CONTENT]).await
    }

    /// Adds to the deposit, however often the seller dies over it: the money may have moved, so the same is shown until that is
    /// known.
    async fn top_up(&mut self) -> anyhow::Result<Ordered> {
        let credential = self.purse.top_up(&self.lived.channel, DEPOSIT).await?;
        let mut ordered = Ordered::Done;
        while self.order(&credential, &[StatusCode::NO_CONTENT]).await? == Ordered::Broken {
            self.stall.revive().await?;
            ordered = Ordered::Late;
        }
        self.lived.deposits.push(DEPOSIT);
        Ok(ordered)
    }

    fn deposit(&self) -> u128 {
        self.lived.deposits.iter().sum()
    }

    /// Reads until the seller has collected, or died over it.
    async fn collected(&mut self) -> anyhow::Result<()> {
        let before = self.stall.kills;
        for _ in 0..3 {
            self.buy(6).await?;
            if self.leaves.1 || !self.stall.is_armed() || self.stall.kills > before {
                return Ok(());
            }
            if self.stall.dies_within(COLLECTION).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Closes: by the payer's word, or by the seller itself.
    async fn close(&mut self) -> anyhow::Result<()> {
        if self.stall.dice.one_in(3) {
            return self.closed_by_seller().await;
        }
        let last = self.purse.close(&self.lived.channel, self.lived.signed).await?;
        // What was closed before is told to be closed.
        let ends = [StatusCode::NO_CONTENT, StatusCode::GONE];
        while self.order(&last, &ends).await? == Ordered::Broken {
            self.stall.revive().await?;
        }
        Ok(())
    }

    /// Its payer is gone: what is on the books the seller closes by itself, and what is not must be nowhere.
    async fn left_alone(&mut self) -> anyhow::Result<()> {
        loop {
            let swept = self.stall.ask("sweep").await?;
            if swept.is_some_and(|said| said["swept"] == true) {
                break;
            }
            pause().await;
        }
        match self.books().await?["found"] == true {
            true => self.closed_by_seller().await,
            false => Ok(()),
        }
    }

    async fn closed_by_seller(&mut self) -> anyhow::Result<()> {
        let line = format!("close {}", self.lived.channel.id);
        for _ in 0..ASKS {
            // What a sweep has closed already it cannot close again: the books tell.
            self.stall.ask(&line).await?;
            if self.books().await?["state"] == "closed" {
                return Ok(());
            }
            pause().await;
        }
        bail!("the seller does not get it closed")
    }

    /// Shows a credential that asks for nothing, until it has an answer.
    async fn order(&mut self, shown: &Credential, ends: &[StatusCode]) -> anyhow::Result<Ordered> {
        let url = self.stall.url("");
        for _ in 0..ASKS {
            let Ok(response) = self.show(Method::POST, &url, shown).await? else {
                return Ok(Ordered::Broken);
            };
            if ends.contains(&response.status()) {
                return Ok(Ordered::Done);
            }
            later(response).await?;
            pause().await;
        }
        bail!("an order is never answered")
    }

    async fn show(
        &self,
        method: Method,
        url: &str,
        shown: &Credential,
    ) -> anyhow::Result<reqwest::Result<Response>> {
        let mut headers = HeaderMap::new();
        Http::put_credential_in(&mut headers, shown)?;
        Ok(self.http.request(method, url).headers(headers).send().await)
    }

    async fn books(&mut self) -> anyhow::Result<Value> {
        let line = format!("books {}", self.lived.channel.id);
        loop {
            if let Some(said) = self.stall.ask(&line).await? {
                return Ok(said);
            }
        }
    }

    /// Nothing is had for a voucher of a channel that is closed.
    async fn is_over(&mut self) -> anyhow::Result<()> {
        let shown = self.purse.draw(&self.lived.channel, self.lived.signed).await?;
        let url = self.stall.url("?want=1");
        let status = self.show(Method::GET, &url, &shown).await??.status();
        ensure!(status == StatusCode::GONE, "a closed channel is answered by {status}");
        Ok(())
    }
}

/// Sees that an answer which serves nothing says no more than "not now".
async fn later(response: Response) -> anyhow::Result<()> {
    let status = response.status();
    let problem = response.text().await.unwrap_or_default();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Ok(()),
        StatusCode::PAYMENT_REQUIRED => untried(&problem),
        _ => bail!("{status}: {problem}"),
    }
}

/// The local chain can answer a trial by the state of a block before, while the next is mined: without what its front wrote
/// there in place of the precompile. Such a deposit would be refused, is not sent, and may be shown again.
fn untried(problem: &str) -> anyhow::Result<()> {
    ensure!(problem.contains("\"would-fail\""), "402: {problem}");
    Ok(())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}
