//! Reading a challenge: the same header for both sides.

use http::{HeaderMap, HeaderValue, header};
use mpp_core::{
    Challenge,
    transport::{read_challenges, write_challenge},
};
use peer::{PaymentChallenge, parse_www_authenticate};

use crate::{
    inprocess::runtime,
    interleaved::{Effort, calling, least},
    ours::{PATH, unpaid},
    row::Row,
};

/// Measures.
pub fn row(effort: Effort) -> Row {
    let field = write_challenge(&challenge()).expect("it was read from a header");
    let headers = headers(&field);
    let text = field.to_str().expect("ours are ASCII").to_owned();
    let [ours, peer] =
        least(effort, [calling(effort, || ours(&headers)), calling(effort, || peers(&text))]);
    Row::cost("parse a challenge", "ns", ours, peer)
}

/// Reads the challenges of a response.
pub fn ours(headers: &HeaderMap) -> Vec<Challenge> {
    read_challenges(headers)
}

/// Reads one challenge.
pub fn peers(field: &str) -> PaymentChallenge {
    parse_www_authenticate(field).expect("the peer reads what we write")
}

/// The head of a response with one challenge.
pub fn headers(field: &HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(header::WWW_AUTHENTICATE, field.clone())])
}

/// The challenge of our route, as its clients get it.
pub fn challenge() -> Challenge {
    use tower::ServiceExt;
    let response = runtime().block_on(crate::ours::app().oneshot(unpaid(PATH)));
    let response = response.unwrap_or_else(|never| match never {});
    read_challenges(response.headers()).pop().expect("the route asks to be paid")
}
