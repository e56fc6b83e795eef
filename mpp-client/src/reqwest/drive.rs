//! Drives one exchange over a client: sends, hears, sends again.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use mpp_core::{
    Credential,
    payer::{Funds, Outcome, Site},
    transport::{
        ACCEPT_PAYMENT, Answer, Http, IDEMPOTENCY_KEY, PAYMENT_AUTHORIZATION, PAYMENT_SESSION,
    },
};
use reqwest::{Request, Response, Url};
use reqwest_middleware::Error as Failure;

use super::{
    delivered,
    desk::Desk,
    errand::{self, Errand},
    extend::{Memory, PerRequest},
    heard::{answer, asked_to_wait, broke, heard, without_content},
    origin, problem,
    road::{Arrival, Road},
};
use crate::{
    error::{Error, Kind},
    exchange::{Exchange, Turn},
    unfinished::Unfinished,
    wallet::Wallet,
};

/// The longest that is waited in place of the caller, over all times that one credential is shown.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is waited before a credential is shown again over a new connection.
const NEW_CONNECTION: Duration = Duration::from_millis(200);

/// One request on its way, and the wallet that pays for it.
pub(super) struct Drive<'a> {
    pub(super) wallet: &'a Wallet,
    pub(super) road: Road<'a>,
    /// How often one credential may be shown again.
    pub(super) shows: u8,
    /// Who manages accounts, beside requests.
    pub(super) desk: Option<&'a Desk>,
}

impl Drive<'_> {
    /// Sends a request, pays if that is asked, and returns the response that is the caller's.
    pub(super) async fn run(
        mut self,
        mut request: Request,
        asked: PerRequest,
    ) -> Result<Response, Failure> {
        if let Some(unfinished) = asked.resume {
            return self.resume(request, &unfinished).await;
        }
        self.wallet.tend();
        let errand = Errand::of(&request, asked, self.wallet.journal.is_some());
        if errand.key.is_some() {
            self.road.remember_key(errand.key.clone());
        }
        if !request.headers().contains_key(ACCEPT_PAYMENT)
            && let Ok(value) = HeaderValue::try_from(self.wallet.accept().to_header())
        {
            request.headers_mut().insert(ACCEPT_PAYMENT, value);
        }
        self.put_hint(&mut request);
        let from = origin::of(request.url());
        if errand.purpose.is_some() {
            let mut exchange =
                self.exchange(origin::site(request.method(), request.url()), &errand);
            if let Some(turn) = exchange.adopt().await.map_err(Failure::middleware)? {
                let spare = self.led_back(request, &exchange, turn.credential())?;
                return self.go_on(exchange, turn, spare).await;
            }
        }
        if errand::is_unsafe(request.method()) {
            errand::put_key(&mut request, errand.key.as_deref());
        }
        let arrived = self.road.unpaid(request).await?;
        let at = arrived.response.url().clone();
        if !matches!(answer(&arrived.response, None), Answer::Required { .. }) {
            return Ok(arrived.response);
        }
        if arrived.crossed || origin::of(&at) != from {
            let to = origin::of(&at);
            return Err(unpaid(Kind::CrossOriginRedirect { from, to }));
        }
        self.check_transport(&at)?;
        let spare = arrived.spare.ok_or_else(|| unpaid(Kind::BodyNotCloneable))?;
        let mut exchange = self.exchange(origin::site(spare.method(), spare.url()), &errand);
        // Read to its end where that is near, so that its connection can carry the payment.
        let (response, body) = problem::peek(arrived.response).await;
        let required = answer(&response, body.as_deref());
        drop(response);
        // While the payer pays there is nothing to show yet: should this future be dropped, nobody pays anew.
        self.remember(Memory::PayNoMore);
        match exchange.hear(required).await {
            Ok(turn) => self.go_on(exchange, turn, spare).await,
            Err(e) => {
                if e.funds() == Funds::Untouched {
                    self.remember(Memory::Nothing);
                }
                Err(Failure::middleware(e))
            }
        }
    }

    /// Shows a credential of before, to the origin it was made for, and pays nothing.
    async fn resume(
        mut self,
        request: Request,
        unfinished: &Unfinished,
    ) -> Result<Response, Failure> {
        let exchange = self.wallet.resume(unfinished);
        let spare = self.led_back(request, &exchange, Some(unfinished.credential()))?;
        let turn = exchange.turn().ok_or_else(|| unpaid(Kind::TooManyTurns))?;
        self.go_on(exchange, turn, spare).await
    }

    /// Leads a request to where a credential of before belongs, if it may carry it there.
    fn led_back(
        &self,
        mut request: Request,
        exchange: &Exchange,
        credential: Option<&Credential>,
    ) -> Result<Request, Failure> {
        self.check_transport(request.url())?;
        let made_for = &exchange.to().origin;
        if origin::of(request.url()) != *made_for {
            return Err(unpaid(Kind::OtherOrigin(made_for.clone())));
        }
        let wanted = credential.and_then(|credential| credential.challenge.header.as_ref());
        let default = wanted.is_none_or(|h| h.is_default());
        if default && request.headers().contains_key(header::AUTHORIZATION) {
            return Err(unpaid(Kind::AuthorizationInUse));
        }
        if !default && !self.road.redirects_off() {
            return Err(unpaid(Kind::RedirectsFollowed));
        }
        origin::lead_to(&mut request, exchange.to());
        request.try_clone().ok_or_else(|| unpaid(Kind::BodyNotCloneable))
    }

    fn exchange(&self, to: Site, errand: &Errand) -> Exchange {
        let mut exchange = self.wallet.exchange(to).accepting(errand.accept.clone());
        if errand.authorization_in_use {
            exchange = exchange.authorization_in_use();
        }
        if !self.road.redirects_off() {
            exchange = exchange.redirects_followed();
        }
        if let Some(most) = &errand.within {
            exchange = exchange.within(most.clone());
        }
        if errand.own_key {
            exchange = exchange.only_once();
        }
        exchange.about(errand.purpose.clone(), errand.key.clone())
    }

    /// Names the account that a payer has there, so that what is asked can be made out to it. Not over a client that follows
    /// redirects by itself: it would name the account to whoever it is led to.
    fn put_hint(&self, request: &mut Request) {
        if !self.road.redirects_off() {
            return;
        }
        let to = origin::site(request.method(), request.url());
        if !request.headers().contains_key(PAYMENT_SESSION)
            && origin::may_carry(self.wallet, request.url()).is_ok()
            && let Some(Ok(hint)) = self.wallet.hint(&to).map(HeaderValue::try_from)
        {
            request.headers_mut().insert(PAYMENT_SESSION, hint);
        }
    }

    /// Leaves word for later tries, where no journal has it.
    fn remember(&mut self, memory: Memory) {
        if self.wallet.journal.is_none() {
            self.road.remember(memory);
        }
    }

    /// Sends what the exchange says, until it is done.
    async fn go_on(
        &mut self,
        mut exchange: Exchange,
        mut turn: Turn,
        spare: Request,
    ) -> Result<Response, Failure> {
        loop {
            let (credential, request) = match turn {
                Turn::Manage(ref credential) => (credential.clone(), Some(without_content(&spare))),
                Turn::Send(ref credential) => (credential.clone(), spare.try_clone()),
                Turn::Done => return Err(unpaid(Kind::TooManyTurns)),
            };
            let Some(mut request) = request else { return Err(lost(&mut exchange, NoCopy).await) };
            if let Err(e) = Http::put_credential_in(request.headers_mut(), &credential) {
                return Err(lost(&mut exchange, e).await);
            }
            if matches!(turn, Turn::Send(_)) {
                if exchange.has_new_key() {
                    request.headers_mut().remove(IDEMPOTENCY_KEY);
                }
                errand::put_key(&mut request, exchange.idempotency_key());
            }
            // Should this future be dropped or fail, whoever tries again above shows this, and pays nothing new.
            let shown = Unfinished::new(credential, exchange.to().clone())
                .keyed(exchange.idempotency_key().map(str::to_owned));
            self.remember(Memory::Show(Box::new(shown)));
            let response = self.show(&mut exchange, &request).await?;
            let (mut response, answer) = heard(response).await;
            let next = exchange.hear(answer).await;
            let verdict = exchange.verdict();
            if verdict.is_some_and(|v| v.served && matches!(v.outcome(), Outcome::Accepted(_))) {
                // Past an account that was opened, a failure leaves nothing to show.
                let failed = next.is_err();
                self.remember(if failed { Memory::PayNoMore } else { Memory::Nothing });
            }
            turn = next.map_err(Failure::middleware)?;
            if matches!(turn, Turn::Done) {
                if let Some(verdict) = verdict {
                    let extensions = response.extensions_mut();
                    extensions.insert(verdict.clone());
                    verdict.receipt().map(|receipt| extensions.insert(receipt.clone()));
                    if let Some(desk) = self.desk {
                        desk.after(&exchange, &mut response);
                    }
                }
                return Ok(match exchange.delivery() {
                    Some(delivery) => delivered::watch(response, delivery).await,
                    None => response,
                });
            }
        }
    }

    /// Shows one credential until it is answered, or not worth showing again.
    async fn show(&mut self, exchange: &mut Exchange, paid: &Request) -> Result<Response, Failure> {
        let (mut left, mut patience) = (self.shows, PATIENCE);
        loop {
            let Some(request) = paid.try_clone() else { return Err(lost(exchange, NoCopy).await) };
            let arrived = self.road.paid(request, exchange).await;
            let wait = match &arrived {
                Ok(Arrival::Here(response)) => asked_to_wait(response),
                Ok(_) => None,
                Err(e) => broke(e).then_some(NEW_CONNECTION),
            };
            let rest = wait.and_then(|wait| Some((wait, patience.checked_sub(wait)?)));
            if let Some((wait, rest)) = rest.filter(|_| left > 0) {
                (left, patience) = (left - 1, rest);
                exchange.again();
                tracing::debug!("showing the same credential again");
                tokio::time::sleep(wait).await;
                continue;
            }
            return match arrived {
                Ok(Arrival::Here(response)) => Ok(response),
                Ok(Arrival::Elsewhere(to)) => Err(Failure::middleware(exchange.misled(&to).await)),
                Ok(Arrival::Moved(next)) => {
                    // The server took the credential, and answers an ordinary request elsewhere.
                    let moved = match self.road.unpaid(next).await {
                        Ok(moved) => moved,
                        Err(e) => return Err(lost(exchange, e).await),
                    };
                    if moved.crossed {
                        // Another origin cannot speak for the one that was paid, nor give its receipts.
                        let status = moved.response.status();
                        let said = match status.is_success() {
                            true => Answer::Served(None),
                            false => Answer::Troubled { status: status.as_u16(), problem: None },
                        };
                        exchange.hear(said).await.map_err(Failure::middleware)?;
                    }
                    Ok(moved.response)
                }
                Err(e) => Err(lost(exchange, e).await),
            };
        }
    }

    fn check_transport(&self, url: &Url) -> Result<(), Failure> {
        origin::may_carry(self.wallet, url).map_err(Failure::middleware)
    }
}

/// Whether the caller pays by hand: such a request is none of ours to pay.
pub(super) fn carries_credential(headers: &HeaderMap) -> bool {
    let scheme = |v: &HeaderValue| {
        v.as_bytes().get(..8).is_some_and(|s| s.eq_ignore_ascii_case(b"payment "))
    };
    headers.contains_key(PAYMENT_AUTHORIZATION)
        || headers.get_all(header::AUTHORIZATION).iter().any(scheme)
}

fn unpaid(kind: Kind) -> Failure {
    Failure::middleware(Error::untouched(kind))
}

async fn lost(
    exchange: &mut Exchange,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    Failure::middleware(exchange.lost(why).await)
}

/// A request was cloned once and could not be cloned again.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be copied")]
struct NoCopy;
