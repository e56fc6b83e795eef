//! What is played of cards: who pays whom, in which way, and what that moves.

use mpp_testkit::devnet::PATH_USD;

use crate::interop::{
    flow::{Pair, Terms},
    party::Sdk,
};

/// A way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a card, through Stripe.
    Card,
    /// By a transfer on Tempo.
    Chain,
}

impl Way {
    /// The method's name on the wire.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Card => "stripe",
            Self::Chain => "tempo",
        }
    }

    /// As it stands in preferences.
    pub(super) const fn range(self) -> &'static str {
        match self {
            Self::Card => "stripe/charge",
            Self::Chain => "tempo/charge",
        }
    }
}

/// What a client can pay by, best first.
pub(super) type Means = &'static [Way];

/// A payment that is to succeed.
pub(super) struct Flow {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) means: Means,
    /// How it is paid in the end.
    pub(super) by: Way,
}

const CARD: Means = &[Way::Card];
const CHAIN: Means = &[Way::Chain];
const CARD_FIRST: Means = &[Way::Card, Way::Chain];
const CHAIN_FIRST: Means = &[Way::Chain, Way::Card];

/// Every one.
pub(super) const FLOWS: &[Flow] = &[
    Flow::at("card", "/card", CARD, Way::Card),
    Flow::at("a name and notes", "/order", CARD, Way::Card),
    Flow::at("no smaller unit", "/yen", CARD, Way::Card),
    Flow::at("Payment-Authorization", "/auth", CARD, Way::Card),
    Flow::at("either: a card alone", "/either", CARD, Way::Card),
    Flow::at("either: the chain alone", "/either", CHAIN, Way::Chain),
    Flow::at("either: rather by card", "/either", CARD_FIRST, Way::Card),
    Flow::at("either: rather on chain", "/either", CHAIN_FIRST, Way::Chain),
    Flow::at("swapped: rather by card", "/swapped", CARD_FIRST, Way::Card),
    Flow::at("swapped: rather on chain", "/swapped", CHAIN_FIRST, Way::Chain),
    Flow::at("too cheap for a card", "/cheap", CARD_FIRST, Way::Chain),
];

impl Flow {
    const fn at(name: &'static str, path: &'static str, means: Means, by: Way) -> Self {
        Self { name, path, means, by }
    }

    /// Whether both can play it: pympp knows no least amounts, and its client ranks nothing.
    pub(super) fn is_played(&self, pair: &Pair) -> bool {
        let ranks = pair.client != Sdk::Pympp || self.means.len() == 1;
        ranks && (self.path != "/cheap" || pair.server != Sdk::Pympp)
    }
}

/// What a route asks of a card, in base units.
pub(super) struct Asked {
    pub(super) amount: u64,
    pub(super) currency: &'static str,
    /// The seller's own name for it.
    pub(super) external_id: Option<&'static str>,
    /// The seller's notes.
    pub(super) notes: &'static [(&'static str, &'static str)],
}

/// What a route asks of a card.
pub(super) fn asked(path: &str) -> Asked {
    let usd = |amount| Asked { amount, currency: "usd", external_id: None, notes: &[] };
    match path {
        "/order" => Asked { external_id: Some("order-1"), notes: &[("plan", "pro")], ..usd(100) },
        "/yen" => Asked { currency: "jpy", ..usd(500) },
        "/either" | "/swapped" => usd(100),
        "/dear" => usd(600),
        _ => usd(500),
    }
}

/// What a route asks on the chain, in base units.
pub(super) fn on_chain(path: &str) -> Terms {
    let price = if path == "/cheap" { 100_000 } else { 1_000_000 };
    Terms { token: PATH_USD, price, partner: 0, shareholder: 0, sponsored: false }
}

/// What a route is to offer to whom.
pub(super) struct Menu {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// What the request says in `Accept-Payment`.
    pub(super) accept: Option<&'static str>,
    pub(super) offers: &'static [Way],
}

/// Every one.
pub(super) const MENUS: &[Menu] = &[
    Menu::of("offers", "/either", None, CHAIN_FIRST),
    Menu::of("offers, swapped", "/swapped", None, CARD_FIRST),
    Menu::of("offers, too cheap", "/cheap", None, CHAIN),
    Menu::of(
        "offers, card ranked first",
        "/either",
        Some("tempo/charge;q=0.1, stripe/charge;q=0.9"),
        CARD_FIRST,
    ),
    Menu::of("offers, chain excluded", "/either", Some("*/*, tempo/charge;q=0"), CARD),
    Menu::of("offers, card alone", "/swapped", Some("stripe/*"), CARD),
    Menu::of("offers, nothing suits", "/either", Some("evm/charge"), CHAIN_FIRST),
    Menu::of("offers, unreadable wish", "/either", Some("card please"), CHAIN_FIRST),
];

impl Menu {
    const fn of(
        name: &'static str,
        path: &'static str,
        accept: Option<&'static str>,
        offers: &'static [Way],
    ) -> Self {
        Self { name, path, accept, offers }
    }

    /// Nobody pays here, so that each server is looked at once. pympp's heeds no wishes and knows no least amounts.
    pub(super) fn is_played(&self, pair: &Pair) -> bool {
        let once = match pair.server {
            Sdk::Ours => pair.client == Sdk::Mppx,
            _ => pair.client == Sdk::Ours,
        };
        let plain = self.accept.is_none() && self.path != "/cheap";
        once && (plain || pair.server != Sdk::Pympp)
    }
}

/// Who pays whom.
pub(super) fn pairs(peers_only: bool) -> Vec<Pair> {
    use Sdk::{Mppx, Ours, Pympp};
    let pairs: &[(Sdk, Sdk)] = if peers_only {
        &[(Mppx, Mppx), (Pympp, Mppx), (Mppx, Pympp), (Pympp, Pympp)]
    } else {
        &[(Ours, Mppx), (Mppx, Ours), (Ours, Pympp), (Pympp, Ours), (Ours, Ours)]
    };
    pairs.iter().map(|(client, server)| Pair::new(*client, *server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_side_of_every_composed_route_is_paid_by_every_client_that_can_choose() {
        for pair in pairs(false) {
            let played = FLOWS.iter().filter(|flow| flow.is_played(&pair));
            let composed = played.filter(|flow| flow.path == "/either");
            let ways = Vec::from_iter(composed.map(|flow| flow.by));
            assert!(ways.contains(&Way::Card) && ways.contains(&Way::Chain));
        }
    }

    #[test]
    fn a_way_that_was_preferred_is_the_way_it_is_paid_unless_it_is_not_offered() {
        for flow in FLOWS.iter().filter(|flow| flow.path != "/cheap") {
            assert_eq!(flow.means.first(), Some(&flow.by), "{}", flow.name);
        }
    }
}
