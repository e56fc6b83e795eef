//! The body of a problem: read within bounds before its answer is judged, and handed on to the caller as it came.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use reqwest::{Body, Response};

use super::parts;

/// The longest problem that is read.
const LONGEST: usize = 64 * 1024;
/// The longest that is waited for one. Who sends it slower has said nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads the body of a problem, whole or not at all, and returns the response with nothing missing: a body that is
/// longer or slower is left to the caller.
pub(super) async fn peek(response: Response) -> (Response, Option<Vec<u8>>) {
    if response.content_length().is_some_and(|n| n > LONGEST as u64) {
        return (response, None);
    }
    let (head, rest) = parts::apart(response);
    let mut seen = Seen { frames: VecDeque::new(), rest };
    let whole = tokio::time::timeout(PATIENCE, seen.read()).await;
    (parts::together(head, Body::wrap(seen)), whole.ok().flatten())
}

/// A body of which the first frames were read; yields them again, then the rest.
struct Seen {
    frames: VecDeque<Result<Frame<Bytes>, reqwest::Error>>,
    rest: Body,
}

impl Seen {
    /// Reads to the end; `None` where that is too far, or does not come.
    async fn read(&mut self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let Some(frame) = poll_fn(|cx| Pin::new(&mut self.rest).poll_frame(cx)).await else {
                return Some(whole);
            };
            let data = frame.as_ref().ok().and_then(Frame::data_ref);
            let fits = data.is_none_or(|d| d.len() <= LONGEST.saturating_sub(whole.len()));
            if let Some(data) = data.filter(|_| fits) {
                whole.extend_from_slice(data);
            }
            let broke = frame.is_err();
            self.frames.push_back(frame);
            if broke || !fits {
                return None;
            }
        }
    }

    fn held(&self) -> u64 {
        let length = |f: &Result<Frame<Bytes>, _>| {
            f.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len)
        };
        self.frames.iter().map(length).map(|n| n as u64).sum()
    }
}

impl http_body::Body for Seen {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (held, rest) = (self.held(), self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}
