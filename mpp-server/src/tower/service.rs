//! One request through a paywall.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use mpp_core::{
    digest::Digest,
    problem::Rejection,
    transport::{
        Call, Http, PAYMENT_AUTHORIZATION, Refusal, Resource, Transport, Wants, read_credential,
    },
};
use tower_service::Service;

use super::{Menu, PaywallBody, Reading, Wall, original, secure};
use crate::permit::{Permit, Verdict};

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

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for PaywallService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: Send,
    R: Reading<ReqBody>,
    ReqBody: Send + 'static,
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
            let (head, body) = request.into_parts();
            if let Err(insecure) = secure::admit(&head, wall.gate.plaintext()) {
                return Ok(wall.refuse(insecure.into()).map(PaywallBody::refusal));
            }
            let (head, body, digest) = match reading.read(Request::from_parts(head, body)).await {
                Ok((request, digest)) => {
                    let (head, body) = request.into_parts();
                    (head, body, digest)
                }
                Err(refusal) => return Ok(refusal.map(PaywallBody::refusal)),
            };
            let call = call(&head, digest);
            if let Some(refusal) = wall.ask(&head, &call) {
                return Ok(refusal.map(PaywallBody::refusal));
            }
            // Boxed: most requests end above, and each would have to carry the room for what follows.
            Box::pin(async move {
                let (request, permit, is_head) = match wall.pass(head, body, call).await {
                    Ok(passed) => passed,
                    Err(refusal) => return Ok(refusal.map(PaywallBody::refusal)),
                };
                // A hang-up drops this future, and with it the permit: not delivered, and redeemable.
                let response = inner.call(request).await?;
                Ok(deliver(response, permit, is_head).await)
            })
            .await
        })
    }
}

impl Wall {
    /// The answer to a request that brings no credential to a route of one price, where that takes no waiting.
    fn ask(&self, head: &Parts, call: &Call) -> Option<Response<Bytes>> {
        let Menu::Fixed(offers) = &self.menu else { return None };
        self.gate.ask(offers, call, self.host(head)).map(|refusal| self.refuse(refusal))
    }

    fn host<'a>(&self, head: &'a Parts) -> Option<&'a str> {
        if self.gate.has_hosts() { secure::host(head) } else { None }
    }

    /// Everything that waits before the handler runs: the price, the gate.
    async fn pass<B>(
        &self,
        mut head: Parts,
        body: B,
        call: Call,
    ) -> Result<(Request<B>, Permit, bool), Response<Bytes>> {
        let host = self.host(&head);
        let verdict = match &self.menu {
            Menu::Fixed(offers) => self.gate.judge(offers, call, host).await,
            Menu::Each(list) => match list(&head).await {
                Ok(offers) => self.gate.judge(&offers, call, host).await,
                Err(rejection) => Err(rejection.into()),
            },
        };
        match verdict {
            Ok(Verdict::Serve(permit)) => {
                hide_credentials(&mut head.headers);
                head.extensions.insert(permit.paid().clone());
                let is_head = head.method == Method::HEAD;
                Ok((Request::from_parts(head, body), permit, is_head))
            }
            Ok(Verdict::Acknowledge(receipt)) => {
                let mut response = Http::new().acknowledge(&head, &receipt).map(Bytes::from);
                expose(response.headers_mut());
                Err(response)
            }
            Err(refusal) => Err(self.refuse(refusal)),
        }
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

/// Ends the handler's part. What is no error carries the receipt and is delivered with its last byte; an error gives the
/// turn back.
async fn deliver<B: Body<Data = Bytes>>(
    response: Response<B>,
    permit: Permit,
    is_head: bool,
) -> Response<PaywallBody<B>> {
    let (mut head, body) = response.into_parts();
    if head.status.is_client_error() || head.status.is_server_error() {
        // Awaited, so that the same credential can be shown again the moment this response arrives.
        if let Err(e) = permit.finish(false).await {
            tracing::warn!(
                reason = e.reason.as_str(),
                "a turn could not be given back; its lease will"
            );
        }
        head.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        return Response::from_parts(head, PaywallBody::unpaid(body));
    }
    Http::put_receipt_in(&mut head.headers, permit.receipt());
    expose(&mut head.headers);
    // A transport stops asking for frames once the promised length is written, so that is an end too.
    let promised =
        head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let bodiless = is_head
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS
        );
    let length = if bodiless { Some(0) } else { promised.or_else(|| body.size_hint().exact()) };
    Response::from_parts(head, PaywallBody::paid(body, permit, length))
}

/// Names whoever asks, for limits: an application that knows puts it among a request's extensions.
#[derive(Clone, Debug)]
pub struct Client(pub String);

fn call(head: &Parts, digest: Option<Digest>) -> Call {
    let uri = original::uri(head);
    let path = uri.path_and_query().map_or(uri.path(), |p| p.as_str());
    let mut scope = String::with_capacity(head.method.as_str().len() + 1 + path.len());
    scope.push_str(head.method.as_str());
    scope.push(' ');
    scope.push_str(path);
    Call {
        credential: read_credential(&head.headers, None).map_err(Rejection::from),
        accept: Http::read_accept(&head.headers),
        at: Resource { scope, digest },
        wants: Wants::Content { units: 1 },
        client: head.extensions.get::<Client>().map(|c| c.0.clone()),
    }
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
fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Scripts of other origins may read what they must pay, and what they paid.
fn expose(headers: &mut HeaderMap) {
    let exposed = HeaderValue::from_static("WWW-Authenticate, Payment-Receipt, Retry-After");
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
