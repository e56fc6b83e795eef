//! Whether a deposit would be mined and would succeed, asked before anything is sent for it.

use std::num::NonZeroU64;

use mpp_core::{binding::Claim, problem::Rejection};

use super::{super::TempoSession, Teller, deposit::Deposit, reason::failed, unavailable};
use crate::{
    chain::{
        rpc::{Rpc, RpcError, Trial},
        signature::Recovered,
        tip20,
        transaction::MAX_CALLS,
    },
    charge::{
        reason as charged,
        sponsor::Stage,
        verifier::{
            examine::{self, Window},
            keys, pull, trial,
        },
    },
};

impl Teller {
    /// A deposit that fails costs a fee; one that no node takes leaves everybody waiting.
    pub(super) async fn can_be_sent(
        &self,
        claim: &Claim<TempoSession>,
        deposit: &Deposit,
        by: Recovered,
    ) -> Result<(), Rejection> {
        let transaction = &deposit.signed.transaction;
        let challenge_ends = claim.challenge.expires.as_ref();
        let now = self.clock.now();
        if deposit.awaits_sponsor() {
            let offered = claim.request.details.method_details.is_sponsored();
            let Some(sponsor) = self.sponsor.as_ref().filter(|_| offered) else {
                let detail = "Nobody pays the fee for you here.";
                return Err(failed(charged::NOT_SPONSORED, detail));
            };
            let stage = Stage::Shown { challenge_ends };
            sponsor.has_room(&sponsor.judge(&deposit.signed, &now, stage)?).await?;
        }
        if transaction.calls.len() > MAX_CALLS {
            let detail = "The transaction makes more calls than nodes take.";
            return Err(failed(charged::WRONG_CALLS, detail));
        }
        examine::runs(transaction)?;
        let whose = (&self.chain, now.unix_seconds());
        Window { now, longest: self.longest_validity, challenge_ends }.includes(transaction)?;
        let node = self.node.node().await.map_err(unavailable)?;
        // Questions that do not depend on each other.
        let (speaks, affordable, held, runs) = tokio::join!(
            keys::may_sign(node, whose, (&deposit.signed, deposit.payer), by),
            pull::affords_gas(node, transaction),
            self.holds_enough(node, deposit),
            self.would_run(node, deposit),
        );
        speaks.and(affordable).and(held).and(runs)
    }

    async fn holds_enough(&self, node: &dyn Rpc, deposit: &Deposit) -> Result<(), Rejection> {
        let Some(takes) = deposit.takes() else { return Ok(()) };
        let balance = Trial::read(self.token, tip20::balance_of(deposit.payer));
        let answer = node.call(balance).await.map_err(unavailable)?;
        let held = tip20::read_balance(&answer)
            .ok_or_else(|| unavailable("the token's answer is no balance"))?;
        if held >= takes {
            return Ok(());
        }
        let detail = "The payer does not hold enough for the deposit and its fee.";
        Err(failed(charged::SHORT_OF_FUNDS, detail))
    }

    /// Runs the deposit as a transaction with an expiring nonce, without which no channel begins.
    async fn would_run(&self, node: &dyn Rpc, deposit: &Deposit) -> Result<(), Rejection> {
        let transaction = &deposit.signed.transaction;
        let trial = || Trial {
            from: Some(deposit.payer),
            calls: transaction.calls.clone(),
            valid_before: transaction.valid_before.map(NonZeroU64::get),
            ..Trial::default()
        };
        let whole_or_nothing = deposit.awaits_sponsor()
            && self
                .sponsor
                .as_ref()
                .is_some_and(crate::charge::sponsor::Sponsor::requires_simulation);
        let tried = if whole_or_nothing {
            node.simulate(trial()).await
        } else if transaction.calls.len() == 1 {
            node.call(trial()).await.map(drop)
        } else {
            match node.simulate(trial()).await {
                Err(error) if error.is_not_offered() => node.call(trial()).await.map(drop),
                tried => tried,
            }
        };
        tried.map_err(refused)?;
        if deposit.awaits_sponsor() {
            return trial::has_gas(node, &deposit.signed, deposit.payer).await;
        }
        Ok(())
    }
}

fn refused(error: RpcError) -> Rejection {
    if !error.is_revert() {
        return unavailable(error);
    }
    failed(charged::WOULD_FAIL, "The chain would refuse the deposit.").because(error)
}
