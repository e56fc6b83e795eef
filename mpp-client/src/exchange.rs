//! One request's side of the protocol, without I/O of its own: hears an answer, says what to do next.

mod adopt;
mod anew;
mod delivery;
mod manage;
mod out;
mod pay;

use std::{collections::HashSet, fmt};

use mpp_core::{
    Challenge, Credential, Price, Receipt,
    accept::Accept,
    challenge::ChallengeId,
    payer::{Became, Funds, Outcome, Site, Step},
    problem::Problem,
    transport::Answer,
};

pub use self::delivery::Delivery;
use self::{manage::Managing, out::Out};
use crate::{
    choice::Places,
    error::{Error, Kind},
    event::Event,
    journal::{Entry, Purpose, State},
    prepared::Prepared,
    unfinished::Unfinished,
    verdict::Verdict,
    wallet::Wallet,
};

/// Steps that a request may take, managed ones included: an opening and a payment, and as many again for each refusal of what
/// put nothing at stake.
const MAX_TURNS: u8 = 8;

/// How often a request may be paid anew after refusals of what put nothing new at stake: vouchers within a deposit that came
/// out of order, or too early.
const ANEW: u8 = 3;

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

impl Turn {
    /// What is to be sent, if anything.
    pub fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Done => None,
            Self::Send(credential) | Self::Manage(credential) => Some(credential),
        }
    }
}

/// One request's protocol state. Touches no transport; it waits for the policy, the payer and the journal's store alone.
///
/// With a journal, say what the request is [about](Self::about) and [adopt](Self::adopt) what an earlier one left, before
/// anything is sent; at the end, say when the answer was [delivered](Self::delivered).
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
    purpose: Option<Purpose>,
    /// The idempotency key that goes with the request.
    key: Option<String>,
    /// Where the credential that was answered last is written down.
    entry: Option<Entry>,
    /// It shows a credential again, and pays nothing.
    resuming: bool,
    /// Nothing else of its purpose may be open.
    only_once: bool,
    /// The idempotency key went with a credential already.
    key_used: bool,
    /// The idempotency key is another than what was said at first.
    renamed: bool,
    /// How often it may still be paid anew for nothing.
    anew: u8,
    /// After a refusal that cost nothing, something was put at stake: once is enough.
    staked_anew: bool,
    /// What was acknowledged and served nothing was asked again.
    asked_again: bool,
    /// It manages an account, and pays for no request.
    managing: Option<Managing>,
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
            purpose: None,
            key: None,
            entry: None,
            resuming: false,
            only_once: false,
            key_used: false,
            renamed: false,
            anew: ANEW,
            staked_anew: false,
            asked_again: false,
            managing: None,
        }
    }

    pub(crate) fn resuming(wallet: &Wallet, unfinished: &Unfinished) -> Self {
        let print = unfinished.credential().fingerprint();
        let entry = wallet.journal.as_ref().and_then(|journal| journal.take_signed(print));
        let key = entry.as_ref().and_then(|entry| entry.record().key.clone());
        Self {
            out: Some(Out::again(unfinished, entry)),
            key: key.or_else(|| unfinished.key().map(str::to_owned)),
            resuming: true,
            ..Self::new(wallet, unfinished.to().clone())
        }
    }

    /// Says what the request is for, so that a journal knows it again, and which idempotency key goes with it, if one does.
    /// Without a purpose it is written down, and never adopted.
    pub fn about(mut self, purpose: Option<Purpose>, key: Option<String>) -> Self {
        (self.purpose, self.key) = (purpose, key);
        self
    }

    /// Says that its purpose is one intent by the application's own word, an `Idempotency-Key` of its own: while that is
    /// being paid for, nothing else is.
    pub fn only_once(mut self) -> Self {
        self.only_once = true;
        self
    }

    /// Pays only with what this accepts, and prefers by it before the wallet's own preferences.
    pub fn accepting(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// Puts at stake no more than this for the request, whatever the policy allows. A step in another unit is denied. What a
    /// request costs within a deposit there is already is not bound by this: its payer's own bounds are.
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
    /// Refused credentials of a metered method that put nothing new at stake (vouchers within a deposit) are paid anew from
    /// the challenges that came with the refusal, three times at most; what that newly puts at stake counts as a payment.
    ///
    /// # Errors
    /// Why nothing was paid, or what became of the money ([`Error::funds`]).
    pub async fn hear(&mut self, answer: Answer) -> Result<Turn, Error> {
        if self.managing.is_some() {
            return self.hear_of_step(answer).await;
        }
        match answer {
            // Some servers answer management with a body.
            Answer::Served(Some(receipt)) if self.is_managed_step_out() => {
                self.acknowledged(receipt).await
            }
            Answer::Served(receipt) => {
                let outcome = receipt.map_or(Outcome::Unknown, accepted);
                self.resolve(outcome, None, true).await;
                Ok(Turn::Done)
            }
            Answer::Acknowledged(receipt) => self.acknowledged(receipt).await,
            Answer::Required { challenges, problem } => {
                let adopted = self.out.as_ref().is_some_and(|out| out.adopted);
                let free = self.is_free_refusal(problem.as_ref());
                let refused = Outcome::Refused(problem.clone().map(Box::new));
                self.resolve(refused, problem, false).await;
                if free && self.may_be_paid_anew(adopted) {
                    return self.pay_anew(challenges).await;
                }
                if self.entry.is_some() {
                    return self.after_refusal(challenges, adopted).await;
                }
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
                let adopted = self.out.as_ref().is_some_and(|out| out.adopted);
                self.resolve(Outcome::Unknown, problem, false).await;
                if !adopted {
                    return Ok(Turn::Done);
                }
                match self.proven_dead().await {
                    Ok(Became::Paid) => self.close_if_used_up().await,
                    Ok(Became::Dead | Became::Failed) => {
                        tracing::debug!("what was shown again is dead: the next request pays anew");
                        Ok(Turn::Done)
                    }
                    _ => Ok(Turn::Done),
                }
            }
            _ => {
                self.resolve(Outcome::Unknown, None, false).await;
                Ok(Turn::Done)
            }
        }
    }

    /// Hears that no answer came, and why. Nothing is paid again; what may be shown again is in the error.
    pub async fn lost(
        &mut self,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let why = why.into();
        self.stop(Kind::Delivery, Kind::Transport).await.because(why)
    }

    /// Stops because the answer came from where no credential of this request belongs.
    pub async fn misled(&mut self, to: &str) -> Error {
        let redirect =
            || Kind::CrossOriginRedirect { from: self.to.origin.clone(), to: to.to_owned() };
        let (sent, unsent) = (redirect(), redirect());
        self.stop(sent, unsent).await
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

    /// The idempotency key that goes with the request: the one that was said, or that of what was adopted.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What is left to be told of an answer that served the request: that it was read to its end. `None` where nothing is
    /// written down, and where nothing was served.
    pub fn delivery(&mut self) -> Option<Delivery> {
        let served = self.verdict.as_ref().is_some_and(|verdict| verdict.served);
        let entry = self.entry.take_if(|_| served)?;
        Some(Delivery::new(self.wallet.clone(), entry))
    }

    /// Hears that the answer was read to its end: no later request of the same purpose shows this credential again.
    pub async fn delivered(&mut self) {
        if let Some(delivery) = self.delivery() {
            delivery.done().await;
        }
    }

    /// Whether the idempotency key is another than the one that was said: a new credential of a metered method has one of its
    /// own, by which the server tells it from the one before.
    pub fn has_new_key(&self) -> bool {
        self.renamed
    }

    /// Who is asked, and for what.
    pub fn to(&self) -> &Site {
        &self.to
    }

    /// What to send now, where a credential is out already: of an exchange that shows one again.
    pub fn turn(&self) -> Option<Turn> {
        self.out.as_ref().map(Out::turn)
    }

    /// Whether a credential is out whose answer was not heard yet.
    pub fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// What became of the credential that was answered last, if one was.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What was answered last, if anything was: vouchers of a stream are signed under it.
    pub fn challenge(&self) -> Option<&Challenge> {
        Some(&self.verdict()?.unfinished.credential().challenge)
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

    /// Tells everyone concerned what became of the credential that is out, if one is, and writes it down. What comes of the
    /// writing changes nothing for the caller: the answer is here.
    async fn resolve(
        &mut self,
        heard: Outcome,
        problem: Option<Problem>,
        served: bool,
    ) -> Option<(Challenge, Step)> {
        let mut out = self.out.take()?;
        let outcome = out.judge(heard, problem.as_ref());
        let Out { credential, step, hold, entry, .. } = out;
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
        let unfinished = Unfinished::new(credential, to.clone()).keyed(self.key.clone());
        let committed = self.committed;
        self.verdict =
            Some(Verdict { outcome: outcome.clone(), unfinished, problem, served, committed });
        self.entry = match entry {
            Some(entry) => self.noted(entry, &outcome, step).await,
            None => None,
        };
        Some((challenge, step))
    }

    /// Writes down what was heard. `None`: nothing more is to be heard of it.
    async fn noted(&self, mut entry: Entry, outcome: &Outcome, step: Step) -> Option<Entry> {
        let now = self.wallet.clock.now();
        // A crash in here leaves it as before: it is shown again, and the server or its rail says the same once more.
        let noted = match (outcome, step) {
            // What only manages has no answer to be read.
            (Outcome::Accepted(_), Step::Manage) => entry.end(State::Delivered, now).await,
            (Outcome::Accepted(receipt), _) => entry.settled(receipt, now).await,
            _ => entry.sent(now).await,
        };
        if let Err(e) = noted {
            self.wallet.lags(&entry, &e);
        }
        (!entry.record().state.is_final()).then_some(entry)
    }

    /// Ends the exchange: in doubt where a credential is out, harmlessly otherwise.
    async fn stop(&mut self, sent: Kind, unsent: Kind) -> Error {
        match &self.out {
            Some(out) => {
                let unfinished = Unfinished::new(out.credential.clone(), self.to.clone())
                    .keyed(self.key.clone());
                self.resolve(Outcome::Unknown, None, false).await;
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
mod choosing_tests;
#[cfg(test)]
mod metered_tests;
#[cfg(test)]
mod tests;
