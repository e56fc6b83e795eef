//! A paid request through axum in process, beyond what the free route costs: from a credential to a delivered body.

use http::StatusCode;
use mpp_core::{Challenge, opaque::Opaque};
use serde_json::json;

use crate::{
    answer::Proof,
    inprocess::{FREE, free, runtime, sending},
    interleaved::{Effort, least},
    ours::{PATH, keys, unpaid},
    peers::Challenger,
    row::{Goal, Row},
};

/// Measures.
pub fn row(effort: Effort) -> Row {
    let (runtime, without) = (runtime(), free());
    let (ours, peer) = (crate::ours::app(), crate::peers::app());
    let (template, challenger) = (super::parse::challenge(), Challenger::forgetful());
    let (mut mine, mut theirs) = (0, 0);
    let next = |number: &mut u64| {
        *number += 1;
        *number
    };
    let [ours, peer, without] = least(
        effort,
        [
            sending(effort, &runtime, &ours, StatusCode::OK, || {
                our_request(&template, next(&mut mine))
            }),
            sending(effort, &runtime, &peer, StatusCode::OK, || {
                peers_request(&challenger, next(&mut theirs))
            }),
            sending(effort, &runtime, &without, StatusCode::OK, || unpaid(FREE)),
        ],
    );
    Row::cost("paid request, beyond the free route", "ns", ours - without, peer - without)
        .to_reach(Goal::Ratio(4.0))
}

/// A request that pays a challenge of its own.
pub fn our_request(template: &Challenge, number: u64) -> http::Request<axum::body::Body> {
    let mut draft = template.to_draft();
    draft.opaque = Some(Opaque::bind(&u128::from(number).to_be_bytes(), &format!("GET {PATH}")));
    crate::ours::paid(&keys().seal(draft), &Proof::numbered(number))
}

/// A request that pays the peer's challenge.
pub fn peers_request(challenger: &Challenger, number: u64) -> http::Request<axum::body::Body> {
    let scope = json!({ "route": PATH, "resource": PATH });
    crate::peers::paid(&challenger.issue(Some(&scope)), &Proof::numbered(number))
}
