//! Where the money comes from: the token that is asked for, or another dollar that is exchanged on the way.

use alloy::primitives::{Address, U256};
use mpp_core::{Amount, payer::PayError};

use super::{
    Payer,
    plan::{Plan, Way},
};
use crate::chain::{
    dex::{self, Swap},
    rpc::{Rpc, RpcError, Trial},
    tip20,
    transaction::Call,
};

/// Which tokens may be given for the one that is asked for, and how much more of them than of it.
#[derive(Clone, Debug)]
pub(super) struct Swapping {
    pub(super) tokens: Vec<Address>,
    /// In hundredths of a percent.
    pub(super) slippage: u16,
}

impl Swapping {
    /// The most that is given for so much, rounded up.
    pub(super) fn most(&self, amount: Amount) -> Option<Amount> {
        const WHOLE: u64 = 10_000;
        let more = amount.checked_mul(u64::from(self.slippage))?.get();
        amount.checked_add(Amount::new(more.div_ceil(u128::from(WHOLE))))
    }
}

/// What a payment is made of.
pub(super) struct Funding {
    /// The transfers, and what must come before them.
    pub(super) calls: Vec<Call>,
    /// The token that leaves the account.
    pub(super) token: Address,
    /// The most of it that leaves, fee aside.
    pub(super) most: Amount,
    /// What the account holds of it, where that was asked.
    pub(super) held: Option<U256>,
    /// What the fee is taken from; nothing, where a sponsor pays it.
    pub(super) fee_token: Option<Address>,
}

impl Funding {
    /// Whether it begins with an exchange.
    pub(super) fn swaps(&self, plan: &Plan) -> bool {
        self.token != plan.asked.token
    }

    /// Refuses what would be mined, fail, and cost its fee.
    pub(super) fn suffices(&self, max_fee: u128) -> Result<(), PayError> {
        let fee = if self.fee_token == Some(self.token) { max_fee } else { 0 };
        let needed = U256::from(self.most.get()).saturating_add(U256::from(fee));
        if self.held.is_none_or(|held| held >= needed) { Ok(()) } else { Err(short()) }
    }
}

impl Payer {
    /// Finds the money. Asks for the balance only where the node's trial of the transaction would not show that it is
    /// short, or where something can be done about it.
    pub(super) async fn funding(
        &self,
        node: &dyn Rpc,
        plan: &Plan,
        amount: Amount,
    ) -> Result<Funding, PayError> {
        let token = plan.asked.token;
        let calls: Vec<Call> =
            self.transfers(&plan.asked).iter().map(|made| made.call(token)).collect();
        let mut own = Funding {
            token,
            most: amount,
            held: None,
            fee_token: self.fee_token_of(plan, token),
            calls,
        };
        if self.swapping.is_none() && own.calls.len() == 1 && plan.way != Way::Push {
            return Ok(own);
        }
        own.held = Some(self.holds(node, token).await?);
        let fee = self.fee_cap(plan).get();
        match (own.suffices(fee), &self.swapping) {
            (Err(_), Some(swapping)) => self.swapped(node, plan, (swapping, own)).await,
            // Without another way, the fee is judged once it is known.
            _ => own.suffices(0).map(|()| own),
        }
    }

    /// Exchanges the first of the tokens that there is enough of, at no worse a price than allowed.
    async fn swapped(
        &self,
        node: &dyn Rpc,
        plan: &Plan,
        (swapping, own): (&Swapping, Funding),
    ) -> Result<Funding, PayError> {
        let (token_out, amount) = (own.token, own.most);
        let most = swapping.most(amount).ok_or_else(short)?;
        let fee = self.fee_cap(plan).get();
        for &token in swapping.tokens.iter().filter(|token| **token != token_out) {
            if !self.takes_token(token) {
                continue;
            }
            let held = Some(self.holds(node, token).await?);
            let fee_token = self.fee_token_of(plan, token);
            let swap =
                Swap { token_in: token, token_out, amount_out: amount.get(), max_in: most.get() };
            let found = Funding { token, most, held, fee_token, calls: Vec::new() };
            if found.suffices(fee).is_err() || !is_worth(node, self.chain.exchange, &swap).await? {
                continue;
            }
            let mut calls = swap.calls(self.chain.exchange).to_vec();
            calls.extend(own.calls);
            return Ok(Funding { calls, ..found });
        }
        Err(short())
    }

    fn fee_token_of(&self, plan: &Plan, paid: Address) -> Option<Address> {
        (plan.way != Way::Sponsored).then(|| self.fee_token.unwrap_or(paid))
    }

    async fn holds(&self, node: &dyn Rpc, token: Address) -> Result<U256, PayError> {
        let question = Trial::read(token, tip20::balance_of(self.signer.account()));
        let unsaid = "the node does not say what the account holds";
        let answer =
            node.call(question).await.map_err(|e| PayError::untouched(unsaid).because(e))?;
        tip20::read_balance(&answer).ok_or_else(|| PayError::untouched(unsaid))
    }
}

/// Whether the exchange asks no more than allowed. A pair that nobody trades is not worth it.
async fn is_worth(node: &dyn Rpc, exchange: Address, swap: &Swap) -> Result<bool, PayError> {
    let question = dex::quote(swap.token_in, swap.token_out, swap.amount_out);
    match node.call(Trial::read(exchange, question)).await {
        Ok(answer) => Ok(dex::read_quote(&answer).is_some_and(|quoted| quoted <= swap.max_in)),
        Err(RpcError::Refused(_)) => Ok(false),
        Err(cause) => {
            Err(PayError::untouched("the node does not say what the exchange asks").because(cause))
        }
    }
}

fn short() -> PayError {
    PayError::untouched("the account does not hold enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_no_more_is_given_in_exchange_than_the_cap_allows() {
        let most = |amount, slippage| {
            let swapping = Swapping { tokens: Vec::new(), slippage };
            swapping.most(Amount::new(amount)).map(Amount::get)
        };
        let cases = [
            (1_000_000, 100, Some(1_010_000)),
            (1_000_000, 0, Some(1_000_000)),
            (1, 1, Some(2)),
            (9_999, 1, Some(10_000)),
            (10_000, 1, Some(10_001)),
            (u128::MAX, 1, None),
        ];
        for (amount, slippage, expected) in cases {
            assert_eq!(most(amount, slippage), expected, "{amount} at {slippage}");
        }
    }
}
