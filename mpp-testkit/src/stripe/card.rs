//! What is behind a payment method: how it ends when it is charged.

use serde_json::{Value, json};

use super::refused::Refused;

/// A card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Card {
    Visa,
    Declined,
    InsufficientFunds,
    CustomerFail,
    AuthenticationRequired,
    Processing,
}

/// What became of a charge.
pub(super) enum Outcome {
    Succeeded,
    Processing,
    RequiresAction,
    Declined(Refused),
}

impl Card {
    pub(super) fn of(payment_method: &str) -> Option<Self> {
        Some(match payment_method {
            "pm_card_visa" => Self::Visa,
            "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => Self::Declined,
            "pm_card_chargeDeclinedInsufficientFunds"
            | "pm_card_visa_chargeDeclinedInsufficientFunds" => Self::InsufficientFunds,
            "pm_card_chargeCustomerFail" => Self::CustomerFail,
            "pm_card_authenticationRequired" => Self::AuthenticationRequired,
            "pm_card_processing" => Self::Processing,
            _ => return None,
        })
    }

    /// Charges it.
    pub(super) fn charge(self) -> Outcome {
        match self {
            Self::Visa => Outcome::Succeeded,
            Self::Processing => Outcome::Processing,
            Self::AuthenticationRequired => Outcome::RequiresAction,
            Self::Declined | Self::CustomerFail => Outcome::Declined(generic_decline()),
            Self::InsufficientFunds => {
                let said = "Your card has insufficient funds.";
                Outcome::Declined(Refused::card("card_declined", Some("insufficient_funds"), said))
            }
        }
    }

    /// Attaches it to a customer. Banks are asked then, too.
    pub(super) fn attach(self) -> Result<(), Refused> {
        match (self, self.charge()) {
            (Self::CustomerFail, _)
            | (_, Outcome::Succeeded | Outcome::Processing | Outcome::RequiresAction) => Ok(()),
            (_, Outcome::Declined(refused)) => Err(refused),
        }
    }

    /// The card as Stripe shows it.
    pub(super) fn shown(self) -> Value {
        let last4 = match self {
            Self::Visa | Self::Processing => "4242",
            Self::Declined => "0002",
            Self::InsufficientFunds => "9995",
            Self::CustomerFail => "0341",
            Self::AuthenticationRequired => "3184",
        };
        json!({
            "brand": "visa",
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US", "display_brand": "visa", "exp_month": 8, "exp_year": 2034,
            "fingerprint": format!("simulated{last4}"), "funding": "credit", "generated_from": null, "last4": last4,
            "networks": { "available": ["visa"], "preferred": null }, "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true }, "wallet": null,
        })
    }
}

/// The decline without a reason.
pub(super) fn generic_decline() -> Refused {
    Refused::card("card_declined", Some("generic_decline"), "Your card was declined.")
}

/// An address and a name that nobody gave.
pub(super) fn nobody() -> Value {
    json!({
        "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
        "email": null, "name": null, "phone": null, "tax_id": null,
    })
}
