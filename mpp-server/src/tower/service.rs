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
                return Ok(inner.call(request).await?.map(PaywallBody::unpaid));
            }
            let passed = match wall.pass(request, &reading).await {
                Ok(passed) => passed,
                Err(refusal) => return Ok(refusal.map(PaywallBody::refusal)),
            };
            let (request, permit, is_head) = passed;
            // A hang-up drops this future, and with it the permit: not delivered, and redeemable.
            let response = inner.call(request).await?;
            Ok(deliver(response, permit, is_head).await)
        })
    }
}

impl Wall {
    /// Everything before the handler runs: the connection, the body, the gate.
    async fn pass<B, R: Reading<B>>(
        &self,
        request: Request<B>,
        reading: &R,
    ) -> Result<(Request<B>, Permit, bool), Response<Bytes>> {
        let (head, body) = request.into_parts();
        secure::admit(&head, self.gate.plaintext()).map_err(|r| self.refuse(r.into()))?;
        let (request, digest) = reading.read(Request::from_parts(head, body)).await?;
        let (mut head, body) = request.into_parts();
        let call = call(&head, digest);
        let host = if self.gate.has_hosts() { secure::host(&head) } else { None };
        let verdict = match &self.menu {
            Menu::Fixed(offers) => self.gate.judge(offers, call, host).await,
            Menu::Each(list) => match list(&head).await {
                Ok(offers) => self.gate.judge(&offers, call, host).await,
                Err(rejection) => Err(rejection.into()),
            },
        };
        match verdict {
            Ok(Verdict::Serve(permit)) => {
                for name in [header::AUTHORIZATION, PAYMENT_AUTHORIZATION] {
                    head.headers.get_mut(name).into_iter().for_each(|v| v.set_sensitive(true));
                }
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

/// Ends the handler's part: a success carries the receipt and delivers with its last byte, anything else gives the turn back.
async fn deliver<B: Body<Data = Bytes>>(
    response: Response<B>,
    permit: Permit,
    is_head: bool,
) -> Response<PaywallBody<B>> {
    let (mut head, body) = response.into_parts();
    if !head.status.is_success() {
        // Awaited, so that the same credential can be shown again the moment this response arrives.
        if let Err(e) = permit.finish(false).await {
            tracing::warn!(
                reason = e.reason.as_str(),
                "a turn could not be given back; its lease will"
            );
        }
        return Response::from_parts(head, PaywallBody::unpaid(body));
    }
    Http::put_receipt_in(&mut head.headers, permit.receipt());
    expose(&mut head.headers);
    let bodiless = is_head || head.status == StatusCode::NO_CONTENT;
    Response::from_parts(head, PaywallBody::paid(body, permit, bodiless))
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

/// A browser asks without credentials whether it may ask; it must hear yes before it can be told the price.
fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Scripts of other origins may read what they must pay, and what they paid.
fn expose(headers: &mut HeaderMap) {
    let exposed = HeaderValue::from_static("WWW-Authenticate, Payment-Receipt, Retry-After");
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
