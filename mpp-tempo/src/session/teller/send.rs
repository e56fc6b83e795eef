//! Sends this server's own transactions: priced, signed for at most 25 seconds, and waited for.

use std::{fmt, num::NonZeroU64, sync::Arc, time::Duration};

use alloy::primitives::Address;
use tokio::time::{Instant, sleep, timeout};

use crate::chain::{
    rpc::{Block, Receipt, Rpc, RpcError, Trial},
    signature::SignatureError,
    signer::{Signer, SignerError},
    transaction::{ATTO_PER_UNIT, Call, Signed, Transaction},
};

/// Valid on every fork: some nodes take 30 seconds, measured by their own clock.
const VALID: u64 = 25;

/// In attodollars per unit of gas; within the highest fee, not beside it.
const TIP: u128 = 1_000_000_000;

/// No collection is given less gas: only what is used is paid for.
const LEAST_GAS: u64 = 300_000;

/// Between two looks for a receipt.
const STEP: Duration = Duration::from_millis(500);

/// Who settles and closes, and what that may cost.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) fee_token: Address,
    /// Base units of a dollar token.
    pub(super) max_fee: u128,
}

/// Why no receipt is there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error("the chain would refuse the transaction")]
    Reverts(#[source] RpcError),
    #[error("the node does not say what the transaction would take")]
    Unpriced(#[source] RpcError),
    #[error("the fee would be higher than allowed: `max_fee`")]
    Dear,
    #[error("the signer did not sign")]
    Signer(#[source] SignerError),
    #[error("the signer took too long")]
    Late,
    #[error("the signer answered with no signature of its account")]
    Foreign(#[source] Option<SignatureError>),
    #[error("the node did not mine the transaction, or did not say so")]
    Unseen(#[source] Option<RpcError>),
}

impl Hand {
    /// Makes the calls, and waits for the block that holds them: it may have failed there.
    pub(super) async fn send(
        &self,
        node: &dyn Rpc,
        chain_id: u64,
        calls: Vec<Call>,
        within: Duration,
    ) -> Result<Receipt, Unsent> {
        let until = Instant::now() + within;
        let block = node.latest_block().await.map_err(Unsent::Unpriced)?;
        let transaction = self.priced(node, (chain_id, &block), calls).await?;
        let signed = self.signed(transaction, within).await?;
        let hash = signed.hash();
        // A crash from here on leaves a transaction that may be mined; the chain tells, since it does all of this once.
        let mut cause = match timeout(within, node.send(signed.encode().into())).await {
            Ok(Ok(receipt)) if receipt.hash == hash => return Ok(receipt),
            Ok(Err(cause)) if cause.took_nothing() => return Err(Unsent::Unseen(Some(cause))),
            Ok(Err(cause)) => Some(cause),
            _ => None,
        };
        loop {
            match node.receipt(hash).await {
                Ok(Some(receipt)) if receipt.hash == hash => return Ok(receipt),
                Ok(_) => {}
                Err(error) => cause = Some(error),
            }
            if Instant::now() + STEP >= until {
                return Err(Unsent::Unseen(cause));
            }
            sleep(STEP).await;
        }
    }

    async fn priced(
        &self,
        node: &dyn Rpc,
        (chain_id, block): (u64, &Block),
        calls: Vec<Call>,
    ) -> Result<Transaction, Unsent> {
        let valid_before = NonZeroU64::new(block.timestamp.saturating_add(VALID));
        let transaction = Transaction {
            calls,
            valid_before,
            fee_token: Some(self.fee_token),
            ..Transaction::on(chain_id)
        };
        let needed = self.needed(node, &transaction).await?;
        let price = match block.base_fee {
            Some(base_fee) => base_fee.max(TIP),
            None => node.gas_price().await.map_err(Unsent::Unpriced)?,
        };
        let max_fee_per_gas = price.saturating_add(price / 2);
        let gas_limit = needed.saturating_add(needed / 4).max(LEAST_GAS);
        let transaction = Transaction {
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas: max_fee_per_gas.min(TIP),
            ..transaction
        };
        let cap = self.max_fee.saturating_mul(ATTO_PER_UNIT);
        let fee = u128::from(gas_limit).saturating_mul(max_fee_per_gas);
        if fee > cap { Err(Unsent::Dear) } else { Ok(transaction) }
    }

    /// What the node says of all calls, or of each of them, whichever is more: some answer one number for every list.
    async fn needed(&self, node: &dyn Rpc, transaction: &Transaction) -> Result<u64, Unsent> {
        let trial = |calls: Vec<Call>| Trial {
            from: Some(self.signer.account()),
            calls,
            fee_token: transaction.fee_token,
            valid_before: transaction.valid_before.map(NonZeroU64::get),
            fee_payer: None,
        };
        let mut sum = 0_u64;
        for call in &transaction.calls {
            let alone = node.estimate_gas(trial(vec![call.clone()])).await.map_err(unpriced)?;
            sum = sum.saturating_add(alone);
        }
        if transaction.calls.len() < 2 {
            return Ok(sum);
        }
        let whole = node.estimate_gas(trial(transaction.calls.clone())).await.map_err(unpriced)?;
        Ok(sum.max(whole))
    }

    async fn signed(&self, transaction: Transaction, within: Duration) -> Result<Signed, Unsent> {
        let hash = transaction.signing_hash();
        let made = timeout(within, self.signer.sign(hash)).await.map_err(|_| Unsent::Late)?;
        let made = made.map_err(Unsent::Signer)?;
        match made.recover(hash) {
            Ok(account) if account == self.signer.account() => Ok(transaction.signed(made)),
            Ok(_) => Err(Unsent::Foreign(None)),
            Err(cause) => Err(Unsent::Foreign(Some(cause))),
        }
    }
}

fn unpriced(error: RpcError) -> Unsent {
    if error.is_revert() { Unsent::Reverts(error) } else { Unsent::Unpriced(error) }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("account", &self.signer.account()).finish_non_exhaustive()
    }
}
