//! Prepare, inspect, pay: for callers who decide themselves.

use std::fmt;

use mpp_core::Amount;

use crate::{
    choice::{Candidate, Choice},
    error::Error,
    exchange::{Exchange, Turn},
};

/// The ways to pay one answer. Nothing is paid until [`pay`](Self::pay).
pub struct Prepared {
    exchange: Exchange,
    choices: Vec<Choice>,
    candidates: Vec<Candidate>,
}

impl Prepared {
    pub(crate) fn new(exchange: Exchange, candidates: Vec<Candidate>) -> Self {
        let choices = candidates.iter().map(|c| c.choice.clone()).collect();
        Self { exchange, choices, candidates }
    }

    /// The ways to pay, best first; at least one.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Pays one of them, putting at stake at most `up_to` base units of its currency. The wallet's policy is asked all
    /// the same. Send what the turn says, and let the exchange hear the answer.
    ///
    /// # Errors
    /// As for [`Exchange::hear`]; an index beyond the last choice is a denial.
    pub async fn pay(self, choice: usize, up_to: Amount) -> Result<(Exchange, Turn), Error> {
        let Self { mut exchange, candidates, .. } = self;
        let chosen = candidates.into_iter().nth(choice).into_iter().collect();
        let turn = exchange.pay_one_of(chosen, Some(up_to)).await?;
        Ok((exchange, turn))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("choices", &self.choices).finish_non_exhaustive()
    }
}
