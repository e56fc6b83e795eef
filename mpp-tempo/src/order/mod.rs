//! A payer's transaction: how it is timed, priced, allowed and signed, whatever it does.

pub(crate) mod access;
pub(crate) mod gas;
mod send;
pub(crate) mod sign;
mod together;
pub(crate) mod validity;

use std::num::NonZeroU64;

use alloy::primitives::{Address, U256};
use mpp_core::{Amount, Timestamp, payer::PayError};

use self::{
    access::{Brought, Holder, with_fee},
    gas::{Caps, Gas},
    sign::sign,
    validity::{LEAST_SPONSORED, LEAST_VALID, LONGEST_VALID, Moment},
};
use crate::chain::{
    rpc::Rpc,
    transaction::{Call, FeePayer, Signed, Transaction},
};

pub(crate) use self::send::send;

/// What one transaction is to do, and what it may cost.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// In order, all or nothing.
    pub(crate) calls: Vec<Call>,
    /// What leaves the account by them: a token and an amount.
    pub(crate) spends: Option<(Address, u128)>,
    /// What the fee is taken from; nothing, where a sponsor pays it.
    pub(crate) fee_token: Option<Address>,
    /// The most that the fee may be, in base units of a dollar token.
    pub(crate) max_fee: Amount,
    /// Whether later calls live on what the earlier ones bring.
    pub(crate) chained: bool,
    /// Units of gas that it gets at least.
    pub(crate) least_gas: u64,
    /// When what it answers ends.
    pub(crate) expires: Option<Timestamp>,
    /// What it is for: of two orders that are alike in all else, this makes two transactions.
    pub(crate) purpose: Vec<u8>,
}

/// A transaction that only wants a signature.
pub(crate) struct Written<'a> {
    pub(crate) transaction: Transaction,
    brought: Brought<'a>,
    started: Timestamp,
    moment: Moment,
    least: std::time::Duration,
}

impl Written<'_> {
    /// The most that its fee takes from the account, in base units.
    pub(crate) fn fee(&self) -> Amount {
        match self.transaction.fee_payer {
            FeePayer::Sender => Amount::new(self.transaction.max_fee()),
            _ => Amount::ZERO,
        }
    }

    /// Unix seconds of the chain's in which it ends to be valid.
    pub(crate) fn valid_before(&self) -> u64 {
        self.transaction.valid_before.map_or(0, NonZeroU64::get)
    }
}

impl<'a> Holder<'a> {
    /// Writes the transaction of an order, and makes sure that it would do what it says. Asks; sends nothing.
    pub(crate) async fn write(
        &self,
        node: &dyn Rpc,
        order: Order,
    ) -> Result<Written<'a>, PayError> {
        let sponsored = order.fee_token.is_none();
        let brought = self.authorization(node).await?;
        if brought.is_some() && sponsored {
            let detail = "the chain does not know the access key yet, and no sponsor pays for that";
            return Err(PayError::untouched(detail));
        }
        let least = if sponsored { LEAST_SPONSORED } else { LEAST_VALID };
        // The clocks are read after the wait for a key.
        let started = self.clock.now();
        let block = node.latest_block().await.map_err(|cause| {
            PayError::untouched("the node does not say what time it is").because(cause)
        })?;
        let moment = Moment::of(&started, block.timestamp)?;
        let transaction = Transaction {
            calls: order.calls,
            valid_before: Some(moment.valid_before(order.expires.as_ref(), least)?),
            valid_after: moment.valid_after(&order.purpose),
            fee_token: order.fee_token,
            fee_payer: if sponsored { FeePayer::Awaited } else { FeePayer::Sender },
            key_authorization: brought.as_ref().map(|(authorization, _)| authorization.clone()),
            ..Transaction::on(self.chain_id)
        };
        let gas = Gas { node, from: self.signer.account(), chained: order.chained };
        let needed = gas.needed(&transaction).await?.max(order.least_gas);
        let caps = Caps::of(order.max_fee.get(), &transaction);
        let transaction = caps.fill_in(transaction, needed, gas.price(&block).await?)?;
        let fee = if sponsored { 0 } else { transaction.max_fee() };
        let spends = order.spends.map(|(token, amount)| (token, U256::from(amount)));
        let spent = with_fee(spends.into_iter().collect(), order.fee_token, fee);
        self.limits_allow(node, spent, transaction.key_authorization.as_ref()).await?;
        Ok(Written { transaction, brought, started, moment, least })
    }

    /// Signs what was written. Nothing has left when this fails.
    pub(crate) async fn sign(&self, written: Written<'a>) -> Result<Signed, PayError> {
        self.in_time(&written)?;
        let hash = written.transaction.signing_hash();
        let signature = sign(self.signer, hash, LONGEST_VALID).await?;
        self.in_time(&written)?;
        if let Some((_, turn)) = written.brought {
            turn.keep();
        }
        Ok(written.transaction.signed(signature))
    }

    /// Whether enough is left of a transaction's time. What took it away, the node or the signer, was asked for long.
    fn in_time(&self, written: &Written<'_>) -> Result<(), PayError> {
        let end = i64::try_from(written.valid_before()).unwrap_or(i64::MAX);
        let elapsed = self.clock.now().since(&written.started);
        if written.moment.leaves_time(end, elapsed.saturating_add(written.least)) {
            return Ok(());
        }
        Err(PayError::untouched("too little time is left for the transaction to be mined"))
    }
}
