//! What a challenge asks of this payer, if it is something that this payer does: decided before anybody is asked anything.

use mpp_core::{Amount, challenge::Demand, payer::Exposure};

use super::{super::Mode, Asked, Payer, TempoCharge, why::Why};
use crate::chain::{
    self, DECIMALS,
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
    /// What this payer owes for a challenge, or why it does not pay it at all.
    pub(super) fn owed(&self, demand: &Demand<'_, TempoCharge>) -> Result<Owed, Why> {
        let details = &demand.request.details.method_details;
        let (asked, ours) = (details.chain_id(), self.node.chain_id());
        // A server that moves a payer to another chain is not followed (S14).
        if asked != ours {
            return Err(Why::Chain { asked, ours });
        }
        if demand.request.terms.amount.is_zero() {
            return Ok(Owed::Proof);
        }
        let asked = Asked::read(demand.challenge, &demand.request)?;
        let way = self.way(demand, &asked)?;
        if !self.takes_token(asked.token) {
            let token = asked.token;
            return Err(match self.currencies {
                Some(_) => Why::Unlisted(token),
                None => Why::NoDollar(token),
            });
        }
        asked.legs.iter().try_for_each(|leg| self.takes_leg(leg))?;
        if asked.pays(self.signer.account()) {
            return Err(Why::Oneself);
        }
        Ok(Owed::Money(Plan { asked, way }))
    }

    /// What may leave the account for a challenge.
    pub(super) fn stakes(&self, demand: &Demand<'_, TempoCharge>) -> Result<Exposure, Why> {
        let price = demand.request.terms.amount;
        let most = match self.owed(demand)? {
            Owed::Proof => Amount::ZERO,
            Owed::Money(plan) => self.most(price, &plan).ok_or(Why::TooMuch)?,
        };
        let fees = most.checked_sub(price).unwrap_or(Amount::ZERO);
        Ok(Exposure::new(most).of_which_fees(fees).in_unit("usd", DECIMALS))
    }

    /// The way that the challenge allows and this payer goes: what it was told, else pull before push.
    pub(super) fn way(&self, demand: &Demand<'_, TempoCharge>, asked: &Asked) -> Result<Way, Why> {
        let details = &demand.request.details.method_details;
        let goes = |mode: &Mode| {
            details.takes(mode) && self.mode.as_ref().is_none_or(|chosen| chosen == mode)
        };
        if goes(&Mode::Pull) {
            return Ok(if details.is_sponsored() { Way::Sponsored } else { Way::Pull });
        }
        // Nobody else can pay the fee of what is sent already, and only a memo that names the challenge lets a payment be
        // found again after a crash.
        match self.mode {
            _ if goes(&Mode::Push) && details.is_sponsored() => Err(Why::PushedSponsored),
            _ if goes(&Mode::Push) && asked.fixed_memo => Err(Why::PushedMemo),
            _ if goes(&Mode::Push) => Ok(Way::Push),
            Some(Mode::Pull) => Err(Why::NoPull),
            Some(Mode::Push) => Err(Why::NoPush),
            Some(Mode::Other(_)) => Err(Why::OurMode),
            None => Err(Why::NoMode),
        }
    }

    /// Whether a token is one this payer spends.
    pub(super) fn takes_token(&self, token: alloy::primitives::Address) -> bool {
        match &self.currencies {
            Some(allowed) => allowed.contains(&token),
            None => chain::is_dollar(token),
        }
    }

    /// A memo that the server fixes and that names a challenge names somebody else's: it would pay for another's order (S8).
    fn takes_leg(&self, leg: &Expected) -> Result<(), Why> {
        if matches!(leg.memo, MemoRule::Exactly(memo) if is_attribution(&memo)) {
            return Err(Why::ForeignMemo);
        }
        match &self.recipients {
            Some(allowed) if !allowed.contains(&leg.to) => Err(Why::Recipient(leg.to)),
            _ => Ok(()),
        }
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
