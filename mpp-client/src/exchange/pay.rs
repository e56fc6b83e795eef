//! The paying half of an exchange: what is allowed is reserved, written down, signed, and written down again.

use mpp_core::{
    Amount, Challenge,
    payer::{Allowance, Funds, Quote, Step, Wish},
};

use super::{
    ANEW, Exchange, Turn,
    out::{Out, is_metered},
};
use crate::{
    choice::{Candidate, Choice, Pick, Wishes},
    erased::{ErasedPayer, Signed},
    error::{Error, Kind},
    event::Event,
    journal::{Entry, Intent, State, Unbegun},
    policy::{self, Denied, Reservation},
    verdict::Verdict,
};

impl Exchange {
    pub(super) async fn pay(&mut self, challenges: Vec<Challenge>) -> Result<Turn, Error> {
        let paid = async {
            let candidates = self.candidates(challenges)?;
            self.pay_one_of(candidates, None).await
        };
        paid.await.map_err(|e: Error| self.after_earlier(e))
    }

    /// Whatever is said of this step, what became of the ones before it stays true.
    pub(super) fn after_earlier(&self, e: Error) -> Error {
        let earlier = match &self.verdict {
            _ if self.committed => Funds::Committed,
            Some(verdict) => verdict.funds(),
            None => Funds::Untouched,
        };
        let refused = self.verdict.as_ref().filter(|v| v.receipt().is_none());
        e.after(earlier, refused.map(Verdict::unfinished))
    }

    pub(super) fn candidates(
        &mut self,
        mut challenges: Vec<Challenge>,
    ) -> Result<Vec<Candidate>, Error> {
        self.turns = match self.turns.checked_sub(1) {
            Some(turns) => turns,
            None => return Err(Error::untouched(Kind::TooManyTurns)),
        };
        let (to, count) = (&self.to, challenges.len());
        tracing::debug!(origin = %to.origin, challenges = count, "payment required");
        self.wallet.tell(|| Event::Challenged { to: to.clone(), challenges: count });
        challenges.retain(|c| !self.seen.contains(c.id()));
        let wishes = Wishes {
            payers: &self.wallet.payers,
            prefer: &self.wallet.prefer,
            accept: &self.accept,
            places: self.places,
            to,
            now: (!self.committed).then(|| self.wallet.clock.now()),
        };
        let mut candidates = wishes.candidates(challenges).map_err(Error::untouched)?;
        let choices: Vec<Choice> = candidates.iter().map(|c| c.choice.clone()).collect();
        match self.wallet.pick(&choices) {
            Pick::Any => {}
            Pick::Only(at) if at < candidates.len() => candidates = vec![candidates.remove(at)],
            Pick::Only(_) | Pick::None => {
                return Err(Error::untouched(Kind::Denied(Denied::Vetoed)));
            }
        }
        Ok(candidates)
    }

    /// Pays the first candidate that is allowed and whose payer can. Falls to the next only while nothing was put at
    /// stake; the first obstacle is the one reported.
    pub(crate) async fn pay_one_of(
        &mut self,
        candidates: Vec<Candidate>,
        up_to: Option<Amount>,
    ) -> Result<Turn, Error> {
        let mut first = None;
        for candidate in candidates {
            match self.try_paying(candidate, up_to).await {
                Ok(turn) => return Ok(turn),
                Err(e) if e.funds() != Funds::Untouched => return Err(e),
                Err(e) => first = first.or(Some(e)),
            }
        }
        Err(first.unwrap_or_else(|| Error::untouched(Kind::Denied(Denied::Vetoed))))
    }

    async fn try_paying(
        &mut self,
        Candidate { choice: Choice { challenge, quote }, payer }: Candidate,
        up_to: Option<Amount>,
    ) -> Result<Turn, Error> {
        if is_metered(&challenge) {
            self.name_anew();
        }
        let turn = self.commit(&challenge, &quote, &*payer, (up_to, None)).await?;
        turn.ok_or_else(|| Error::untouched(Kind::Denied(Denied::Vetoed)))
    }

    /// Reserves, writes down, has signed, and writes down again: a payment, or the next step towards a wish. `None`: there is
    /// no such step, and nothing was put at stake.
    pub(super) async fn commit(
        &mut self,
        challenge: &Challenge,
        quote: &Quote,
        payer: &dyn ErasedPayer,
        (up_to, wish): (Option<Amount>, Option<&Wish>),
    ) -> Result<Option<Turn>, Error> {
        // A crash in here leaves it spent in books that outlive us, and nothing signed.
        let mut reserved = self.allowed(quote, up_to).await?;
        let staking = !quote.exposes.amount.is_zero();
        // The policy may have taken its time; past its end a challenge is paid for nothing. What a wish signs within a deposit
        // stands however late.
        let late = !self.committed
            && (staking || wish.is_none())
            && challenge.expires.as_ref().is_some_and(|e| e.expired_at(&self.wallet.clock.now()));
        if late {
            self.wallet.release(&mut reserved).await;
            return Err(Error::untouched(Kind::Expired));
        }
        // Steps that put nothing at stake are their payer's to remember: nothing would ever be shown again.
        let mut entry = match wish {
            Some(_) if !staking => None,
            _ => self.begin(quote, challenge, &mut reserved).await?,
        };
        if !is_metered(challenge) {
            self.seen.insert(challenge.id().clone());
        }
        let within = Allowance { up_to: quote.exposes.amount, to: self.to.clone() };
        // A crash in here leaves an intent: the payer is asked what it did of it, before anything else is paid for it.
        let signed = match wish {
            None => payer.pay(challenge, &within).await.map(Some),
            Some(wish) => payer.grant(challenge, wish, &within).await,
        };
        let signed = match signed {
            Ok(Some(signed)) => signed,
            // The reservation stays spent, and the intent open.
            Err(e) if e.funds != Funds::Untouched => return Err(e.into()),
            nothing => {
                self.forgo(entry, &mut reserved).await;
                return nothing.map(|_| None).map_err(Error::from);
            }
        };
        let Signed { credential, hold, step, exposed } = signed;
        let surplus = match &mut entry {
            // A crash in here leaves an intent or a credential, and nothing has left either way.
            Some(entry) => {
                let now = self.wallet.clock.now();
                let written = entry.sign(credential.clone(), (step, exposed), now).await;
                written.map_err(|e| Self::unwritten().because(e))?
            }
            None => exposed.map_or(Amount::ZERO, |exposed| reserved.trim(exposed)),
        };
        // What is given back cannot be moved by what was signed. The rest is spent from here on: what leaves signed is the
        // server's to use, and no answer takes that back. A crash in here leaves it all spent, and the credential written.
        self.wallet.give_back(reserved.booking(), surplus).await;
        tracing::info!(origin = %self.to.origin, method = %quote.id, challenge = %challenge.id(), ?step, "credential sent");
        self.wallet.tell(|| Event::Sent {
            to: self.to.clone(),
            challenge: challenge.id().clone(),
            step,
        });
        let staked = exposed.map_or(staking, |exposed| staking && !exposed.is_zero());
        let out = Out::new(credential, step, hold).written(entry).staking(staked);
        if self.anew < ANEW && staked {
            self.staked_anew = true;
        }
        if !out.is_free() && matches!(step, Step::Pay) {
            self.payments += 1;
        }
        let turn = out.turn();
        self.out = Some(out);
        Ok(Some(turn))
    }

    /// Takes back what was set aside for what was not signed.
    async fn forgo(&self, mut entry: Option<Entry>, reserved: &mut Reservation) {
        let ended = match &mut entry {
            Some(entry) => entry.end_surely(State::Dead, self.wallet.clock.now()).await,
            None => Ok(()),
        };
        // Unwritten, the intent is asked about again, and what it holds is given back then: never twice.
        if ended.is_ok() {
            self.wallet.release(reserved).await;
        }
    }

    /// Writes down what is about to be paid, where there is a journal.
    async fn begin(
        &self,
        quote: &Quote,
        challenge: &Challenge,
        reserved: &mut Reservation,
    ) -> Result<Option<Entry>, Error> {
        let Some(journal) = &self.wallet.journal else { return Ok(None) };
        let intent = Intent {
            purpose: self.purpose.clone(),
            quote: quote.clone(),
            challenge: challenge.clone(),
            reserved: reserved.clone(),
            key: self.key.clone(),
            only_once: self.only_once,
            now: self.wallet.clock.now(),
        };
        // A crash in here leaves an intent or none, and nobody asked to pay.
        match journal.begin(intent).await {
            Ok(entry) => Ok(Some(entry)),
            Err(e) => {
                // Should it be stored all the same, it is an intent, and those give nothing back after a restart.
                self.wallet.release(reserved).await;
                Err(match e {
                    Unbegun::Store(e) => Error::untouched(Kind::Journal).because(e),
                    Unbegun::Open => Error::in_doubt(Kind::StillOpen(None), Funds::Unknown, None),
                })
            }
        }
    }

    /// What is told of a credential that could not be written down. It stays here, is told to nobody, and is tried again
    /// before anything is paid for the same; whether making it has moved money, only its method knows.
    fn unwritten() -> Error {
        Error::in_doubt(Kind::Journal, Funds::Unknown, None)
    }

    async fn allowed(&self, quote: &Quote, up_to: Option<Amount>) -> Result<Reservation, Error> {
        let over = self.over_request(quote, up_to);
        let judged = match over {
            Some(why) => Err(why),
            None => self.wallet.policy.reserve(quote).await,
        };
        match judged {
            Ok(reserved) => {
                tracing::debug!(origin = %self.to.origin, method = %quote.id, amount = %quote.exposes.amount, "payment allowed");
                self.wallet.tell(|| Event::Allowed(quote.clone()));
                Ok(reserved)
            }
            Err(why) => {
                tracing::info!(origin = %self.to.origin, method = %quote.id, %why, "payment denied");
                self.wallet.tell(|| Event::Denied { quote: quote.clone(), why: why.clone() });
                Err(Error::untouched(Kind::Denied(why)))
            }
        }
    }

    /// What the caller said about this one request, beside the policy.
    fn over_request(&self, quote: &Quote, up_to: Option<Amount>) -> Option<Denied> {
        let asked = quote.exposes.amount;
        let over = |limit: String| {
            let (unit, decimals) = match &quote.exposes.unit {
                Some((unit, decimals)) => (unit.as_ref(), *decimals),
                None => (quote.currency.as_str(), 0),
            };
            let asked = policy::asked(asked, quote.exposes.fees, decimals, unit);
            Denied::OverRequest { asked, limit }
        };
        if let Some(most) = up_to.filter(|most| asked > *most) {
            return Some(over(most.to_string()));
        }
        let most = self.within.as_ref().filter(|_| !asked.is_zero())?;
        let in_unit = quote.exposes.unit.as_ref().and_then(|(u, d)| most.in_unit(u, *d).ok());
        let allowed = in_unit.or_else(|| most.in_unit(&quote.currency, 0).ok());
        let fits = allowed.is_some_and(|allowed| asked <= allowed);
        (!fits).then(|| over(format!("{} {}", most.amount(), most.unit())))
    }
}
