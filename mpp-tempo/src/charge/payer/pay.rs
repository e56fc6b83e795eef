//! One payment of money, step by step: nothing leaves before the last of them.

use alloy::primitives::hex;
use mpp_core::{
    Amount, Timestamp,
    challenge::Demand,
    credential::Source,
    payer::{Allowance, PayError, Payment},
};

use super::{
    super::{promise::Promise, trace::LIFE},
    Payer, Payload, TempoCharge, gas,
    plan::{Plan, Way},
    push::push,
    sign::sign,
    swap::Funding,
    validity::{LEAST_SPONSORED, LEAST_VALID, LONGEST_VALID, Moment},
};
use crate::chain::{
    did::Did,
    rpc::Rpc,
    transaction::{FeePayer, Transaction},
};

impl Payer {
    /// Pays what a plan says, within what was allowed.
    pub(super) async fn transfer(
        &self,
        demand: &Demand<'_, TempoCharge>,
        plan: Plan,
        within: &Allowance,
    ) -> Result<Payment<TempoCharge>, PayError> {
        let high = || PayError::untouched("the price is higher than allowed");
        let amount = demand.request.terms.amount;
        if within.up_to < amount {
            return Err(high());
        }
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let brought = self.authorization(node).await?;
        if brought.is_some() && plan.way == Way::Sponsored {
            let detail = "the chain does not know the access key yet, and no sponsor pays for that";
            return Err(PayError::untouched(detail));
        }
        // The clocks are read after the wait for a key.
        let started = self.clock.now();
        let block = node.latest_block().await.map_err(|cause| {
            PayError::untouched("the node does not say what time it is").because(cause)
        })?;
        let moment = Moment::of(&started, block.timestamp)?;
        let least = if plan.way == Way::Sponsored { LEAST_SPONSORED } else { LEAST_VALID };
        let valid_before = moment.valid_before(demand.challenge, least)?;
        if plan.way == Way::Push {
            findable(demand, block.timestamp)?;
        }
        let funding = self.funding(node, &plan, amount).await?;
        let left = within.up_to.checked_sub(funding.most).ok_or_else(high)?;
        let unpriced = Transaction {
            calls: funding.calls.clone(),
            valid_before: Some(valid_before),
            valid_after: moment.valid_after(demand.challenge),
            fee_token: funding.fee_token,
            fee_payer: match plan.way {
                Way::Sponsored => FeePayer::Awaited,
                Way::Pull | Way::Push => FeePayer::Sender,
            },
            key_authorization: brought.as_ref().map(|(authorization, _)| authorization.clone()),
            ..Transaction::on(plan.asked.chain_id)
        };
        let budget = left.min(self.fee_cap(&plan)).get();
        let transaction = self.priced(node, unpriced, (&plan, &funding, budget)).await?;
        let fee = if plan.way == Way::Sponsored { 0 } else { transaction.max_fee() };
        funding.suffices(fee)?;
        let bytes = brought.as_ref().map(|(authorization, _)| authorization);
        self.limits_allow(node, (&plan, &funding, fee), bytes).await?;

        let end = i64::try_from(valid_before.get()).unwrap_or(i64::MAX);
        let remains = || {
            let elapsed = self.clock.now().since(&started);
            moment.leaves_time(end, elapsed.saturating_add(least))
        };
        let late = || PayError::untouched("too little time is left for the payment to be mined");
        if !remains() {
            return Err(late());
        }
        let hash = transaction.signing_hash();
        let signature = sign(&*self.signer, hash, LONGEST_VALID).await?;
        // A crash up to here leaves nothing: what was signed is nowhere but in this process.
        if !remains() {
            return Err(late());
        }
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
        Ok(self.paid(payload, funding.most.checked_add(Amount::new(fee))))
    }

    async fn priced(
        &self,
        node: &dyn Rpc,
        unpriced: Transaction,
        (plan, funding, budget): (&Plan, &Funding, u128),
    ) -> Result<Transaction, PayError> {
        let caps = gas::Caps::of(plan.way, budget, &unpriced);
        let swaps = funding.swaps(plan);
        gas::with_fees(node, self.signer.account(), unpriced, (caps, swaps)).await
    }

    /// A proof with the account's name on it.
    pub(super) fn paid(&self, payload: Payload, exposed: Option<Amount>) -> Payment<TempoCharge> {
        let did = Did { chain_id: self.node.chain_id(), address: self.signer.account() };
        let mut payment = Payment::new(payload).from(Source::new(did.to_string()));
        payment.exposed = exposed;
        payment
    }
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
