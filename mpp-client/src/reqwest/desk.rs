//! Manages accounts beside requests: over a client of its own, and never two top-ups at one place at a time.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mpp_core::{
    Challenge, Credential,
    name::MethodId,
    payer::Wish,
    transport::{Answer, Http},
};
use reqwest::{Client, Method, Request, Response, Url};
use reqwest_middleware::Error as Failure;

use super::{
    events,
    heard::{asked_to_wait, broke, heard, without_content},
    origin,
};
use crate::{
    account,
    error::{Error, Kind},
    event::Event,
    exchange::{Exchange, Turn},
    verdict::Verdict,
    wallet::Wallet,
};

/// The longest that one managed step may take: rails confirm within seconds.
const STEP: Duration = Duration::from_secs(30);
/// How often one step is shown again, and the longest that is waited before.
const SHOWS: u8 = 2;
const PATIENCE: Duration = Duration::from_secs(5);
const NEW_CONNECTION: Duration = Duration::from_millis(200);
/// What moves a deposit is not begun under a challenge that ends sooner than this.
const SOON: Duration = Duration::from_secs(5);
/// How long nothing is done unasked after that failed: what was refused stays spent.
const REST: Duration = Duration::from_secs(300);

/// Whose wishes, and where.
type Whose = (MethodId, String);

/// Manages accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    wallet: Arc<Wallet>,
    client: Client,
    redirects_off: bool,
    unasked: Mutex<Unasked>,
    /// Who puts something at stake at an origin right now: a second top-up would fund the same twice.
    funding: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Default)]
struct Unasked {
    busy: HashSet<Whose>,
    failed: HashMap<Whose, Instant>,
}

/// An account that an answer drew upon: whose, where, and under which challenge.
#[derive(Clone)]
pub(super) struct Drawn {
    pub(super) desk: Desk,
    pub(super) url: Url,
    pub(super) challenge: Challenge,
    /// The name of the account, where it is known: other names in what is said of it are not believed.
    pub(super) account: Option<String>,
}

impl Desk {
    pub(super) fn new(wallet: Arc<Wallet>, client: Client, redirects_off: bool) -> Self {
        let (unasked, funding) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { wallet, client, redirects_off, unasked, funding }))
    }

    pub(crate) fn wallet(&self) -> &Wallet {
        &self.0.wallet
    }

    /// Whether its client leaves redirects alone.
    pub(super) fn redirects_off(&self) -> bool {
        self.0.redirects_off
    }

    /// Lets a response know the account that it drew upon, and does what the payer would rather do before it must.
    pub(super) fn after(&self, exchange: &Exchange, response: &mut Response) {
        // Some say nothing of a stream's payment before its end.
        let told = |v: &Verdict| v.receipt().is_some() || events::is_stream(response);
        let served = exchange.verdict().is_some_and(|v| v.served && told(v));
        let challenge = exchange.challenge().filter(|challenge| is_metered(challenge));
        let Some(challenge) = challenge.filter(|_| served) else { return };
        let url = response.url().clone();
        if origin::of(&url) != exchange.to().origin {
            return;
        }
        let paid = |v: &Verdict| account::drawn_upon(v.unfinished().credential(), v.receipt());
        let account = exchange.verdict().and_then(paid);
        let drawn = Drawn { desk: self.clone(), url, challenge: challenge.clone(), account };
        drawn.tend();
        response.extensions_mut().insert(drawn);
    }

    /// Grants a wish at an address, under one of these challenges or a fresh one. `None`: there was nothing to do.
    ///
    /// # Errors
    /// As for [`Exchange::manage`], and what a server refused.
    pub(super) async fn grant(
        &self,
        url: &Url,
        challenges: Vec<Challenge>,
        wish: Wish,
    ) -> Result<Option<Verdict>, Error> {
        let to = origin::site(&Method::POST, url);
        let staking = self.wallet().would_stake(&challenges, &wish, &to);
        let lock = staking.then(|| self.funding(&to.origin));
        let _alone = match &lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        let challenges = if staking { self.fresh(url, challenges).await? } else { challenges };
        self.manage(url, challenges, wish).await
    }

    /// Does what the payer of an account would rather do before it must, and would still: what it wished for may have been
    /// done by others who were at it.
    async fn grant_unasked(&self, drawn: &Drawn) -> Result<Option<Verdict>, Error> {
        let lock = self.funding(&origin::of(&drawn.url));
        let _alone = lock.lock().await;
        let challenges = self.fresh(&drawn.url, vec![drawn.challenge.clone()]).await?;
        match self.wallet().wishes(&drawn.challenge) {
            Some(wish) => self.manage(&drawn.url, challenges, wish).await,
            None => Ok(None),
        }
    }

    /// Challenges under which something can be moved: these, or fresh ones where all of them end soon.
    async fn fresh(&self, url: &Url, challenges: Vec<Challenge>) -> Result<Vec<Challenge>, Error> {
        if challenges.iter().all(|challenge| self.ends_soon(challenge)) {
            return self.ask(url).await;
        }
        Ok(challenges)
    }

    async fn manage(
        &self,
        url: &Url,
        challenges: Vec<Challenge>,
        wish: Wish,
    ) -> Result<Option<Verdict>, Error> {
        let wallet = self.wallet();
        origin::may_carry(wallet, url)?;
        let bare = without_content(&Request::new(Method::POST, url.clone()));
        let to = origin::site(bare.method(), bare.url());
        let mut exchange = wallet.exchange(to);
        if !self.redirects_off() {
            exchange = exchange.redirects_followed();
        }
        let mut turn = exchange.manage(challenges, wish).await?;
        while let Turn::Manage(credential) = turn {
            let answer = self.show(&mut exchange, &bare, &credential).await?;
            turn = exchange.hear(answer).await?;
        }
        let verdict = exchange.verdict().cloned();
        verdict.as_ref().and_then(Verdict::error).map_or(Ok(verdict), Err)
    }

    /// Shows one step until it is answered, or not worth showing again.
    async fn show(
        &self,
        exchange: &mut Exchange,
        bare: &Request,
        credential: &Credential,
    ) -> Result<Answer, Error> {
        let mut left = SHOWS;
        loop {
            // Nothing but the credential: no other header of the request is this errand's business.
            let mut request = Request::new(Method::POST, bare.url().clone());
            *request.timeout_mut() = Some(STEP);
            if let Err(e) = Http::put_credential_in(request.headers_mut(), credential) {
                return Err(exchange.lost(e).await);
            }
            // A crash in here leaves what was put at stake in the journal, and its payer's books as they are.
            let arrived = self.0.client.execute(request).await.map_err(Failure::from);
            let wait = match &arrived {
                Ok(response) => asked_to_wait(response).filter(|wait| *wait <= PATIENCE),
                Err(e) => broke(e).then_some(NEW_CONNECTION),
            };
            if let Some(wait) = wait.filter(|_| left > 0) {
                left -= 1;
                exchange.again();
                tokio::time::sleep(wait).await;
                continue;
            }
            let response = match arrived {
                Ok(response) => response,
                Err(e) => return Err(exchange.lost(e).await),
            };
            let at = origin::of(response.url());
            if at != exchange.to().origin {
                return Err(exchange.misled(&at).await);
            }
            return Ok(heard(response).await.1);
        }
    }

    /// Whether a challenge ends before anything could be moved under it.
    pub(crate) fn ends_soon(&self, challenge: &Challenge) -> bool {
        let soon = self.wallet().clock.now().plus(SOON);
        challenge.expires.as_ref().is_some_and(|e| e.expired_at(&soon))
    }

    /// Who may put something at stake at an origin.
    pub(crate) fn funding(&self, origin: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut funding = self.0.funding.lock().unwrap_or_else(PoisonError::into_inner);
        funding.retain(|_, lock| Arc::strong_count(lock) > 1);
        funding.entry(origin.to_owned()).or_default().clone()
    }

    /// No panic can happen while it is held; a poisoned one is as good as any.
    fn unasked(&self) -> MutexGuard<'_, Unasked> {
        self.0.unasked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of this desk's own, which carries no credential.
    pub(super) async fn send(&self, mut request: Request) -> Result<Response, Error> {
        let url = request.url().clone();
        origin::may_carry(self.wallet(), &url)?;
        *request.timeout_mut() = Some(STEP);
        let sent = self.0.client.execute(request).await;
        let response = sent.map_err(|e| Error::untouched(Kind::Transport).because(e))?;
        let (from, to) = (origin::of(&url), origin::of(response.url()));
        if from == to {
            return Ok(response);
        }
        Err(Error::untouched(Kind::CrossOriginRedirect { from, to }))
    }
}

impl Drawn {
    /// Grants a wish under its challenge, and goes on under that which was accepted.
    pub(super) async fn grant(mut self, wish: Wish) -> Result<Self, Error> {
        let challenges = vec![self.challenge.clone()];
        let verdict = self.desk.grant(&self.url, challenges, wish).await?;
        if let Some(verdict) = verdict.filter(|verdict| verdict.receipt().is_some()) {
            let step = verdict.unfinished().credential();
            self.account = self.account.or_else(|| account::drawn_upon(step, verdict.receipt()));
            self.challenge = step.challenge.clone();
        }
        self.tend();
        Ok(self)
    }

    /// Does, in a task of its own, what its payer would rather do before it must: one thing at a time and place.
    pub(super) fn tend(&self) {
        let Some(wish) = self.desk.wallet().wishes(&self.challenge) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let whose = (self.challenge.method_id(), origin::of(&self.url));
        {
            let mut unasked = self.desk.unasked();
            unasked.failed.retain(|_, since| since.elapsed() < REST);
            if unasked.failed.contains_key(&whose) || !unasked.busy.insert(whose.clone()) {
                return;
            }
        }
        let busy = Busy(self.desk.clone(), whose);
        let drawn = self.clone();
        runtime.spawn(async move { busy.run(drawn, wish).await });
    }
}

/// An errand on its way; dropped, another may begin.
struct Busy(Desk, Whose);

impl Busy {
    async fn run(self, drawn: Drawn, wish: Wish) {
        let Err(e) = self.0.grant_unasked(&drawn).await else { return };
        tracing::warn!(error = %e, "an account could not be tended");
        self.0.unasked().failed.insert(self.1.clone(), Instant::now());
        let to = origin::site(&Method::POST, &drawn.url);
        let id = self.1.0.clone();
        self.0.wallet().tell(|| Event::Ungranted { to, id, wish, why: e.to_string() });
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.unasked().busy.remove(&self.1);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk(..)")
    }
}

fn is_metered(challenge: &Challenge) -> bool {
    use mpp_core::Intent;
    challenge.intent == mpp_core::intent::Session::NAME
}
