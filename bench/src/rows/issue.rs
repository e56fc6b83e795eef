//! A 402 through axum in process: from a request without a credential to a response.

use http::StatusCode;

use crate::{
    inprocess::{FREE, free, runtime, sending},
    interleaved::{Effort, least},
    ours::{PATH, unpaid},
    row::{Goal, Row},
};

/// Measures.
pub fn row(effort: Effort) -> Row {
    let (runtime, floor) = (runtime(), free());
    let (ours, peer) = (crate::ours::app(), crate::peers::app());
    let refused = StatusCode::PAYMENT_REQUIRED;
    let [ours, peer, floor] = least(
        effort,
        [
            sending(effort, &runtime, &ours, refused, || unpaid(PATH)),
            sending(effort, &runtime, &peer, refused, || unpaid(PATH)),
            sending(effort, &runtime, &floor, StatusCode::OK, || unpaid(FREE)),
        ],
    );
    Row::cost("issue and serialize a 402 through axum", "ns", ours, peer)
        .over(floor)
        .to_reach(Goal::Ratio(4.0))
}
