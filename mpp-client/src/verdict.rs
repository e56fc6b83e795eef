//! What became of the credential that was sent last: the typed half of an answer that is returned untouched.

use mpp_core::{
    Receipt,
    payer::{Funds, Outcome},
    problem::Problem,
};

use crate::{
    error::{Error, Kind},
    unfinished::Unfinished,
};

/// What became of a credential.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) unfinished: Unfinished,
    pub(crate) problem: Option<Box<Problem>>,
    pub(crate) served: bool,
    /// An earlier step of the same request was accepted.
    pub(crate) committed: bool,
}

impl Verdict {
    /// Accepted, refused or unknown.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The receipt, where the server accepted.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.outcome {
            Outcome::Accepted(receipt) => Some(receipt),
            _ => None,
        }
    }

    /// Was I charged? Never [`Funds::Untouched`]: a server that says it refused has what was signed, and may use it until
    /// it ends.
    pub fn funds(&self) -> Funds {
        match &self.outcome {
            Outcome::Accepted(_) => Funds::Committed,
            Outcome::Refused(_) if self.committed => Funds::Committed,
            _ => Funds::Unknown,
        }
    }

    /// What was sent, to be shown again where the body of a paid answer broke off.
    pub fn unfinished(&self) -> &Unfinished {
        &self.unfinished
    }

    /// The verdict as an error, where the request was not served.
    pub fn error(&self) -> Option<Error> {
        let kind = match &self.outcome {
            _ if self.served => return None,
            Outcome::Refused(_) => Kind::Refused(self.problem.clone()),
            _ => Kind::Unresolved(self.problem.clone()),
        };
        Some(Error::sent(kind, self.funds(), self.unfinished.clone()))
    }
}
