//! What happens to payments, for logs, books and screens. Never a credential.

use mpp_core::{
    Receipt,
    challenge::ChallengeId,
    name::MethodId,
    payer::{Quote, Site, Step, Wish},
    problem::Problem,
};

use crate::{journal::State, policy::Denied};

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
    /// A credential of before is shown again, instead of paying anew.
    Adopted {
        /// Who gets it.
        to: Site,
        /// What it answers.
        challenge: ChallengeId,
        /// How far it had come.
        state: State,
    },
    /// A payment ended: its answer was read to the end, or its rail says that it is dead, or it was given up.
    Closed {
        /// Who was to get it.
        to: Site,
        /// What it answered.
        challenge: ChallengeId,
        /// How it ended.
        state: State,
    },
    /// The journal could not be written after something was sent, and lags behind: a restart will ask again.
    Unwritten {
        /// Whom it concerns.
        to: Site,
        /// What was answered.
        challenge: ChallengeId,
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
    /// What was wanted of an account beside payments was done: it was topped up, or closed.
    Granted {
        /// Where the account is.
        to: Site,
        /// Of which method.
        id: MethodId,
        /// What was wanted.
        wish: Wish,
    },
    /// What was wanted of an account, with nobody waiting for it, was not done.
    Ungranted {
        /// Where the account is.
        to: Site,
        /// Of which method.
        id: MethodId,
        /// What was wanted.
        wish: Wish,
        /// Why not, for a person.
        why: String,
    },
    /// It cannot be told what became of it.
    Unknown {
        /// Who was sent it.
        to: Site,
        /// What it answered.
        challenge: ChallengeId,
    },
}
