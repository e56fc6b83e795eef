//! What is played of sessions: who pays whom, in which way, and what that moves.

use crate::interop::{flow::Pair, party::Sdk};

/// A way to pay from a channel: opened for it, and closed at its end.
pub(super) struct Flow {
    /// Its name in the matrix, and to the programs that play it.
    pub(super) name: &'static str,
    /// Base units of what is counted.
    pub(super) price: u128,
    /// How many are bought.
    pub(super) units: u64,
    /// How often the deposit is added to, at least.
    pub(super) top_ups: u64,
    /// Whether the seller pays all fees.
    pub(super) sponsored: bool,
}

/// A tenth of a cent for a request, a hundredth for a token.
const REQUEST: Flow = Flow { name: "", price: 1_000, units: 0, top_ups: 0, sponsored: false };
const TOKEN: Flow = Flow { price: 100, ..REQUEST };

/// Every way through the chain's reserve.
pub(super) const FLOWS: &[Flow] = &[
    Flow { name: "data", units: 5, ..REQUEST },
    Flow { name: "topup", units: 21, top_ups: 1, ..REQUEST },
    Flow { name: "autotopup", units: 15, top_ups: 1, ..REQUEST },
    Flow { name: "sse", units: 30, ..TOKEN },
    Flow { name: "ssetopup", units: 150, top_ups: 1, ..TOKEN },
    Flow { name: "sponsored", units: 3, top_ups: 1, sponsored: true, ..REQUEST },
    Flow { name: "sse-sponsored", units: 10, sponsored: true, ..TOKEN },
    Flow { name: "ws", units: 20, ..TOKEN },
    Flow { name: "fetch", units: 3, ..REQUEST },
    Flow { name: "bootstrap", units: 4, ..REQUEST },
];

/// Every way through the escrow contract.
pub(super) const OF_VERSION_1: &[Flow] =
    &[Flow { name: "v1-data", units: 5, ..REQUEST }, Flow { name: "v1-sse", units: 30, ..TOKEN }];

impl Flow {
    /// What it costs, in base units.
    pub(super) fn cost(&self) -> u128 {
        self.price * u128::from(self.units)
    }
}

/// What a pair plays.
pub(super) fn flows(pair: &Pair) -> &'static [Flow] {
    if pair.server == Sdk::Legacy { OF_VERSION_1 } else { FLOWS }
}

/// Who pays whom.
pub(super) fn pairs(peers_only: bool) -> Vec<Pair> {
    use Sdk::{Legacy, Mppx, Ours};
    let pairs: &[(Sdk, Sdk)] = if peers_only {
        &[(Mppx, Mppx), (Mppx, Legacy)]
    } else {
        &[(Ours, Mppx), (Mppx, Ours), (Ours, Ours), (Ours, Legacy)]
    };
    pairs.iter().map(|(client, server)| Pair::new(*client, *server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_is_topped_up_exactly_where_what_was_suggested_does_not_do() {
        for flow in FLOWS.iter().chain(OF_VERSION_1) {
            // By hand, where it would have done.
            let by_hand = matches!(flow.name, "topup" | "sponsored");
            assert_eq!(flow.top_ups > 0, flow.cost() > 10_000 || by_hand, "{}", flow.name);
        }
    }
}
