//! What is played: ways to pay and what they move, ways to cheat, and what can be expected of whom.

use mpp_testkit::devnet::{ALPHA_USD, PATH_USD};

use super::party::Sdk;
use crate::pay::Way;

/// Who pays whom.
pub(super) struct Pair {
    pub(super) client: Sdk,
    pub(super) server: Sdk,
}

impl Pair {
    pub(super) const fn new(client: Sdk, server: Sdk) -> Self {
        Self { client, server }
    }

    pub(super) fn has(&self, sdk: Sdk) -> bool {
        self.client == sdk || self.server == sdk
    }
}

/// What is expected of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The money moves exactly as asked, and what was paid for is served.
    Paid,
    /// Nothing moves, and nothing is served.
    Refused,
    /// Nobody pays: the 402 holds these offers, in this order.
    Offered,
}

impl Expect {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Refused => "refused",
            Self::Offered => "offered",
        }
    }
}

/// A way to pay.
pub(super) struct Flow {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) way: Option<Way>,
    /// By an account that is new, and holds the price and nothing else.
    pub(super) fresh: bool,
}

/// Every way.
pub(super) const FLOWS: &[Flow] = &[
    Flow::at("charge", "/charge"),
    Flow::at("pull", "/pull"),
    Flow::at("push", "/push"),
    Flow { way: Some(Way::Push), ..Flow::at("charge, pushed", "/charge") },
    Flow { way: Some(Way::Push), ..Flow::at("splits, pushed", "/splits") },
    Flow { way: Some(Way::Push), ..Flow::at("alpha, pushed", "/alpha") },
    Flow { way: Some(Way::Push), ..Flow::at("pushed where only pull is taken", "/pull") },
    Flow::at("sponsored", "/sponsored"),
    Flow { fresh: true, ..Flow::at("sponsored, fresh payer", "/sponsored") },
    Flow::at("splits", "/splits"),
    Flow::at("splits-sponsored", "/splits-sponsored"),
    Flow::at("zero", "/zero"),
    Flow::at("alpha", "/alpha"),
];

impl Flow {
    const fn at(name: &'static str, path: &'static str) -> Self {
        Self { name, path, way: None, fresh: false }
    }

    /// How a client is told to pay: pympp's servers name no modes, so that nothing else says push there.
    pub(super) fn way_for(&self, pair: &Pair) -> Option<Way> {
        let unsaid = pair.server == Sdk::Pympp && pair.client != Sdk::Pympp && self.path == "/push";
        if unsaid { Some(Way::Push) } else { self.way }
    }

    /// What is expected; nothing, where one of the two cannot be asked for it at all.
    ///
    /// pympp has no zero-amount proofs, its client no push mode; its server names no modes, and splits no sponsored charge.
    pub(super) fn expect(&self, pair: &Pair) -> Option<Expect> {
        let modes_unnamed = pair.server == Sdk::Pympp;
        match (self.path, self.way) {
            (_, Some(Way::Push)) if pair.client == Sdk::Pympp => None,
            ("/splits-sponsored", _) if modes_unnamed => None,
            ("/pull", Some(Way::Push)) if modes_unnamed => None,
            ("/pull", Some(Way::Push)) => Some(Expect::Refused),
            ("/push", _) if pair.client == Sdk::Pympp && !modes_unnamed => Some(Expect::Refused),
            // Both its halves together move nothing by a transaction, and call it paid: no matter of ours.
            ("/zero", _) if pair.client == Sdk::Pympp && pair.server == Sdk::Pympp => None,
            ("/zero", _) if pair.has(Sdk::Pympp) => Some(Expect::Refused),
            _ => Some(Expect::Paid),
        }
    }
}

/// What a route asks.
pub(super) struct Terms {
    pub(super) token: &'static str,
    pub(super) price: u128,
    /// The share of account 4.
    pub(super) partner: u128,
    /// The share of account 0.
    pub(super) shareholder: u128,
    pub(super) sponsored: bool,
}

/// The terms of a route, in base units.
pub(super) fn terms(path: &str) -> Terms {
    let cent =
        Terms { token: PATH_USD, price: 10_000, partner: 0, shareholder: 0, sponsored: false };
    match path {
        "/sponsored" => Terms { sponsored: true, ..cent },
        "/splits" => Terms { price: 1_000_000, partner: 200_000, shareholder: 50_000, ..cent },
        "/splits-sponsored" => {
            Terms { price: 1_000_000, partner: 200_000, sponsored: true, ..cent }
        }
        "/zero" => Terms { price: 0, ..cent },
        "/alpha" => Terms { token: ALPHA_USD, price: 500_000, ..cent },
        _ => cent,
    }
}

/// A way to cheat, or to be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fraud {
    /// Shown after its challenge ended.
    Expired,
    /// Shown a second time.
    Replayed,
    /// Pushed, and shown a second time.
    ReplayedPush,
    /// A proof of nothing paid, shown a second time.
    ReplayedProof,
    /// Shown on another route.
    WrongRoute,
    /// Shown on another route that costs the same.
    RouteOfSamePrice,
    /// For a challenge of the same secret that asked less.
    ChangedPrice,
    /// With a challenge that says something else than was sealed.
    Tampered,
    /// For a challenge that somebody else sealed.
    ForeignSecret,
    /// No credential at all.
    Garbage,
}

/// Every way to cheat.
pub(super) const FRAUDS: &[Fraud] = &[
    Fraud::Replayed,
    Fraud::ReplayedPush,
    Fraud::ReplayedProof,
    Fraud::WrongRoute,
    Fraud::RouteOfSamePrice,
    Fraud::ChangedPrice,
    Fraud::Tampered,
    Fraud::ForeignSecret,
    Fraud::Garbage,
    // Last: its challenge ends while the others are played.
    Fraud::Expired,
];

impl Fraud {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Replayed => "replayed",
            Self::ReplayedPush => "replayed, pushed",
            Self::ReplayedProof => "replayed, zero",
            Self::WrongRoute => "wrong route",
            Self::RouteOfSamePrice => "wrong route of the same price",
            Self::ChangedPrice => "changed price",
            Self::Tampered => "tampered challenge",
            Self::ForeignSecret => "foreign secret",
            Self::Garbage => "garbage credential",
        }
    }

    /// Where the credential comes from.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::ReplayedProof => "/zero",
            _ => "/charge",
        }
    }

    /// Whether both can play it. Only this SDK binds a challenge to its route by itself.
    pub(super) fn is_played(self, pair: &Pair) -> bool {
        match self {
            Self::ReplayedPush => pair.client != Sdk::Pympp,
            Self::ReplayedProof => !pair.has(Sdk::Pympp),
            Self::RouteOfSamePrice => pair.server == Sdk::Ours,
            _ => true,
        }
    }
}
