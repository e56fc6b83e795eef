//! A credential of a session: checked, then applied.

use mpp_core::{
    Amount, Receipt,
    account::State,
    binding::{Claim, LATE},
    credential::Source,
    problem::{ProblemType, Reason, Rejection},
    teller::{Act, Standing, Teller},
};

use super::{
    books::{At, Desk},
    entry::Entry,
    order::{Ordered, order_of},
    till::other_terms,
};
use crate::gate::not_offered;

/// What a call wants of an account.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    /// The units to be charged before anything is served.
    pub(crate) units: u64,
    /// Whether anything is to be served at all.
    pub(crate) content: bool,
    /// The name of the request, where the client named it.
    pub(crate) name: Option<String>,
    /// What a unit costs on this route.
    pub(crate) price: Amount,
    /// Whether the challenge was made at today's terms of the route.
    pub(crate) at_terms: bool,
    /// Whether its offer is made to this caller. Where it is not, nothing is served by it and no account opened; what manages an
    /// account that is open is taken: a voucher, a top-up, a close.
    pub(crate) offered: bool,
}

impl Take {
    /// Refuses to spend at one price what was signed at another.
    fn is_at_terms(&self) -> Result<(), Rejection> {
        if self.at_terms { Ok(()) } else { Err(other_terms()) }
    }

    /// Refuses to spend what may not be spent by this caller.
    fn may_draw(&self) -> Result<(), Rejection> {
        if self.content && !self.offered {
            return Err(not_offered());
        }
        self.is_at_terms()
    }
}

/// What became of it.
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) receipt: Receipt,
    pub(crate) payer: Option<Source>,
    /// The handler is to run, and so many units were charged for that.
    pub(crate) serve: Option<u64>,
    /// The account was closed.
    pub(crate) closed: bool,
    /// What was drawn makes it due to be collected, once it is served.
    pub(crate) due: bool,
}

impl<T: Teller> Desk<T> {
    /// Takes a credential. A crash or a hang-up before an order is written leaves nothing; from then on the order's own task
    /// goes on with it.
    pub(super) async fn take(
        &self,
        claim: Claim<T::Method>,
        take: Take,
    ) -> Result<Taken, Rejection> {
        let id = self.till.it.account(&claim)?;
        let at = self.at(&id)?;
        let taken = self.take_at(&at, &claim, &take).await;
        self.engine.locals.leave(&at.key, at.local);
        taken
    }

    async fn take_at(
        &self,
        at: &At,
        claim: &Claim<T::Method>,
        take: &Take,
    ) -> Result<Taken, Rejection> {
        let seen = self.see(at).await?;
        let known = seen.as_ref().map(|seen| &seen.entry.account);
        // Reads, and verifies signatures: outside any lock, and nothing is written yet.
        let act = self.till.it.check(claim, known).await?;
        let challenge = claim.challenge.id().as_str();
        match act {
            Act::Draw(raise) => {
                take.may_draw()?;
                let entry = self.draw(at, seen, &raise, take).await?;
                Ok(self.taken(at, challenge, take, &entry))
            }
            Act::Adopt { kept, raise } => {
                take.may_draw()?;
                claim.in_time()?;
                self.adopt(at, kept, &raise, take).await?;
                let entry = self.draw(at, None, &raise, take).await?;
                Ok(self.taken(at, challenge, take, &entry))
            }
            Act::Open { order, kept, raise } => {
                // What is on the books is gone on with whenever it is shown again.
                if seen.is_none() {
                    self.opens(take, &order)?;
                    self.admits(claim, take, &order)?;
                }
                let opened = self.open(at, challenge, (order, kept, raise.clone())).await?;
                self.serve_opened(at, challenge, take, (opened, raise)).await
            }
            Act::TopUp { order } => {
                let name = self.till.it.name(&order);
                if !seen.is_some_and(|seen| self.has(&seen.entry, &name)) {
                    self.admits(claim, take, &order)?;
                }
                let done = self.top_up(at, challenge, order).await?;
                Ok(self.acknowledged(at, challenge, done, false))
            }
            Act::Close { order, last } => {
                let done = self.close_by_payer(at, order, &last).await?;
                Ok(self.acknowledged(at, challenge, done, true))
            }
            _ => Err(Rejection::internal("an act that this engine does not know")),
        }
    }

    /// Whether an account is opened for this caller; money that had moved opens one whoever shows it.
    fn opens(&self, take: &Take, order: &T::Order) -> Result<(), Rejection> {
        let may = take.offered || self.till.it.has_moved(order);
        if may { Ok(()) } else { Err(not_offered()) }
    }

    /// Whether an order is new money that is taken: in time and at today's terms; or money that has moved, which is taken late
    /// too, and at whatever terms.
    fn admits(
        &self,
        claim: &Claim<T::Method>,
        take: &Take,
        order: &T::Order,
    ) -> Result<(), Rejection> {
        if !self.till.it.has_moved(order) {
            take.is_at_terms()?;
            return claim.in_time();
        }
        match &claim.challenge.expires {
            Some(end) if end.plus(LATE).expired_at(&self.engine.now()) => {
                Err(Rejection::expired(end))
            }
            _ => Ok(()),
        }
    }

    /// Whether an order of this name was carried out, or is on its way.
    fn has(&self, entry: &Entry<T::Kept>, name: &str) -> bool {
        let pending = entry.pending.as_ref().and_then(|pending| order_of::<T::Order>(pending).ok());
        entry.account.has_done(name)
            || pending.is_some_and(|order| self.till.it.name(&order) == name)
    }

    /// An account that is open now is drawn upon. Where it cannot be it is acknowledged and never refused: a client that is
    /// told otherwise locks a second deposit.
    async fn serve_opened(
        &self,
        at: &At,
        challenge: &str,
        take: &Take,
        (opened, raise): (Ordered<T::Kept>, mpp_core::account::Raise),
    ) -> Result<Taken, Rejection> {
        let fresh = opened.fresh;
        let drawn = match take.may_draw() {
            Ok(()) => self.draw(at, None, &raise, take).await,
            Err(other) => Err(other),
        };
        match drawn {
            Ok(entry) => {
                let mut taken = self.taken(at, challenge, take, &entry);
                taken.receipt.extra.extend(opened.extra);
                Ok(taken)
            }
            Err(refused) if !fresh => Err(refused),
            Err(refused) => {
                tracing::info!(reason = refused.reason.as_str(), "opened, and not drawn upon");
                Ok(self.acknowledged(at, challenge, opened, false))
            }
        }
    }

    fn taken(&self, at: &At, challenge: &str, take: &Take, entry: &Entry<T::Kept>) -> Taken {
        Taken {
            id: at.id.clone(),
            receipt: self.receipt(&at.id, challenge, &entry.account, None),
            payer: self.till.it.payer(&entry.account.kept),
            serve: take.content.then_some(take.units),
            closed: false,
            due: self.is_due(entry),
        }
    }

    fn acknowledged(
        &self,
        at: &At,
        challenge: &str,
        done: Ordered<T::Kept>,
        closed: bool,
    ) -> Taken {
        let account = &done.entry.account;
        Taken {
            id: at.id.clone(),
            receipt: self.receipt(&at.id, challenge, account, Some(&done.extra)),
            payer: self.till.it.payer(&account.kept),
            serve: None,
            closed,
            due: false,
        }
    }

    /// Refuses to draw on what its rail is about to end, or has ended.
    pub(super) fn stands(&self, entry: &Entry<T::Kept>) -> Result<(), Rejection> {
        match self.till.it.standing(&entry.account.kept) {
            Standing::Open => Ok(()),
            _ if entry.account.state == State::Opening => Ok(()),
            _ => Err(mpp_core::account::closed()),
        }
    }
}

/// A request that was charged before, under the same name.
pub(super) fn charged_before() -> Rejection {
    let detail = "This request was charged before under the same Idempotency-Key, and its answer is not kept. Send a new request under a new key.";
    Rejection::new(ProblemType::DENIED, Reason::ALREADY_USED, detail)
}
