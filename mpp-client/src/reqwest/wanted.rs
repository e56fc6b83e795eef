//! What errands beside requests must know of a wallet.

use mpp_core::{
    Challenge,
    accept::{Accept, Range},
    name::MethodId,
    payer::{Site, Wish},
};

use crate::{choice, wallet::Wallet};

impl Wallet {
    /// What its payers can pay with under one intent: the `Accept-Payment` header of a request for that alone.
    pub(crate) fn accept_intent(&self, intent: &str) -> Accept {
        let all = choice::accept(&self.payers, &self.prefer);
        let ids: Vec<MethodId> = self.payers.iter().map(|payer| payer.id()).collect();
        let of = |id: &&MethodId| id.intent.as_str() == intent;
        let range = |id: &MethodId| {
            let (method, intent) = (id.method.as_str(), id.intent.as_str());
            let rank = all.rank(method, intent);
            Range::new(Some(method), Some(intent), rank).ok()
        };
        ids.iter().filter(of).filter_map(range).collect()
    }

    /// Whether granting a wish would put something newly at stake under any of these challenges.
    pub(crate) fn would_stake(&self, challenges: &[Challenge], wish: &Wish, to: &Site) -> bool {
        let staking = |challenge: &Challenge| {
            let granter = self.granter(challenge, wish, to);
            granter.is_some_and(|(_, quote)| !quote.exposes.amount.is_zero())
        };
        challenges.iter().any(staking)
    }
}
