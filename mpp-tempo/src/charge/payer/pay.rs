//! One payment of money, step by step: nothing leaves before the last of them.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::{U256, hex};
use mpp_core::{
    Amount, Timestamp,
    challenge::Demand,
    credential::Source,
    payer::{Allowance, PayError, Payment},
};

use super::{
    super::{promise::Promise, trace::LIFE},
    Payer, Payload, TempoCharge,
    plan::{Plan, Way},
    push::push,
};
use crate::{
    chain::{
        did::Did,
        rpc::Rpc,
        transaction::{FeePayer, Transaction},
    },
    order::{
        access::{Brought, with_fee},
        gas::{Caps, Gas},
        sign::sign,
        validity::{LEAST_SPONSORED, LEAST_VALID, LONGEST_VALID, Moment},
    },
};

/// A transaction that only wants a signature, and what is known of it.
struct Unsigned<'p> {
    transaction: Transaction,
    brought: Brought<'p>,
    /// The most that it costs: what leaves, and the fee where it is this account's.
    exposed: Option<Amount>,
    time: Time,
}

/// When a payment was begun, and how much of its time it must leave to whoever sends it.
struct Time {
    started: Timestamp,
    moment: Moment,
    least: Duration,
}

impl Payer {
    /// Pays what a plan says, within what was allowed.
    pub(super) async fn transfer(
        &self,
        demand: &Demand<'_, TempoCharge>,
        plan: Plan,
        within: &Allowance,
    ) -> Result<Payment<TempoCharge>, PayError> {
        if within.up_to < demand.request.terms.amount {
            return Err(high());
        }
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let unsigned = self.unsigned(node, demand, (&plan, within.up_to)).await?;
        let Unsigned { transaction, brought, exposed, time } = unsigned;
        self.in_time(&transaction, &time)?;
        let signature = sign(&*self.signer, transaction.signing_hash(), LONGEST_VALID).await?;
        // A crash up to here leaves nothing: what was signed is nowhere but in this process.
        self.in_time(&transaction, &time)?;
        let signed = transaction.signed(signature);
        if let Some((_, turn)) = brought {
            turn.keep();
        }
        let payload = match plan.way {
            Way::Pull => encoded(&signed.encode()),
            Way::Sponsored => encoded(&signed.envelope().map_err(unencodable)?),
            Way::Push => {
                let promise = Promise::by(self.signer.account(), &signed, &plan.asked)
                    .map_err(unencodable)?;
                // A crash in here leaves money that may have moved, and `recall` to find it.
                push(node, signed.encode().into(), &promise, LONGEST_VALID).await?
            }
        };
        Ok(self.paid(payload, exposed))
    }

    /// Writes the transaction, and makes sure that it would do what it says. Asks; sends nothing.
    async fn unsigned(
        &self,
        node: &dyn Rpc,
        demand: &Demand<'_, TempoCharge>,
        (plan, up_to): (&Plan, Amount),
    ) -> Result<Unsigned<'_>, PayError> {
        let brought = self.holder().authorization(node).await?;
        let sponsored = plan.way == Way::Sponsored;
        if brought.is_some() && sponsored {
            let detail = "the chain does not know the access key yet, and no sponsor pays for that";
            return Err(PayError::untouched(detail));
        }
        let funding = self.funding(node, plan, demand.request.terms.amount).await?;
        let left = up_to.checked_sub(funding.most).ok_or_else(high)?;
        let least = if sponsored { LEAST_SPONSORED } else { LEAST_VALID };
        let unpriced = |moment: Moment| -> Result<Transaction, PayError> {
            Ok(Transaction {
                calls: funding.calls.clone(),
                valid_before: Some(moment.valid_before(demand.challenge.expires.as_ref(), least)?),
                valid_after: moment.valid_after(demand.challenge.id().as_str().as_bytes()),
                fee_token: funding.fee_token,
                fee_payer: if sponsored { FeePayer::Awaited } else { FeePayer::Sender },
                key_authorization: brought.as_ref().map(|(authorization, _)| authorization.clone()),
                ..Transaction::on(plan.asked.chain_id)
            })
        };
        // The clocks are read after the waits for a key and for balances.
        let started = self.clock.now();
        // Where they agree, as they mostly do, what is tried while the chain is asked for its time is what is signed.
        let assumed = unpriced(Moment::agreeing(&started)).ok();
        let gas = Gas { node, from: self.signer.account(), chained: funding.swaps(plan) };
        let early = async { Some(gas.needed(assumed.as_ref()?).await) };
        let (block, early) = tokio::join!(node.latest_block(), early);
        let block = block.map_err(|cause| {
            PayError::untouched("the node does not say what time it is").because(cause)
        })?;
        let moment = Moment::of(&started, block.timestamp)?;
        let transaction = unpriced(moment)?;
        if plan.way == Way::Push {
            findable(demand, block.timestamp)?;
        }
        let needed = match early {
            Some(needed) if assumed.as_ref() == Some(&transaction) => needed?,
            _ => gas.needed(&transaction).await?,
        };
        let budget = left.min(self.fee_cap(plan)).get();
        let caps = Caps::of(budget, &transaction);
        let transaction = caps.fill_in(transaction, needed, gas.price(&block).await?)?;
        let fee = if sponsored { 0 } else { transaction.max_fee() };
        funding.suffices(fee)?;
        let authorization = transaction.key_authorization.as_ref();
        let mut spent = vec![(funding.token, U256::from(funding.most.get()))];
        if funding.swaps(plan) {
            spent.push((plan.asked.token, plan.asked.total()));
        }
        let spent = with_fee(spent, funding.fee_token, fee);
        self.holder().limits_allow(node, spent, authorization).await?;
        let exposed = funding.most.checked_add(Amount::new(fee));
        Ok(Unsigned { transaction, brought, exposed, time: Time { started, moment, least } })
    }

    /// Whether enough is left of a transaction's time. What took it away, the node or the signer, was asked for long.
    fn in_time(&self, transaction: &Transaction, time: &Time) -> Result<(), PayError> {
        let end = transaction.valid_before.map_or(0, NonZeroU64::get);
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        let elapsed = self.clock.now().since(&time.started);
        if time.moment.leaves_time(end, elapsed.saturating_add(time.least)) {
            return Ok(());
        }
        Err(PayError::untouched("too little time is left for the payment to be mined"))
    }

    /// A proof with the account's name on it.
    pub(super) fn paid(&self, payload: Payload, exposed: Option<Amount>) -> Payment<TempoCharge> {
        let did = Did { chain_id: self.node.chain_id(), address: self.signer.account() };
        let mut payment = Payment::new(payload).from(Source::new(did.to_string()));
        payment.exposed = exposed;
        payment
    }
}

fn high() -> PayError {
    PayError::untouched("the price is higher than allowed")
}

/// A payment that is sent before anybody was told of it must be found again: while its challenge is known, and in blocks
/// that nodes still have.
fn findable(demand: &Demand<'_, TempoCharge>, block: u64) -> Result<(), PayError> {
    let end = demand.challenge.expires.as_ref().map(Timestamp::unix_seconds);
    let last = i64::try_from(block.saturating_add(LIFE)).unwrap_or(i64::MAX);
    if end.is_some_and(|end| end <= last) {
        return Ok(());
    }
    Err(PayError::untouched("the challenge lives too long for a payment that the payer sends"))
}

fn encoded(signed: &[u8]) -> Payload {
    Payload::Transaction { signature: hex::encode_prefixed(signed) }
}

fn unencodable(cause: impl std::error::Error + Send + Sync + 'static) -> PayError {
    PayError::untouched("what was signed is no payment").because(cause)
}
