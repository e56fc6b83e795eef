//! What a challenge asks of this payer, if it is something that this payer does: decided before anybody is asked anything.

use mpp_core::{Amount, challenge::Demand};

use super::{super::Mode, Asked, Payer, TempoCharge};
use crate::chain::{
    self,
    attribution::is_attribution,
    tip20::{Expected, MemoRule, Transfer},
};

/// What is owed for a challenge.
pub(super) enum Owed {
    /// Nothing but a signature that proves the account.
    Proof,
    /// Money.
    Money(Plan),
}

/// Transfers, and the way they take.
pub(super) struct Plan {
    pub(super) asked: Asked,
    pub(super) way: Way,
}

/// How a transaction gets to the chain, and who pays for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The server sends it.
    Pull,
    /// The server sends it, and pays the fee.
    Sponsored,
    /// The payer sends it, and shows its hash.
    Push,
}

impl Payer {
    /// What this payer owes for a challenge. `None`: it does not pay it at all.
    pub(super) fn owed(&self, demand: &Demand<'_, TempoCharge>) -> Option<Owed> {
        let details = &demand.request.details.method_details;
        // A server that moves a payer to another chain is not followed (S14).
        if details.chain_id() != self.node.chain_id() {
            return None;
        }
        if demand.request.terms.amount.is_zero() {
            return Some(Owed::Proof);
        }
        let asked = Asked::read(demand.challenge, &demand.request).ok()?;
        let way = self.way(demand, &asked)?;
        let ours = self.takes_token(asked.token)
            && asked.legs.iter().all(|leg| self.takes_leg(leg))
            && !asked.pays(self.signer.account());
        ours.then_some(Owed::Money(Plan { asked, way }))
    }

    /// The way that the challenge allows and this payer goes: what it was told, else pull before push.
    pub(super) fn way(&self, demand: &Demand<'_, TempoCharge>, asked: &Asked) -> Option<Way> {
        let details = &demand.request.details.method_details;
        let goes = |mode: &Mode| {
            details.takes(mode) && self.mode.as_ref().is_none_or(|chosen| chosen == mode)
        };
        if goes(&Mode::Pull) {
            return Some(if details.is_sponsored() { Way::Sponsored } else { Way::Pull });
        }
        // Nobody else can pay the fee of what is sent already, and only a memo that names the challenge lets a payment be
        // found again after a crash.
        let pushes = goes(&Mode::Push) && !details.is_sponsored() && !asked.fixed_memo;
        pushes.then_some(Way::Push)
    }

    /// Whether a token is one this payer spends.
    pub(super) fn takes_token(&self, token: alloy::primitives::Address) -> bool {
        match &self.currencies {
            Some(allowed) => allowed.contains(&token),
            None => chain::is_dollar(token),
        }
    }

    /// A memo that the server fixes and that names a challenge names somebody else's: it would pay for another's order (S8).
    fn takes_leg(&self, leg: &Expected) -> bool {
        let foreign = matches!(leg.memo, MemoRule::Exactly(memo) if is_attribution(&memo));
        !foreign && self.recipients.as_ref().is_none_or(|allowed| allowed.contains(&leg.to))
    }

    /// The transfers as they are signed.
    pub(super) fn transfers(&self, asked: &Asked) -> Vec<Transfer> {
        let transfer = |leg: &Expected| {
            let memo = match leg.memo {
                MemoRule::Exactly(memo) => Some(memo),
                MemoRule::Attributed(challenge) => Some(challenge.memo(self.client.as_deref())),
                MemoRule::Unclaimed(_) | MemoRule::Any => None,
            };
            Transfer { to: leg.to, amount: leg.amount, memo }
        };
        asked.legs.iter().map(transfer).collect()
    }

    /// The most that may leave the account for a plan, in base units of a dollar token.
    pub(super) fn most(&self, amount: Amount, plan: &Plan) -> Option<Amount> {
        let price = match &self.swapping {
            Some(swapping) => swapping.most(amount)?,
            None => amount,
        };
        match plan.way {
            Way::Sponsored => Some(price),
            Way::Pull | Way::Push => price.checked_add(self.fee_cap(plan)),
        }
    }

    /// The most that the fee may be.
    pub(super) fn fee_cap(&self, plan: &Plan) -> Amount {
        self.max_fee.unwrap_or_else(|| {
            let further = u128::try_from(plan.asked.legs.len().saturating_sub(1)).unwrap_or(0);
            let swap = if self.swapping.is_some() { 2 } else { 0 };
            let key = if self.signer.authorization().is_some() { FEE_FOR_KEY } else { 0 };
            Amount::new(FEE + FEE_FOR_CALL * (further + swap) + key)
        })
    }
}

/// The most that the fee of one transfer may be, in base units, unless said otherwise.
const FEE: u128 = 50_000;
/// Beside it, for every further call.
const FEE_FOR_CALL: u128 = 10_000;
/// Beside it, for an access key that the chain may have yet to be told of.
const FEE_FOR_KEY: u128 = 100_000;
