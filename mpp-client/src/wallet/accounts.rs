//! What the wallet's payers say of their accounts, whichever method each is of.

use mpp_core::{
    Challenge, Receipt,
    accept::{Accept, Range},
    name::MethodId,
    payer::{Site, Wish},
};

use super::Wallet;
use crate::choice;

impl Wallet {
    /// The account that one of its payers has with somebody, to be named in a request.
    pub fn hint(&self, to: &Site) -> Option<String> {
        self.payers.iter().find_map(|payer| payer.hint(to))
    }

    /// What a payer of a challenge would rather do before it must, now that it was answered.
    pub fn wishes(&self, challenge: &Challenge) -> Option<Wish> {
        let id = challenge.method_id();
        let mut payers = self.payers.iter().filter(|payer| payer.id() == id);
        payers.find_map(|payer| payer.wishes(challenge))
    }

    /// Tells its payers a receipt that came outside an answer.
    pub fn hear(&self, receipt: &Receipt) {
        self.payers.iter().for_each(|payer| payer.hear(receipt));
    }

    /// Tells its payers what a server says of an account. Whether one of them can go on with it.
    pub async fn remember(&self, to: &Site, snapshot: &str) -> bool {
        for payer in &self.payers {
            match payer.remember(to, snapshot).await {
                Ok(()) => return true,
                Err(e) => tracing::debug!(origin = %to.origin, error = %e, "snapshot not taken"),
            }
        }
        false
    }

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
