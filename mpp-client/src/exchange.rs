//! One request's side of the protocol, without I/O: hears an answer, says what to do next.

mod out;

use std::{collections::HashSet, fmt};

use mpp_core::{
    Amount, Challenge, Credential, Price, Receipt,
    accept::Accept,
    challenge::ChallengeId,
    payer::{Allowance, Funds, Outcome, Quote, Site, Step},
    problem::Problem,
    transport::Answer,
};

use self::out::Out;
use crate::{
    choice::{Candidate, Choice, Pick, Places, Wishes},
    error::{Error, Kind},
    event::Event,
    policy::{Denied, Reservation},
    prepared::Prepared,
    unfinished::Unfinished,
    verdict::Verdict,
    wallet::Wallet,
};

/// Steps that a request may take, managed ones included: an opening, a top-up, a payment, and as many again.
const MAX_TURNS: u8 = 6;

/// What to do with an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Turn {
    /// It is the answer: hand it to the caller.
    Done,
    /// Send the request again with this credential, and let the exchange hear the answer.
    Send(Credential),
    /// Send this credential to the same place without content, and let the exchange hear the answer.
    Manage(Credential),
}

/// One request's protocol state. Touches no transport.
///
/// The driver sends; for every answer it calls [`hear`](Self::hear), for every answer that did not come
/// [`lost`](Self::lost), until the turn is [`Turn::Done`] or an error. Dropped while a credential is out, its payer
/// hears that the outcome is unknown.
///
/// From the moment a credential leaves, what it puts at stake stays spent in the policy's books, whatever is answered:
/// a server that refuses a signed payment can still broadcast it. A served answer without a receipt tells a payer
/// nothing, so it too counts as unknown.
pub struct Exchange {
    wallet: Wallet,
    to: Site,
    accept: Accept,
    within: Option<Price>,
    places: Places,
    seen: HashSet<ChallengeId>,
    out: Option<Out>,
    verdict: Option<Verdict>,
    /// A managed step was accepted: money moved, whatever comes after.
    committed: bool,
    payments: u32,
    turns: u8,
}

impl Exchange {
    pub(crate) fn new(wallet: &Wallet, to: Site) -> Self {
        Self {
            wallet: wallet.clone(),
            to,
            accept: Accept::default(),
            within: None,
            places: Places::default(),
            seen: HashSet::new(),
            out: None,
            verdict: None,
            committed: false,
            payments: 0,
            turns: MAX_TURNS,
        }
    }

    pub(crate) fn resuming(wallet: &Wallet, unfinished: &Unfinished) -> Self {
        Self { out: Some(Out::again(unfinished)), ..Self::new(wallet, unfinished.to().clone()) }
    }

    /// Pays only with what this accepts, and prefers by it before the wallet's own preferences.
    pub fn accepting(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// Puts at stake no more than this for the request, whatever the policy allows. A step in another unit is denied.
    pub fn within(mut self, most: Price) -> Self {
        self.within = Some(most);
        self
    }

    /// Says that the application uses `Authorization` itself: only challenges that want `Payment-Authorization` are paid.
    pub fn authorization_in_use(mut self) -> Self {
        self.places.authorization_in_use = true;
        self
    }

    /// Says that something underneath follows redirects by itself, and would carry `Payment-Authorization` to other
    /// origins: only challenges that want `Authorization` are paid.
    pub fn redirects_followed(mut self) -> Self {
        self.places.redirects_followed = true;
        self
    }

    /// Hears an answer, and pays where it asks for payment.
    ///
    /// Once a credential was sent, its answer is the caller's: another challenge is paid only where
    /// [`Wallet::max_payments`] says so, and never after trouble or silence. A refusal of what was taken before
    /// (`already-used`, or any `invalid-challenge`) is no refusal but doubt: something underneath may have sent the
    /// credential twice. Over HTTP, a driver that has sent a credential says [`Answer::Required`] of 401, 402 and 410
    /// alone, with the problem it read; challenges on another status are trouble.
    ///
    /// # Errors
    /// Why nothing was paid, or what became of the money ([`Error::funds`]).
    pub async fn hear(&mut self, answer: Answer) -> Result<Turn, Error> {
        match answer {
            Answer::Served(receipt) => {
                let outcome = receipt.map_or(Outcome::Unknown, accepted);
                self.resolve(outcome, None, true);
                Ok(Turn::Done)
            }
            Answer::Acknowledged(receipt) => match self.resolve(accepted(receipt), None, true) {
                // The account is open: the same demand is asked again, now of a payer that has one.
                Some((challenge, Step::Manage)) => {
                    self.committed = true;
                    self.seen.remove(challenge.id());
                    self.pay(vec![challenge]).await
                }
                _ => Ok(Turn::Done),
            },
            Answer::Required { challenges, problem } => {
                self.resolve(Outcome::Refused(problem.clone().map(Box::new)), problem, false);
                let most = self.wallet.max_payments;
                let may_pay = match &self.verdict {
                    None => true,
                    Some(last) => {
                        matches!(last.outcome, Outcome::Refused(_))
                            && most > 1
                            && self.payments < most
                    }
                };
                if may_pay { self.pay(challenges).await } else { Ok(Turn::Done) }
            }
            Answer::Troubled { problem, .. } => {
                self.resolve(Outcome::Unknown, problem, false);
                Ok(Turn::Done)
            }
            _ => {
                self.resolve(Outcome::Unknown, None, false);
                Ok(Turn::Done)
            }
        }
    }

    /// Hears that no answer came, and why. Nothing is paid again; what may be shown again is in the error.
    pub fn lost(&mut self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.stop(Kind::Delivery, Kind::Transport).because(why)
    }

    /// Stops because the answer came from where no credential of this request belongs.
    pub fn misled(&mut self, to: &str) -> Error {
        let redirect =
            || Kind::CrossOriginRedirect { from: self.to.origin.clone(), to: to.to_owned() };
        let (sent, unsent) = (redirect(), redirect());
        self.stop(sent, unsent)
    }

    /// The credential that is out, to be shown once more because its answer was lost or the server asked for time. From
    /// here on a refusal says nothing about the money: the first copy may have been taken.
    pub fn again(&mut self) -> Option<Credential> {
        let out = self.out.as_mut()?;
        out.show_again();
        Some(out.credential.clone())
    }

    /// Hears that the answer to the credential that is out was a redirect within its origin, and what receipt it bore:
    /// a receipt stands, whatever is answered where the redirect leads, and a refusal there says nothing.
    pub fn redirected(&mut self, receipt: Option<Receipt>) {
        if let Some(out) = &mut self.out {
            out.redirected(receipt);
        }
    }

    /// Who is asked, and for what.
    pub fn to(&self) -> &Site {
        &self.to
    }

    /// Whether a credential is out whose answer was not heard yet.
    pub fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// What became of the credential that was answered last, if one was.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The receipt of the request, if it was accepted.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.verdict()?.receipt()
    }

    pub(crate) fn prepare(mut self, answer: Answer) -> Result<Prepared, Error> {
        let challenges = match answer {
            Answer::Required { challenges, .. } => challenges,
            _ => Vec::new(),
        };
        let candidates = self.candidates(challenges)?;
        Ok(Prepared::new(self, candidates))
    }

    async fn pay(&mut self, challenges: Vec<Challenge>) -> Result<Turn, Error> {
        let paid = async {
            let candidates = self.candidates(challenges)?;
            self.pay_one_of(candidates, None).await
        };
        paid.await.map_err(|e: Error| self.after_earlier(e))
    }

    /// Whatever is said of this step, what became of the ones before it stays true.
    fn after_earlier(&self, e: Error) -> Error {
        let earlier = match &self.verdict {
            _ if self.committed => Funds::Committed,
            Some(verdict) => verdict.funds(),
            None => Funds::Untouched,
        };
        let refused = self.verdict.as_ref().filter(|v| v.receipt().is_none());
        e.after(earlier, refused.map(Verdict::unfinished))
    }

    fn candidates(&mut self, mut challenges: Vec<Challenge>) -> Result<Vec<Candidate>, Error> {
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
        let mut reserved = self.allowed(&quote, up_to).await?;
        // The policy may have taken its time; past its end a challenge is paid for nothing.
        let late = !self.committed
            && challenge.expires.as_ref().is_some_and(|e| e.expired_at(&self.wallet.clock.now()));
        if late {
            reserved.release();
            return Err(Error::untouched(Kind::Expired));
        }
        // A journal writes its intent here: a crash inside `pay` is asked about with `recall`.
        self.seen.insert(challenge.id().clone());
        let within = Allowance { up_to: quote.exposes.amount, to: self.to.clone() };
        let signed = match payer.pay(&challenge, &within).await {
            Ok(signed) => signed,
            Err(e) if e.funds == Funds::Untouched => {
                reserved.release();
                return Err(e.into());
            }
            // Dropping the reservation leaves it spent.
            Err(e) => return Err(e.into()),
        };
        if let Some(exposed) = signed.exposed {
            reserved.trim(exposed);
        }
        // Spent from here on: what leaves signed is the server's to use, and no answer takes that back.
        drop(reserved);
        // A journal writes the signed credential here, before the driver can send it: a crash from now on shows the
        // same credential again.
        let (credential, step) = (signed.credential, signed.step);
        tracing::info!(origin = %self.to.origin, method = %quote.id, challenge = %challenge.id(), ?step, "credential sent");
        self.wallet.tell(|| Event::Sent {
            to: self.to.clone(),
            challenge: challenge.id().clone(),
            step,
        });
        self.out = Some(Out::new(credential.clone(), step, signed.hold));
        Ok(match step {
            Step::Manage => Turn::Manage(credential),
            _ => {
                self.payments += 1;
                Turn::Send(credential)
            }
        })
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
            let asked = match &quote.exposes.unit {
                Some((unit, decimals)) => format!("{} {unit}", asked.to_decimal(*decimals)),
                None => format!("{asked} {}", quote.currency),
            };
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

    /// Tells everyone concerned what became of the credential that is out, if one is.
    fn resolve(
        &mut self,
        heard: Outcome,
        problem: Option<Problem>,
        served: bool,
    ) -> Option<(Challenge, Step)> {
        let mut out = self.out.take()?;
        let outcome = out.judge(heard, problem.as_ref());
        let Out { credential, step, hold, .. } = out;
        let (to, challenge) = (&self.to, credential.challenge.clone());
        let problem = problem.map(Box::new);
        let what = match &outcome {
            Outcome::Accepted(_) => "payment accepted",
            Outcome::Refused(_) => "payment refused",
            _ => "payment outcome unknown",
        };
        tracing::info!(origin = %to.origin, challenge = %challenge.id(), "{what}");
        self.wallet.tell(|| match &outcome {
            Outcome::Accepted(receipt) => {
                Event::Accepted { to: to.clone(), receipt: receipt.clone() }
            }
            Outcome::Refused(_) => Event::Refused { to: to.clone(), problem: problem.clone() },
            _ => Event::Unknown { to: to.clone(), challenge: challenge.id().clone() },
        });
        if let Some(hold) = hold {
            hold.resolve(outcome.clone());
        }
        let unfinished = Unfinished::new(credential, to.clone());
        let committed = self.committed;
        self.verdict = Some(Verdict { outcome, unfinished, problem, served, committed });
        Some((challenge, step))
    }

    /// Ends the exchange: in doubt where a credential is out, harmlessly otherwise.
    fn stop(&mut self, sent: Kind, unsent: Kind) -> Error {
        match &self.out {
            Some(out) => {
                let unfinished = Unfinished::new(out.credential.clone(), self.to.clone());
                self.resolve(Outcome::Unknown, None, false);
                let funds = self.verdict.as_ref().map_or(Funds::Unknown, Verdict::funds);
                Error::sent(sent, funds, unfinished)
            }
            None => self.after_earlier(Error::untouched(unsent)),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("origin", &self.to.origin)
            .field("out", &self.out.is_some())
            .field("payments", &self.payments)
            .finish_non_exhaustive()
    }
}

fn accepted(receipt: Receipt) -> Outcome {
    Outcome::Accepted(Box::new(receipt))
}

#[cfg(test)]
mod tests;
