//! Ways to cheat a seller who takes cards, and cards that pay for nothing.

use crate::interop::{flow::Pair, party::Sdk};

/// A credential that is genuine but for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fraud {
    /// Shown a second time.
    Replayed,
    /// A token that paid for another challenge.
    SpentToken,
    /// Shown on another route.
    WrongRoute,
    /// For a challenge of the same secret that asked less.
    ChangedPrice,
    /// With a challenge that says something else than was sealed.
    Tampered,
    /// For a challenge that somebody else sealed.
    ForeignSecret,
    /// No credential at all.
    Garbage,
    /// A payload without a token.
    NoToken,
    /// A token that Stripe never made.
    UnknownToken,
    /// A token that may be charged for less than the price.
    SmallToken,
    /// A token of another currency.
    ForeignToken,
    /// A token that has ended.
    EndedToken,
    /// Under another name than the seller's.
    WrongName,
    /// Without the seller's name.
    NoName,
    /// A card that its bank declines.
    Declined,
    /// A card without money.
    Poor,
    /// A card whose owner would have to do something.
    NeedsOwner,
    /// A card whose payment goes on for days.
    Waits,
    /// In `Payment-Authorization`, where the route looks in `Authorization`.
    WrongHeader,
    /// Of a method that the route does not offer.
    WrongMethod,
    /// Shown after its challenge ended.
    Expired,
}

/// Every way.
pub(super) const FRAUDS: &[Fraud] = &[
    Fraud::Replayed,
    Fraud::SpentToken,
    Fraud::WrongRoute,
    Fraud::ChangedPrice,
    Fraud::Tampered,
    Fraud::ForeignSecret,
    Fraud::Garbage,
    Fraud::NoToken,
    Fraud::UnknownToken,
    Fraud::SmallToken,
    Fraud::ForeignToken,
    Fraud::EndedToken,
    Fraud::WrongName,
    Fraud::NoName,
    Fraud::Declined,
    Fraud::Poor,
    Fraud::NeedsOwner,
    Fraud::Waits,
    Fraud::WrongHeader,
    Fraud::WrongMethod,
    // Last: its challenge ends while the others are played.
    Fraud::Expired,
];

impl Fraud {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::SpentToken => "a spent token",
            Self::WrongRoute => "wrong route",
            Self::ChangedPrice => "changed price",
            Self::Tampered => "tampered challenge",
            Self::ForeignSecret => "foreign secret",
            Self::Garbage => "garbage credential",
            Self::NoToken => "no token",
            Self::UnknownToken => "a token of nobody",
            Self::SmallToken => "a token over less",
            Self::ForeignToken => "a token in euros",
            Self::EndedToken => "a token that ended",
            Self::WrongName => "wrong external id",
            Self::NoName => "no external id",
            Self::Declined => "declined card",
            Self::Poor => "card without money",
            Self::NeedsOwner => "card that asks its owner",
            Self::Waits => "card that takes days",
            Self::WrongHeader => "wrong header",
            Self::WrongMethod => "a method not offered",
            Self::Expired => "expired",
        }
    }

    /// Where it is shown.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::WrongName | Self::NoName => "/order",
            _ => "/card",
        }
    }

    /// The card that is shown.
    pub(super) const fn card(self) -> &'static str {
        match self {
            Self::Declined => "pm_card_chargeDeclined",
            Self::Poor => "pm_card_chargeDeclinedInsufficientFunds",
            Self::NeedsOwner => "pm_card_authenticationRequired",
            Self::Waits => "pm_card_processing",
            _ => VISA,
        }
    }

    /// What this SDK's server calls it, the last part of the problem's type.
    pub(super) const fn problems(self) -> &'static [&'static str] {
        match self {
            Self::Garbage => &["malformed-credential"],
            Self::NoToken => &["invalid-payload"],
            Self::NeedsOwner => &["payment-action-required"],
            Self::Expired => &["payment-expired"],
            // Nothing was shown where it looks.
            Self::WrongHeader => &["payment-required"],
            // Nobody knows yet: no invitation to pay again.
            Self::Waits => &["internal-payment-error"],
            // It may come before the last byte of the first answer is booked.
            Self::Replayed => &["invalid-challenge", "verification-failed"],
            Self::Declined
            | Self::Poor
            | Self::UnknownToken
            | Self::SpentToken
            | Self::SmallToken
            | Self::ForeignToken
            | Self::EndedToken => &["verification-failed"],
            _ => &["invalid-challenge"],
        }
    }

    /// Whether both can play it: what moves after it was refused is no matter of ours, and mppx calls it its own fault.
    pub(super) fn is_played(self, pair: &Pair) -> bool {
        self != Self::Waits || pair.server == Sdk::Ours
    }
}

/// A card that pays.
pub(super) const VISA: &str = "pm_card_visa";
