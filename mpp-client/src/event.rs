//! What happens to payments, for logs, books and screens. Never a credential.

use mpp_core::{
    Receipt,
    challenge::ChallengeId,
    payer::{Quote, Site, Step},
    problem::Problem,
};

use crate::policy::Denied;

/// Something that happened. Owned, so that a hook can hand it to a channel and return at once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A server asks for payment.
    Challenged {
        /// Who asks.
        to: Site,
        /// How many of its ways to pay could be read.
        challenges: usize,
    },
    /// The policy set the money aside.
    Allowed(Quote),
    /// The policy, the caller or the owner said no.
    Denied {
        /// What was asked.
        quote: Quote,
        /// Why not.
        why: Denied,
    },
    /// A credential leaves.
    Sent {
        /// Who gets it.
        to: Site,
        /// What it answers.
        challenge: ChallengeId,
        /// Whether it pays for the request or manages an account.
        step: Step,
    },
    /// The server took it.
    Accepted {
        /// Who did.
        to: Site,
        /// Its word for it.
        receipt: Box<Receipt>,
    },
    /// The server refused it.
    Refused {
        /// Who did.
        to: Site,
        /// Why, where it said so.
        problem: Option<Box<Problem>>,
    },
    /// It cannot be told what became of it.
    Unknown {
        /// Who was sent it.
        to: Site,
        /// What it answered.
        challenge: ChallengeId,
    },
}
