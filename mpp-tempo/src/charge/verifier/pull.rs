//! Checks a transaction that the payer signed and this server would send.

use alloy::primitives::U256;
use mpp_core::{
    binding::Claim,
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    Verifier, examine,
    examine::Window,
    invalid, keys,
    reason::{self, refusal},
    unavailable,
};
use crate::{
    chain::{
        parse_hex,
        rpc::{Rpc, Trial},
        signature::Recovered,
        tip20,
        transaction::{DecodeError, Signed, Transaction},
    },
    charge::{TempoCharge, asked::Asked, evidence::Order},
};

impl Verifier {
    pub(super) async fn check_pull(
        &self,
        claim: &Claim<TempoCharge>,
        asked: Asked,
        signature: &str,
    ) -> Result<Order, Rejection> {
        // Nothing has moved yet, and nothing is sent for a challenge that is over.
        claim.in_time()?;
        let signed = read(signature)?;
        let signing = signed.transaction.signing();
        let shown = examine::Shown {
            asked: &asked,
            signed: &signed,
            signing: &signing,
            source: claim.source.as_ref(),
            exchange: self.chain.exchange,
            sponsored: self.is_sponsored(),
        };
        let recovered = shown.payer()?;
        let order = Order::of((recovered.account, signing), signed, asked).map_err(|cause| {
            refusal(Reason::BAD_PROOF, "The transaction is no payment.").because(cause)
        })?;
        let window = Window {
            now: self.clock.now(),
            longest: self.longest_validity,
            challenge_ends: claim.challenge.expires.as_ref(),
        };
        self.is_unspent(&order).await?;
        let Err(refusal) = self.pays(&order, recovered, &window).await else { return Ok(order) };
        if order.asked.fixed_memo {
            return Err(refusal);
        }
        // Money that moved already is neither in time nor still held: nobody is invited to pay again before that is known.
        let moved = refusal.kind.fresh
            && window.is_remembered(&order.signed.transaction)
            && self.is_mined(&order).await?;
        if moved { Ok(Order { mined: true, ..order }) } else { Err(refusal) }
    }

    /// Refuses a mined transaction whose memo names no challenge: anybody can read it from the chain and show it as theirs.
    async fn is_unspent(&self, order: &Order) -> Result<(), Rejection> {
        if !order.asked.fixed_memo || order.awaits_sponsor() || !self.is_mined(order).await? {
            return Ok(());
        }
        let detail = "The transaction was mined before it was shown, and its memo names no challenge: it cannot be told whose payment it is.";
        Err(Rejection::new(ProblemType::ALREADY_CREDITED, reason::ALREADY_MINED, detail))
    }

    /// Whether the transaction can be mined now, and would pay.
    async fn pays(
        &self,
        order: &Order,
        by: Recovered,
        window: &Window<'_>,
    ) -> Result<(), Rejection> {
        let transaction = &order.signed.transaction;
        self.would_sponsor(order, &window.now, window.challenge_ends).await?;
        examine::runs(transaction)?;
        window.includes(transaction)?;
        self.can_pay(order, by).await
    }

    /// Whether the chain holds this very transaction already: sent by the payer, or by this server before its store
    /// was lost, or by whoever else sponsored it. What the receipt shows is for the settlement to judge.
    ///
    /// A node that cannot say is no reason to refuse: that would invite the payer to pay again.
    async fn is_mined(&self, order: &Order) -> Result<bool, Rejection> {
        if order.awaits_sponsor() {
            return self.is_sponsored_elsewhere(order).await;
        }
        let Ok(promise) = order.promise() else { return Ok(false) };
        let node = self.node.node().await.map_err(unavailable)?;
        let receipt = node.receipt(promise.hash).await.map_err(unavailable)?;
        Ok(receipt.is_some_and(|receipt| receipt.hash == promise.hash))
    }

    /// Asks the node whether the transfers would succeed now: a failing one is mined all the same, and costs its fee.
    /// One below the base fee is not mined at all, and nobody says so.
    async fn can_pay(&self, order: &Order, by: Recovered) -> Result<(), Rejection> {
        let node = self.node.node().await.map_err(unavailable)?;
        let transaction = &order.signed.transaction;
        let whose = (&self.chain, self.clock.now().unix_seconds());
        // Questions that do not depend on each other.
        let (speaks, affordable, held, runs) = tokio::join!(
            keys::may_sign(node, whose, (&order.signed, order.payer), by),
            affords_gas(node, transaction),
            self.holds_enough(node, order),
            self.would_run(node, order),
        );
        speaks.and(affordable).and(held).and(runs)
    }

    /// Whether the payer holds what the transfers move, and the most the fee may take where it is taken from the same
    /// token. One whose calls bring the tokens in is tried as a whole, and not weighed.
    async fn holds_enough(&self, node: &dyn Rpc, order: &Order) -> Result<(), Rejection> {
        let transaction = &order.signed.transaction;
        if transaction.calls.len() != order.asked.legs.len() {
            return Ok(());
        }
        let balance = Trial::read(self.token, tip20::balance_of(order.payer));
        let answer = node.call(balance).await.map_err(unavailable)?;
        let held = tip20::read_balance(&answer)
            .ok_or_else(|| unavailable("the token's answer is no balance"))?;
        let fee = match transaction.fee_token {
            Some(token) if token == self.token => U256::from(transaction.max_fee()),
            _ => U256::ZERO,
        };
        if held < order.asked.total().saturating_add(fee) {
            let detail = "The payer does not hold enough for the payment and its fee.";
            return Err(refusal(reason::SHORT_OF_FUNDS, detail));
        }
        Ok(())
    }
}

/// Refuses a fee below what the chain asks: nodes drop it without a word.
pub(crate) async fn affords_gas(
    node: &dyn Rpc,
    transaction: &Transaction,
) -> Result<(), Rejection> {
    // The price of a node that names no base fee has a tip in it, but there is nothing better to go by.
    let least = match node.latest_block().await.map_err(unavailable)?.base_fee {
        Some(base_fee) => base_fee,
        None => node.gas_price().await.map_err(unavailable)?,
    };
    if transaction.max_fee_per_gas < least {
        let detail = "The transaction's fee per gas is lower than the chain asks now.";
        return Err(refusal(reason::FEE_TOO_LOW, detail));
    }
    Ok(())
}

/// Reads a transaction as a payload has it: hex of its bytes.
pub(crate) fn read(signature: &str) -> Result<Signed, Rejection> {
    let bytes = parse_hex(signature)
        .ok_or_else(|| invalid(Reason::UNREADABLE, "The transaction is not written in hex."))?;
    Signed::decode(&bytes).map_err(|cause| match cause {
        DecodeError::Signature(cause) => examine::bad_signature(cause),
        cause => {
            let detail = format!("The transaction cannot be read: {cause}.");
            Rejection::new(ProblemType::INVALID_PAYLOAD, Reason::UNREADABLE, detail).because(cause)
        }
    })
}
