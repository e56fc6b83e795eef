//! The way to a server and back: what follows redirects, and what never does.

use http::{Extensions, HeaderMap, HeaderName, StatusCode, header};
use mpp_core::{
    Receipt,
    transport::{PAYMENT_AUTHORIZATION, PAYMENT_RECEIPT, PAYMENT_SESSION},
};
use reqwest::{Method, Request, Response, Url};
use reqwest_middleware::{Next, Result};

use super::{
    extend::{Memory, PerRequest},
    origin,
};
use crate::exchange::Exchange;

/// As many as clients follow by default.
const MAX_REDIRECTS: u8 = 10;

/// Headers that are one origin's business. Neither client nor standard strips the last two.
const FOR_ONE_ORIGIN: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    header::HOST,
    PAYMENT_AUTHORIZATION,
    PAYMENT_SESSION,
];

/// The rest of the client, for one request.
pub(super) struct Road<'a> {
    next: Next<'a>,
    extensions: &'a mut Extensions,
    redirects_off: bool,
}

/// What came of a request without a credential.
pub(super) struct Arrived {
    pub(super) response: Response,
    /// The request that led to the response, if it can be sent again.
    pub(super) spare: Option<Request>,
    /// A redirect on the way led to another origin.
    pub(super) crossed: bool,
}

/// What came of a request with a credential.
pub(super) enum Arrival {
    /// An answer from the origin that was paid.
    Here(Response),
    /// The answer is to be asked for elsewhere in the same origin, by this request, which carries no credential.
    Moved(Request),
    /// A redirect to another origin, or an answer from one, which saw no credential.
    Elsewhere(String),
}

impl<'a> Road<'a> {
    pub(super) fn new(next: Next<'a>, extensions: &'a mut Extensions, redirects_off: bool) -> Self {
        Self { next, extensions, redirects_off }
    }

    /// Whether the client underneath leaves redirects to us.
    pub(super) fn redirects_off(&self) -> bool {
        self.redirects_off
    }

    /// Leaves, in the extensions that middleware above sends again, what to do instead of paying anew.
    pub(super) fn remember(&mut self, memory: Memory) {
        let mut asked = self.extensions.get::<PerRequest>().cloned().unwrap_or_default();
        asked.remember(memory);
        self.extensions.insert(asked);
    }

    /// Leaves the idempotency key of the request for later tries of it.
    pub(super) fn remember_key(&mut self, key: Option<String>) {
        let mut asked = self.extensions.get::<PerRequest>().cloned().unwrap_or_default();
        asked.key = key;
        self.extensions.insert(asked);
    }

    /// Sends a request, and follows redirects where the client does not.
    pub(super) async fn unpaid(&mut self, mut request: Request) -> Result<Arrived> {
        let mut crossed = false;
        let mut left = MAX_REDIRECTS;
        loop {
            let spare = request.try_clone();
            let response = self.send(request).await?;
            if !self.redirects_off {
                let spare = spare.map(|spare| at_final_url(spare, response.url()));
                return Ok(Arrived { response, spare, crossed });
            }
            let next = spare.as_ref().filter(|_| left > 0).and_then(|s| next(s, &response));
            let Some((next, cross)) = next else {
                return Ok(Arrived { response, spare, crossed });
            };
            crossed |= cross;
            left -= 1;
            request = next;
        }
    }

    /// Sends a request with a credential. The credential stays in its origin: redirects within it are followed with
    /// the credential where they move the request itself (307, 308), and without it where they only name the answer. The
    /// exchange hears of each: whoever answers with a redirect has seen the credential, and may have taken it.
    pub(super) async fn paid(
        &mut self,
        mut request: Request,
        exchange: &mut Exchange,
    ) -> Result<Arrival> {
        let paid = origin::of(request.url());
        let mut left = MAX_REDIRECTS;
        loop {
            let spare = request.try_clone();
            let mut sent_to = request.url().clone();
            let response = self.send(request).await?;
            let at = origin::of(response.url());
            if at != paid {
                return Ok(Arrival::Elsewhere(at));
            }
            if response.status().is_redirection() {
                exchange.redirected(receipt(&response));
            }
            if !self.redirects_off {
                // Fragments stay with the client.
                sent_to.set_fragment(response.url().fragment());
                if sent_to != *response.url() {
                    exchange.redirected(None);
                }
                return Ok(Arrival::Here(response));
            }
            let next = spare.as_ref().filter(|_| left > 0).and_then(|s| next(s, &response));
            match next {
                None => return Ok(Arrival::Here(response)),
                Some((next, true)) => return Ok(Arrival::Elsewhere(origin::of(next.url()))),
                Some((next, false)) if moves_the_request(response.status()) => {
                    left -= 1;
                    request = next;
                }
                Some((mut next, false)) => {
                    remove_credential(next.headers_mut());
                    return Ok(Arrival::Moved(next));
                }
            }
        }
    }

    async fn send(&mut self, request: Request) -> Result<Response> {
        self.next.clone().run(request, self.extensions).await
    }
}

/// The request that a redirect asks for, without what is not the next origin's business, and whether that is another.
fn next(sent: &Request, response: &Response) -> Option<(Request, bool)> {
    let status = response.status();
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(header::LOCATION).filter(|_| redirects)?;
    let mut url = sent.url().join(location.to_str().ok()?).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if url.fragment().is_none() {
        url.set_fragment(sent.url().fragment());
    }
    let mut next = sent.try_clone()?;
    let crossed = origin::of(&url) != origin::of(sent.url());
    *next.url_mut() = url;
    if crossed {
        FOR_ONE_ORIGIN.into_iter().for_each(|name| drop(next.headers_mut().remove(name)));
    }
    let post = *sent.method() == Method::POST && matches!(status.as_u16(), 301 | 302);
    let other = status == StatusCode::SEE_OTHER && *sent.method() != Method::HEAD;
    if post || other {
        *next.method_mut() = Method::GET;
        origin::remove_content(&mut next);
    }
    Some((next, crossed))
}

/// Where a client followed redirects of a GET by itself, the payment goes straight to the end of them. What became of
/// the method of another request cannot be told: its payment takes the same way again.
fn at_final_url(mut spare: Request, url: &Url) -> Request {
    if matches!(*spare.method(), Method::GET | Method::HEAD) {
        *spare.url_mut() = url.clone();
    }
    spare
}

/// Whether the request was not served here and belongs elsewhere, as against served here and answered elsewhere.
fn moves_the_request(status: StatusCode) -> bool {
    matches!(status.as_u16(), 307 | 308)
}

/// Codecs read receipts of successes alone; a redirect may be the whole answer to a credential.
fn receipt(response: &Response) -> Option<Receipt> {
    let token = response.headers().get(PAYMENT_RECEIPT)?.to_str().ok()?;
    Receipt::from_token(token).ok()
}

/// An application's own `Authorization` stays.
fn remove_credential(headers: &mut HeaderMap) {
    headers.remove(PAYMENT_AUTHORIZATION);
    if super::drive::carries_credential(headers) {
        headers.remove(header::AUTHORIZATION);
    }
}
