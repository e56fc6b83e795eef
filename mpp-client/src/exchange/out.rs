//! A credential that is out, and what its answers may be taken to say.

use mpp_core::{
    Challenge, Credential, Intent, Receipt,
    intent::Session,
    payer::{Hold, Outcome, Step},
    problem::{Problem, ProblemType, Reason},
};

use super::Turn;
use crate::{journal::Entry, unfinished::Unfinished};

/// Refusals of a credential that was taken before, be it from something underneath us that sent it twice.
const TAKEN_BEFORE: [Reason; 5] = [
    Reason::ALREADY_USED,
    Reason::CREDITED_ELSEWHERE,
    Reason::IN_FLIGHT,
    Reason::REDEEMED_TOO_OFTEN,
    Reason::OUTCOME_UNKNOWN,
];

/// A credential that is out, and whom its answer concerns.
pub(super) struct Out {
    pub(super) credential: Credential,
    pub(super) step: Step,
    pub(super) hold: Option<Hold>,
    /// Where it is written down.
    pub(super) entry: Option<Entry>,
    /// It put nothing new at stake: a voucher within a deposit.
    free: bool,
    /// It is of an earlier request.
    pub(super) adopted: bool,
    /// It may have been seen before: a refusal then refuses the copy, and says nothing of the first.
    shown_before: bool,
    /// What a redirect that answered it said: no later answer takes that back.
    receipt: Option<Receipt>,
}

impl Out {
    pub(super) fn new(credential: Credential, step: Step, hold: Option<Hold>) -> Self {
        Self {
            credential,
            step,
            hold,
            entry: None,
            free: false,
            adopted: false,
            shown_before: false,
            receipt: None,
        }
    }

    /// Says where it is written down.
    pub(super) fn written(self, entry: Option<Entry>) -> Self {
        Self { entry, ..self }
    }

    /// Says whether it put anything at stake. Of a method that is paid once a proof is a payment, whatever it costs.
    pub(super) fn staking(self, anything: bool) -> Self {
        let free = !anything && is_metered(&self.credential.challenge);
        Self { free, ..self }
    }

    /// Whether it put nothing new at stake.
    pub(super) fn is_free(&self) -> bool {
        self.free
    }

    pub(super) fn again(unfinished: &Unfinished, entry: Option<Entry>) -> Self {
        let step = entry.as_ref().map_or(Step::Pay, |entry| entry.record().step);
        let staked = entry.as_ref().is_none_or(|entry| entry.record().is_staked());
        let fresh = Self::new(unfinished.credential().clone(), step, None).staking(staked);
        Self { shown_before: true, adopted: true, entry, ..fresh }
    }

    /// What an earlier request left.
    pub(super) fn adopted(credential: Credential, entry: Entry, hold: Option<Hold>) -> Self {
        let staked = entry.record().is_staked();
        let fresh = Self::new(credential, entry.record().step, hold).staking(staked);
        Self { shown_before: true, adopted: true, entry: Some(entry), ..fresh }
    }

    /// How it is sent.
    pub(super) fn turn(&self) -> Turn {
        match self.step {
            Step::Manage => Turn::Manage(self.credential.clone()),
            _ => Turn::Send(self.credential.clone()),
        }
    }

    pub(super) fn show_again(&mut self) {
        self.shown_before = true;
    }

    pub(super) fn redirected(&mut self, receipt: Option<Receipt>) {
        self.shown_before = true;
        self.receipt = self.receipt.take().or(receipt);
    }

    /// What an answer comes to, in the light of those before it.
    pub(super) fn judge(&mut self, heard: Outcome, problem: Option<&Problem>) -> Outcome {
        match (heard, self.receipt.take()) {
            (Outcome::Accepted(receipt), _) => Outcome::Accepted(receipt),
            (_, Some(receipt)) => Outcome::Accepted(Box::new(receipt)),
            (Outcome::Refused(_), None)
                if self.shown_before || problem.is_some_and(taken_before) =>
            {
                Outcome::Unknown
            }
            (heard, None) => heard,
        }
    }
}

pub(super) fn taken_before(problem: &Problem) -> bool {
    let reason = problem.reason.as_deref();
    problem.kind == ProblemType::INVALID_CHALLENGE.uri()
        || TAKEN_BEFORE.iter().any(|taken| Some(taken.as_str()) == reason)
}

/// Whether a challenge is answered again and again, each time drawing on an account.
pub(super) fn is_metered(challenge: &Challenge) -> bool {
    challenge.intent == Session::NAME
}

/// Whether a server says that it has a credential in hand: what becomes of it is open.
pub(super) fn in_hand(problem: &Problem) -> bool {
    let busy = [Reason::IN_FLIGHT, Reason::OUTCOME_UNKNOWN];
    problem.reason.as_deref().is_some_and(|r| busy.iter().any(|busy| busy.as_str() == r))
}

/// Whether a receipt says that nothing was ever served on its account.
pub(super) fn is_undrawn(receipt: &Receipt) -> bool {
    receipt.extra.get("spent").and_then(|spent| spent.as_str()) == Some("0")
}
