//! A credential of a session: checked, then applied.

use mpp_core::{
    Amount, Receipt,
    account::State,
    binding::Claim,
    credential::Source,
    problem::{ProblemType, Reason, Rejection},
    teller::{Act, Standing, Teller},
};

use super::{
    books::{At, Desk},
    entry::Entry,
    order::Ordered,
    till::other_terms,
};

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
        let closes = matches!(act, Act::Close { .. });
        if !closes && !take.at_terms {
            return Err(other_terms());
        }
        let opens = matches!(act, Act::Open { .. } | Act::TopUp { .. } | Act::Adopt { .. });
        if opens {
            claim.in_time()?;
        }
        match act {
            Act::Draw(raise) => {
                let entry = self.draw(at, seen, &raise, take).await?;
                Ok(self.taken(at, challenge, take, &entry))
            }
            Act::Adopt { kept, raise } => {
                self.adopt(at, kept, &raise, take).await?;
                let entry = self.draw(at, None, &raise, take).await?;
                Ok(self.taken(at, challenge, take, &entry))
            }
            Act::Open { order, kept, raise } => {
                let opened = self.open(at, challenge, (order, kept, raise.clone())).await?;
                self.serve_opened(at, challenge, take, (opened, raise)).await
            }
            Act::TopUp { order } => {
                let done = self.top_up(at, challenge, order).await?;
                Ok(self.acknowledged(at, challenge, done, false))
            }
            Act::Close { order, last } => {
                let done = self.close_by_payer(at, challenge, order, &last).await?;
                Ok(self.acknowledged(at, challenge, done, true))
            }
            _ => Err(Rejection::internal("an act that this engine does not know")),
        }
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
        match self.draw(at, None, &raise, take).await {
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
