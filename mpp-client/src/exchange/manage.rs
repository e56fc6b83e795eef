//! Managing an account instead of paying for a request: its wishes are granted step by step.

use std::sync::Arc;

use mpp_core::{
    Challenge,
    payer::{Became, Outcome, Quote, Wish},
    problem::Problem,
    transport::Answer,
};

use super::{Exchange, Turn, accepted, out::Out};
use crate::{
    choice::Wishes,
    erased::ErasedPayer,
    error::{Error, Kind},
    event::Event,
    wallet::Wallet,
};

/// What is wanted, and who grants it under which challenge.
pub(super) struct Managing {
    wish: Wish,
    granter: Option<(Challenge, Arc<dyn ErasedPayer>)>,
    /// A refusal was gone on from.
    retried: bool,
    /// A step put something at stake: once is enough for one wish, whatever its payer says when it is asked again.
    staked: bool,
    /// A step was acknowledged.
    taken: bool,
}

impl Exchange {
    /// Grants a wish under one of these challenges, of what pays for no request: send each [`Turn::Manage`] it says, and let it
    /// [hear](Self::hear) the answer, until it is [`Turn::Done`]. At once where there is nothing to do, or where no payer of
    /// the wallet has such an account; [`Exchange::verdict`] is then `None`.
    ///
    /// The policy is asked for what is newly put at stake, and only that is written down in a journal. A refusal is gone on
    /// from once, under a challenge that came with it, where the first step put nothing at stake or is dead by its rail's
    /// word. Any 2xx with a receipt is an acknowledgement; one without says nothing, and ends it.
    ///
    /// # Errors
    /// As for [`Exchange::hear`].
    pub async fn manage(&mut self, challenges: Vec<Challenge>, wish: Wish) -> Result<Turn, Error> {
        self.managing =
            Some(Managing { wish, granter: None, retried: false, staked: false, taken: false });
        self.grant_under(challenges).await
    }

    /// Hears the answer to a managed step.
    pub(super) async fn hear_of_step(&mut self, answer: Answer) -> Result<Turn, Error> {
        match answer {
            Answer::Acknowledged(receipt) | Answer::Served(Some(receipt)) => {
                self.resolve(accepted(receipt), None, true).await;
                self.committed = true;
                self.managing.iter_mut().for_each(|managing| managing.taken = true);
                self.grant_next().await
            }
            Answer::Served(None) => {
                self.resolve(Outcome::Unknown, None, true).await;
                Ok(Turn::Done)
            }
            Answer::Required { challenges, problem } => self.retry(challenges, problem).await,
            Answer::Troubled { problem, .. } => {
                self.resolve(Outcome::Unknown, problem, false).await;
                Ok(Turn::Done)
            }
            _ => {
                self.resolve(Outcome::Unknown, None, false).await;
                Ok(Turn::Done)
            }
        }
    }

    async fn retry(
        &mut self,
        challenges: Vec<Challenge>,
        problem: Option<Problem>,
    ) -> Result<Turn, Error> {
        let free = self.out.as_ref().is_some_and(Out::is_free);
        self.resolve(Outcome::Refused(problem.clone().map(Box::new)), problem, false).await;
        let refused =
            |e: &Self| e.verdict.as_ref().is_some_and(|v| matches!(v.outcome, Outcome::Refused(_)));
        let Some(managing) = self.managing.as_mut().filter(|m| !m.retried) else {
            return Ok(Turn::Done);
        };
        managing.retried = true;
        if !refused(self) || !free && !self.is_refused_step_dead().await {
            return Ok(Turn::Done);
        }
        self.managing.iter_mut().for_each(|managing| managing.staked &= free);
        self.grant_under(challenges).await
    }

    /// What put something at stake is followed by another of its kind only where its rail says that it is dead: a server that
    /// refuses a top-up can still send it.
    async fn is_refused_step_dead(&mut self) -> bool {
        if self.entry.is_some() {
            return matches!(self.proven_dead().await, Ok(Became::Dead | Became::Failed));
        }
        let (Some(managing), Some(verdict)) = (&self.managing, &self.verdict) else { return false };
        let Some((_, payer)) = &managing.granter else { return false };
        let became = payer.became(verdict.unfinished.credential()).await;
        matches!(became, Ok(Became::Dead | Became::Failed))
    }

    /// Finds who grants the wish, and takes the first step.
    async fn grant_under(&mut self, challenges: Vec<Challenge>) -> Result<Turn, Error> {
        let Some(managing) = &mut self.managing else { return Ok(Turn::Done) };
        let mut obstacle = None;
        let mut granter = None;
        for challenge in challenges {
            let Some((payer, quote)) = self.wallet.granter(&challenge, &managing.wish, &self.to)
            else {
                continue;
            };
            let staking = !quote.exposes.amount.is_zero();
            let wishes = Wishes {
                payers: &self.wallet.payers,
                prefer: &self.wallet.prefer,
                accept: &self.accept,
                places: self.places,
                to: &self.to,
                now: staking.then(|| self.wallet.clock.now()),
            };
            match wishes.obstacle(&challenge) {
                Some(why) => obstacle = obstacle.or(Some(why)),
                None => {
                    granter = Some((challenge, payer));
                    break;
                }
            }
        }
        managing.granter = granter;
        match obstacle.filter(|_| managing.granter.is_none()) {
            Some(why) => Err(self.after_earlier(Error::untouched(why))),
            None => self.grant_next().await,
        }
    }

    /// Takes the next step, if there is one.
    async fn grant_next(&mut self) -> Result<Turn, Error> {
        let Some(managing) = &self.managing else { return Ok(Turn::Done) };
        let Some((challenge, payer)) = managing.granter.clone() else { return Ok(Turn::Done) };
        let Managing { wish, staked, taken, .. } = managing;
        let (wish, staked, taken) = (wish.clone(), *staked, *taken);
        let quote = payer.quote_for(&challenge, &wish, &self.to);
        let done = |quote: &Quote| {
            staked && !quote.exposes.amount.is_zero() || taken && matches!(wish, Wish::Close)
        };
        let turn = match quote.filter(|quote| !done(quote)) {
            Some(quote) => self.step(&challenge, &quote, &*payer, &wish).await,
            None => Ok(None),
        };
        if let Some(turn) = turn.map_err(|e| self.after_earlier(e))? {
            return Ok(turn);
        }
        if taken {
            let (to, id) = (self.to.clone(), payer.id());
            self.wallet.tell(|| Event::Granted { to, id, wish });
        }
        Ok(Turn::Done)
    }

    async fn step(
        &mut self,
        challenge: &Challenge,
        quote: &Quote,
        payer: &dyn ErasedPayer,
        wish: &Wish,
    ) -> Result<Option<Turn>, Error> {
        let turns = self.turns.checked_sub(1);
        self.turns = turns.ok_or_else(|| Error::untouched(Kind::TooManyTurns))?;
        let turn = self.commit(challenge, quote, payer, (None, Some(wish))).await?;
        let staked = self.out.as_ref().is_some_and(|out| !out.is_free());
        self.managing.iter_mut().for_each(|managing| managing.staked |= staked);
        Ok(turn)
    }
}

impl Wallet {
    /// Who would grant a wish under a challenge, and what that puts at stake.
    pub(crate) fn granter(
        &self,
        challenge: &Challenge,
        wish: &Wish,
        to: &mpp_core::payer::Site,
    ) -> Option<(Arc<dyn ErasedPayer>, Quote)> {
        let id = challenge.method_id();
        let granter = |payer: &Arc<dyn ErasedPayer>| {
            Some((payer.clone(), payer.quote_for(challenge, wish, to)?))
        };
        self.payers.iter().filter(|payer| payer.id() == id).find_map(granter)
    }
}
