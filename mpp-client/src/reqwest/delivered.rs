//! A body that tells when it was read to its end.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use mpp_core::store::BoxFuture;
use reqwest::{Body, Response};

use super::parts;
use crate::exchange::Delivery;

/// Returns the response with nothing missing; once its body was handed over to its end, that is written down.
pub(super) async fn watch(response: Response, delivery: Delivery) -> Response {
    let (head, body) = parts::apart(response);
    if body.is_end_stream() {
        delivery.done().await;
        return parts::together(head, body);
    }
    let watched = Watched { body, end: End::Ahead(Some(Box::new(delivery))) };
    parts::together(head, Body::wrap(watched))
}

/// A body, and what is told at its end. Dropped before, or broken off, nothing is told.
struct Watched {
    body: Body,
    end: End,
}

enum End {
    Ahead(Option<Box<Delivery>>),
    /// It was written to its last frame: the reader hears of the end once that is written down.
    /// Behind a lock that is never waited for: bodies are shared between threads by their type.
    Telling(Mutex<BoxFuture<'static, ()>>),
    Told,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        loop {
            match &mut self.end {
                End::Ahead(delivery) => {
                    let delivery = delivery.take();
                    let polled = Pin::new(&mut self.body).poll_frame(cx);
                    self.end = match (&polled, delivery) {
                        (Poll::Ready(None), Some(delivery)) => {
                            End::Telling(Mutex::new(Box::pin(delivery.done())))
                        }
                        // What broke off was not delivered, whatever is polled after.
                        (Poll::Ready(Some(Err(_))), _) | (_, None) => End::Told,
                        (_, delivery) => End::Ahead(delivery),
                    };
                    if !matches!(self.end, End::Telling(_)) {
                        return polled;
                    }
                }
                End::Telling(telling) => {
                    let telling = telling.get_mut().unwrap_or_else(PoisonError::into_inner);
                    ready!(telling.as_mut().poll(cx));
                    self.end = End::Told;
                }
                End::Told => return Pin::new(&mut self.body).poll_frame(cx),
            }
        }
    }

    /// Not before the end is written down: a reader that believes this asks no more.
    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Told) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched(..)")
    }
}
