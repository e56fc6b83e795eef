//! What a 402 and a paid request allocate beyond the free route. Counted in a program of its own, since counting slows.

use axum::{Router, body::Body};
use http::Request;
use serde::{Deserialize, Serialize};

use crate::{
    inprocess::{FREE, free, rest, runtime, send},
    ours::{PATH, unpaid},
    peers::Challenger,
    row::{Goal, Row},
};

/// Over how many requests a mean is taken.
const TIMES: u64 = 64;

/// How often this side allocated, beyond the free route: for a 402, and for a paid request.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counted {
    /// For a 402.
    pub refused: f64,
    /// For a paid request.
    pub paid: f64,
}

/// What both sides allocate.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Count {
    /// We.
    pub ours: Counted,
    /// The peer.
    pub peer: Counted,
    /// The free route itself.
    pub free: f64,
    /// Bytes that an idle channel takes of ours.
    pub idle: f64,
}

/// The rows of a count.
pub fn rows(count: &Count) -> [Row; 2] {
    let Count { ours, peer, free, .. } = count;
    let of = |name, ours, peer| Row::cost(name, "allocations", ours, peer).over(*free);
    [
        of("402, beyond the free route's", ours.refused, peer.refused).to_reach(Goal::Ours(20.0)),
        of("paid request, beyond the free route's", ours.paid, peer.paid),
    ]
}

/// Counts, where `counted` tells how often a function allocates, and `kept` how many bytes it leaves allocated.
pub fn count(
    counted: impl Fn(&mut dyn FnMut()) -> u64,
    kept: impl Fn(&mut dyn FnMut()) -> i64,
) -> Count {
    let (runtime, without) = (runtime(), free());
    let (ours, peer) = (crate::ours::app(), crate::peers::app());
    let (template, challenger) = (super::parse::challenge(), Challenger::forgetful());
    let mean = |app: &Router, request: &dyn Fn(u64) -> Request<Body>| {
        // What is made once, and grows once, is no request's own.
        for warm in 0..TIMES {
            runtime.block_on(send(app, request(warm)));
        }
        let requests = Vec::from_iter((TIMES..2 * TIMES).map(request));
        let mut requests = requests.into_iter();
        let mut all = || {
            runtime.block_on(async {
                for request in requests.by_ref() {
                    send(app, request).await;
                }
                rest().await;
            });
        };
        (counted(&mut all) / TIMES) as f64
    };
    let free = mean(&without, &|_| unpaid(FREE));
    let of = |app: &Router, paid: &dyn Fn(u64) -> Request<Body>| Counted {
        refused: mean(app, &|_| unpaid(PATH)) - free,
        paid: mean(app, paid) - free,
    };
    Count {
        ours: of(&ours, &|number| super::paid::our_request(&template, number)),
        peer: of(&peer, &|number| super::paid::peers_request(&challenger, number)),
        free,
        idle: super::idle::bytes(kept),
    }
}
