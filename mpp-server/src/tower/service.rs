//! One request through a paywall.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
    request::Parts,
};
use http_body::Body;
use mpp_core::{
    problem::Rejection,
    transport::{
        Call, Http, PAYMENT_AUTHORIZATION, PAYMENT_RECEIPT, PAYMENT_SESSION, Refusal, Resource,
        Wants,
    },
};
use tower_service::Service;

use super::{
    Menu, PaywallBody, Reading, Wall,
    kept::{self, Passing},
    original,
    reading::manages,
    secure,
};
use crate::{
    permit::{Acknowledged, Admission, Ending, Permit},
    route::Route,
};

/// Header fields together longer than this are more than common proxies take, and become their 502.
const COMMON_PROXY_BUFFER: usize = 4096;

/// A service behind a paywall. Made by the layer [`Paywall`](super::Paywall).
#[derive(Clone)]
pub struct PaywallService<S, R> {
    inner: S,
    wall: Arc<Wall>,
    reading: R,
}

impl<S, R> PaywallService<S, R> {
    pub(super) fn new(inner: S, wall: Arc<Wall>, reading: R) -> Self {
        Self { inner, wall, reading }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for PaywallService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaywallService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for PaywallService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: Send,
    R: Reading<ReqBody>,
    ReqBody: Body + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<PaywallBody<ResBody>>;
    type Error = S::Error;
    type Future = Boxed<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The clone that was polled ready serves this request; the fresh one waits for its own turn.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let (wall, reading) = (self.wall.clone(), self.reading.clone());
        Box::pin(async move {
            if is_preflight(&request) {
                return Ok(preflight().map(PaywallBody::refusal));
            }
            // Boxed, and all before it out of scope: most requests end here, and none should carry the room for a payment.
            let paying = {
                let called = match wall.call(request, &reading).await {
                    Ok(called) => called,
                    Err(refusal) => return Ok(refusal.map(PaywallBody::refusal)),
                };
                if let Some(refusal) = wall.ask(&called.1) {
                    return Ok(refusal.map(PaywallBody::refusal));
                }
                Box::pin(async move {
                    let (request, permit) = match wall.pass(called).await {
                        Ok(passed) => passed,
                        Err(refusal) => return Ok(refusal.map(PaywallBody::refusal)),
                    };
                    let is_head = request.method() == Method::HEAD;
                    // A hang-up drops this future, and with it the permit: not delivered, and redeemable.
                    let response = inner.call(request).await?;
                    Ok(wall.deliver(response, permit, is_head).await)
                })
            };
            paying.await
        })
    }
}

impl Wall {
    /// Takes a request as a call: the connection, the body, the credential.
    async fn call<B: Body, R: Reading<B>>(
        &self,
        request: Request<B>,
        reading: &R,
    ) -> Result<(Request<B>, Call), Response<Bytes>> {
        let (head, body) = request.into_parts();
        secure::admit(&head, self.gate.plaintext()).map_err(|r| self.refuse(r.into()))?;
        // What only manages an account is no request for the resource, and is held to none of its rules.
        // HTTP/2 announces no length: only the body itself knows.
        let empty = body.is_end_stream();
        let managing = self.menu.is_metered() && empty && manages(&head, self.menu.header());
        let request = Request::from_parts(head, body);
        let (request, digest) = match managing {
            true => (request, None),
            false => reading.read(request).await?,
        };
        let (head, body) = request.into_parts();
        let place = original::uri(&head).path().to_owned();
        let at = Resource::at(scope(&head)).with_body(digest).in_place(place);
        let mut call = Http::read_call_to(&head, at, self.menu.header());
        if !empty && !call.is_head {
            call.wants = Wants::Content { units: 1 };
        }
        call.client = head.extensions.get::<Client>().map(|c| c.0.clone());
        if self.gate.has_hosts() {
            call.host = secure::host(&head).map(str::to_owned);
        }
        Ok((Request::from_parts(head, body), call))
    }

    /// The route of one request, with the offers that are made to who asks.
    pub(super) async fn route(&self, head: &Parts) -> Result<Cow<'_, Route>, Rejection> {
        let route = self.menu.route(head).await?;
        Ok(match &self.may {
            Some(may) => Cow::Owned(route.into_owned().offering(|offer| may.allows(head, offer))),
            None => route,
        })
    }

    /// The answer to a call without a credential to a route of one price, where that takes no waiting.
    fn ask(&self, call: &Call) -> Option<Response<Bytes>> {
        let (Menu::Fixed(route), None) = (&self.menu, &self.may) else { return None };
        self.gate.ask(route, call).map(|refusal| self.refuse(refusal))
    }

    /// Everything that waits before the handler runs: the price, the gate.
    async fn pass<B>(
        &self,
        (request, call): (Request<B>, Call),
    ) -> Result<(Request<B>, Permit), Response<Bytes>> {
        let (mut head, body) = request.into_parts();
        let admission = match self.route(&head).await {
            Ok(route) => self.gate.judge(&route, call).await,
            // Whether what was paid is enough for this request cannot be told either.
            Err(rejection) => Err(rejection.into()),
        };
        match admission {
            Ok(Admission::Serve(permit)) => {
                hide_credentials(&mut head.headers);
                head.extensions.insert(permit.paid().clone());
                if let Some(session) = permit.session() {
                    head.extensions.insert(session.clone());
                }
                Ok((Request::from_parts(head, body), permit))
            }
            Ok(Admission::Replay { receipt, answer }) => {
                let mut response = kept::again(receipt.as_ref(), *answer);
                expose(response.headers_mut());
                Err(response)
            }
            Ok(Admission::Acknowledge(acknowledged)) => Err(acknowledge(&acknowledged)),
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    /// Ends the handler's part. A success carries the receipt and is delivered with its last byte; an error or a redirect gives
    /// the turn back.
    async fn deliver<B: Body<Data = Bytes>>(
        &self,
        response: Response<B>,
        mut permit: Permit,
        is_head: bool,
    ) -> Response<PaywallBody<B>> {
        let (mut head, body) = response.into_parts();
        if !head.status.is_success() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            // What a redirect says may be all that was asked for; an error is nothing.
            let ending = match head.status.is_redirection() {
                true => Ending::BrokenOff,
                false => Ending::NotDelivered,
            };
            // Awaited, so that the same credential can be shown again the moment this response arrives.
            if let Err(e) = permit.finish(ending).await {
                tracing::warn!(
                    reason = e.rejection.reason.as_str(),
                    "a turn could not be given back; its lease will"
                );
            }
            head.headers
                .entry(header::CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-store"));
            // Nothing of ours: a handler that passes another server's answer on (S16).
            head.headers.remove(PAYMENT_RECEIPT);
            return Response::from_parts(head, PaywallBody::unpaid(body));
        }
        // Where the money moves only now: nothing of the response is handed over before it has.
        if let Err(refusal) = permit.charge().await {
            return self.refuse(refusal).map(PaywallBody::refusal);
        }
        if let Some(receipt) = permit.receipt() {
            Http::put_receipt_in(&mut head.headers, receipt);
        }
        if let Some(account) =
            permit.session().and_then(|session| HeaderValue::try_from(session.account()).ok())
        {
            head.headers.insert(PAYMENT_SESSION, account);
        }
        expose(&mut head.headers);
        // A transport stops asking for frames once the promised length is written, so that is an end too.
        let promised =
            head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let bodiless = is_head
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS);
        let length = if bodiless { Some(0) } else { promised.or_else(|| body.size_hint().exact()) };
        // What another protocol took over from is no answer to give again; one without a body is.
        let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let passing = permit.keeps().filter(|_| !switched).map(|room| Passing::of(&head, room));
        Response::from_parts(head, PaywallBody::paid(body, permit, length, passing))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Http::refuse(&refusal).map(Bytes::from);
        let headers = response.headers_mut();
        let fields: usize = headers.get_all(header::WWW_AUTHENTICATE).iter().map(|v| v.len()).sum();
        if fields > COMMON_PROXY_BUFFER && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                bytes = fields,
                "the challenges of this route are larger than common proxies take in headers"
            );
        }
        expose(headers);
        response
    }
}

/// A head alone: what was booked, or what account a payer has.
fn acknowledge(acknowledged: &Acknowledged) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    match &acknowledged.receipt {
        Some(receipt) => Http::put_receipt_in(headers, receipt),
        None => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
    for (name, value) in &acknowledged.fields {
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::try_from(*name), HeaderValue::try_from(value.as_str()))
        {
            // A snapshot holds a voucher.
            value.set_sensitive(name != PAYMENT_SESSION);
            headers.insert(name, value);
        }
    }
    expose(headers);
    response
}

/// Names whoever asks, for limits: an application that knows puts it among a request's extensions.
#[derive(Clone, Debug)]
pub struct Client(pub String);

/// HTTP method, full path and query.
fn scope(head: &Parts) -> String {
    let uri = original::uri(head);
    let path = uri.path_and_query().map_or(uri.path(), |p| p.as_str());
    let mut scope = String::with_capacity(head.method.as_str().len() + 1 + path.len());
    scope.push_str(head.method.as_str());
    scope.push(' ');
    scope.push_str(path);
    scope
}

/// The handler, and whatever logs its requests, sees that there was a credential, and not which.
fn hide_credentials(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, PAYMENT_AUTHORIZATION] {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

/// The answer to a browser that asks whether it may ask: yes, as far as payment goes. A CORS layer outside the paywall
/// answers in its place, with the origins it allows; the handler is never run for it.
fn preflight() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A browser asks without credentials whether it may ask.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Scripts of other origins may read what they must pay, and what they paid.
fn expose(headers: &mut HeaderMap) {
    let exposed = HeaderValue::from_static(
        "WWW-Authenticate, Payment-Receipt, Payment-Session, Payment-Session-Snapshot, Retry-After",
    );
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
