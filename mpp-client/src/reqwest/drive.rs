//! Drives one exchange over a client: sends, hears, sends again.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use mpp_core::{
    payer::Funds,
    transport::{ACCEPT_PAYMENT, Answer, Http, PAYMENT_AUTHORIZATION},
};
use reqwest::{Method, Request, Response, Url};
use reqwest_middleware::Error as Failure;

use super::{
    extend::PerRequest,
    origin,
    road::{Arrival, Road},
};
use crate::{
    error::{Error, Kind},
    exchange::{Exchange, Turn},
    unfinished::Unfinished,
    wallet::Wallet,
};

/// The longest 402 body that is read.
const LONGEST_PROBLEM: usize = 64 * 1024;
/// The longest `Retry-After` that is waited for in place of the caller.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What is waited before a credential is shown again over a new connection.
const NEW_CONNECTION: Duration = Duration::from_millis(200);

/// One request on its way, and the wallet that pays for it.
pub(super) struct Drive<'a> {
    pub(super) wallet: &'a Wallet,
    pub(super) road: Road<'a>,
    /// How often one credential may be shown again.
    pub(super) shows: u8,
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
        let accept = Http::read_accept(request.headers());
        let in_use = request.headers().contains_key(header::AUTHORIZATION);
        if !request.headers().contains_key(ACCEPT_PAYMENT)
            && let Ok(value) = HeaderValue::try_from(self.wallet.accept().to_header())
        {
            request.headers_mut().insert(ACCEPT_PAYMENT, value);
        }
        let from = origin::of(request.url());
        let mut arrived = self.road.unpaid(request).await?;
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

        let to = origin::site(spare.method(), spare.url());
        let mut exchange = self.wallet.exchange(to).accepting(accept);
        if in_use {
            exchange = exchange.authorization_in_use();
        }
        if !self.road.redirects_off() {
            exchange = exchange.redirects_followed();
        }
        if let Some(most) = asked.within {
            exchange = exchange.within(most);
        }
        // Read to its end, so that its connection can carry the payment.
        let body = problem_body(&mut arrived.response).await;
        let required = answer(&arrived.response, body.as_deref());
        let turn = exchange.hear(required).await.map_err(Failure::middleware)?;
        self.go_on(exchange, turn, spare).await
    }

    /// Shows a credential of before, to the origin it was made for, and pays nothing.
    async fn resume(
        mut self,
        request: Request,
        unfinished: &Unfinished,
    ) -> Result<Response, Failure> {
        self.check_transport(request.url())?;
        let made_for = &unfinished.to().origin;
        if origin::of(request.url()) != *made_for {
            return Err(unpaid(Kind::OtherOrigin(made_for.clone())));
        }
        let wanted = unfinished.credential().challenge.header.as_ref();
        let default = wanted.is_none_or(|h| h.is_default());
        if default && request.headers().contains_key(header::AUTHORIZATION) {
            return Err(unpaid(Kind::AuthorizationInUse));
        }
        if !default && !self.road.redirects_off() {
            return Err(unpaid(Kind::RedirectsFollowed));
        }
        let spare = request.try_clone().ok_or_else(|| unpaid(Kind::BodyNotCloneable))?;
        let exchange = self.wallet.resume(unfinished);
        let turn = Turn::Send(unfinished.credential().clone());
        self.go_on(exchange, turn, spare).await
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
                Turn::Manage(credential) => (credential, Some(without_content(&spare))),
                Turn::Send(credential) => (credential, spare.try_clone()),
                Turn::Done => return Err(unpaid(Kind::TooManyTurns)),
            };
            let Some(mut request) = request else { return Err(lost(&mut exchange, NoCopy)) };
            if let Err(e) = Http::put_credential_in(request.headers_mut(), &credential) {
                return Err(lost(&mut exchange, e));
            }
            // Should this future be dropped or fail, whoever tries again above shows this, and pays nothing new.
            self.road.remember(Some(Unfinished::new(credential, exchange.to().clone())));
            let mut response = self.show(&mut exchange, &request).await?;
            turn = exchange.hear(answer(&response, None)).await.map_err(Failure::middleware)?;
            let verdict = exchange.verdict();
            if verdict.is_some_and(|v| v.funds() != Funds::Unknown) {
                self.road.remember(None);
            }
            if matches!(turn, Turn::Done) {
                if let Some(verdict) = verdict {
                    let extensions = response.extensions_mut();
                    extensions.insert(verdict.clone());
                    verdict.receipt().map(|receipt| extensions.insert(receipt.clone()));
                }
                return Ok(response);
            }
        }
    }

    /// Shows one credential until it is answered, or not worth showing again.
    async fn show(&mut self, exchange: &mut Exchange, paid: &Request) -> Result<Response, Failure> {
        let mut left = self.shows;
        loop {
            let Some(request) = paid.try_clone() else { return Err(lost(exchange, NoCopy)) };
            let arrived = self.road.paid(request).await;
            let wait = match &arrived {
                Ok(Arrival::Here(response)) => asked_to_wait(response),
                Ok(_) => None,
                Err(e) => broke(e).then_some(NEW_CONNECTION),
            };
            if let Some(wait) = wait.filter(|_| left > 0) {
                left -= 1;
                exchange.again();
                tracing::debug!("showing the same credential again");
                tokio::time::sleep(wait).await;
                continue;
            }
            return match arrived {
                Ok(Arrival::Here(response)) => Ok(response),
                Ok(Arrival::Elsewhere(to)) => Err(Failure::middleware(exchange.misled(&to))),
                Ok(Arrival::Moved(next)) => {
                    // The server took the credential, and answers an ordinary request elsewhere.
                    exchange.hear(Answer::Served(None)).await.map_err(Failure::middleware)?;
                    Ok(self.road.unpaid(next).await?.response)
                }
                Err(e) => Err(lost(exchange, e)),
            };
        }
    }

    fn check_transport(&self, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().unwrap_or_default();
        if origin::is_private_enough(url)
            || url.scheme() == "http" && self.wallet.allows_plain_http(host)
        {
            return Ok(());
        }
        Err(unpaid(Kind::InsecureTransport(host.to_owned())))
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

/// Reads the body of a problem, whole or not at all; a longer one is left where it is.
pub(super) async fn problem_body(response: &mut Response) -> Option<Vec<u8>> {
    if response.content_length().is_some_and(|n| n > LONGEST_PROBLEM as u64) {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST_PROBLEM {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

pub(super) fn answer(response: &Response, body: Option<&[u8]>) -> Answer {
    Http::read_head(response.status(), response.headers(), body)
}

/// The same place, asked for nothing: a POST without query or body, which servers take as management.
fn without_content(request: &Request) -> Request {
    let mut url = request.url().clone();
    url.set_query(None);
    let mut bare = Request::new(Method::POST, url);
    *bare.timeout_mut() = request.timeout().copied();
    *bare.headers_mut() = request.headers().clone();
    for content in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::EXPECT,
    ] {
        bare.headers_mut().remove(content);
    }
    bare
}

/// How long a server that cannot tell yet asks to wait, where that is short.
fn asked_to_wait(response: &Response) -> Option<Duration> {
    if response.status() != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let wait = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(wait)).filter(|wait| *wait <= LONGEST_WAIT)
}

/// Whether a connection failed before an answer came, in less than the time the caller gave.
fn broke(e: &Failure) -> bool {
    !e.is_timeout() && (e.is_connect() || e.is_request())
}

fn unpaid(kind: Kind) -> Failure {
    Failure::middleware(Error::untouched(kind))
}

fn lost(
    exchange: &mut Exchange,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    Failure::middleware(exchange.lost(why))
}

/// A request was cloned once and could not be cloned again.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be copied")]
struct NoCopy;
