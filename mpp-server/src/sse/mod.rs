//! Metered server-sent events: each event is paid for before it is made.

mod body;
mod event;

use std::{fmt, time::Duration};

use futures_core::Stream;
use http::{HeaderName, HeaderValue, Response, header};

pub use self::body::SseBody;
use crate::{
    session::Session,
    stream::{BoxError, Code, Item, Patience, Tap},
};

/// A response of server-sent events that a session pays for as they come. Made by [`Session::sse`] and [`Session::sse_with`].
///
/// Its events are `message`, `payment-need-voucher` each time the credit is used up, and `payment-receipt` at its end.
#[must_use = "a stream flows once it is a response"]
pub struct Sse {
    session: Session,
    patience: Patience,
    code: Code,
}

impl Session {
    /// Streams items, and charges for each before it is asked for: one unit, or what the [`Item`] says. Where the route counts
    /// requests, the whole stream costs one. Its route is to be one that charges nothing up front (`metered()`).
    ///
    /// ```
    /// # use futures_core::Stream;
    /// # struct Tokens;
    /// # impl Stream for Tokens {
    /// #     type Item = String;
    /// #     fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<String>> {
    /// #         std::task::Poll::Ready(None)
    /// #     }
    /// # }
    /// use mpp_server::{Session, sse::Sse};
    ///
    /// async fn completions(session: Session) -> Sse {
    ///     session.sse(Tokens)
    /// }
    /// ```
    pub fn sse<S>(&self, items: S) -> Sse
    where
        S: Stream<Item: Into<Item> + Send> + Send + 'static,
    {
        self.sse_of(Code::items(|_| items))
    }

    /// Streams what code says that charges as it sees fit.
    ///
    /// ```
    /// # use mpp_server::Session;
    /// # async fn generate() -> (u64, String) { (3, "three words here".into()) }
    /// # fn handler(session: Session) -> mpp_server::sse::Sse {
    /// session.sse_with(async |tap| {
    ///     tap.reserve(1).await?; // nothing is generated for a payer without credit
    ///     let (tokens, text) = generate().await;
    ///     tap.charge(tokens).await?;
    ///     tap.send(text).await?;
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn sse_with<F, Fut>(&self, code: F) -> Sse
    where
        F: FnOnce(Tap) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.sse_of(Code::tap(code))
    }

    fn sse_of(&self, code: Code) -> Sse {
        Sse { session: self.clone(), patience: Patience::default(), code }
    }
}

impl Sse {
    /// Waits so long for the payer, once its credit is used up.
    pub fn voucher_within(mut self, wait: Duration) -> Self {
        self.patience.voucher = wait;
        self
    }

    /// Waits so long for the next item, and for whatever else the stream's code does between two of its charges.
    pub fn upstream_within(mut self, wait: Duration) -> Self {
        self.patience.upstream = wait;
        self
    }

    /// Waits so long for a reader that takes nothing.
    pub fn read_within(mut self, wait: Duration) -> Self {
        self.patience.client = wait;
        self
    }

    /// The response: `text/event-stream`, which no cache keeps and no proxy gathers. The paywall adds the `Payment-Receipt`.
    pub fn into_http(self) -> Response<SseBody> {
        let flow = self.code.begin(&self.session, self.patience);
        let mut response = Response::new(SseBody::of(flow, self.patience.client));
        let headers = response.headers_mut();
        // `Connection: keep-alive` is what HTTP/1.1 does by itself, and HTTP/2 forbids to say.
        let fields = [
            (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache, no-transform"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse")
            .field("session", &self.session)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
