//! Answers that are kept and given again: what of a response is its own, and its body as it passes by.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response::Parts};
use mpp_core::{
    receipt::Receipt,
    transport::{Http, PAYMENT_RECEIPT},
};

use crate::answer::Answer;

/// Tells a client that nothing was run for this answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Fields of the connection, of the moment, or of a login: not the answer's own.
const NOT_KEPT: [HeaderName; 9] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
    header::DATE,
    header::SET_COOKIE,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderName::from_static("keep-alive"),
    PAYMENT_RECEIPT,
];

/// A body as it passes by, up to a bound.
#[derive(Debug)]
pub(super) struct Passing {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    room: usize,
}

impl Passing {
    /// Begins with the head; `room` bytes of body are kept.
    pub(super) fn of(head: &Parts, room: usize) -> Self {
        Self { status: head.status, headers: head.headers.clone(), body: Vec::new(), room }
    }

    /// Takes a frame along; false where it is too much, or something that cannot be kept.
    pub(super) fn passes(&mut self, data: Option<&Bytes>) -> bool {
        let Some(data) = data.filter(|data| data.len() <= self.room - self.body.len()) else {
            return false;
        };
        self.body.extend_from_slice(data);
        true
    }

    /// The whole answer. A field that is no text is left out: better an answer without it than none.
    pub(super) fn answer(self) -> Answer {
        let fields = self.headers.iter().filter(|(name, _)| !NOT_KEPT.contains(name));
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        Answer::new(self.status.as_u16(), fields.filter_map(text).collect(), self.body)
    }
}

/// An answer, given again.
pub(super) fn again(receipt: Option<&Receipt>, answer: Answer) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        // Only what was a field before is one here.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(receipt) = receipt {
        Http::put_receipt_in(headers, receipt);
    }
    response
}
