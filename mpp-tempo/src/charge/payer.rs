//! The client half: signs the transfer that a challenge asks for, within limits, and sends nothing itself.

use std::{collections::HashSet, num::NonZeroU64, sync::Arc, time::Duration};

use alloy::primitives::Address;
use mpp_core::{
    Amount,
    challenge::Demand,
    credential::Source,
    payer::{Allowance, Became, Exposure, PayError, Payment, Recall},
    time::Clock,
};

use super::{
    Mode, Payload, TempoCharge,
    asked::Asked,
    look::{self, Seen, Unclear},
    promise::{self, Promise},
};
use crate::{
    chain::{
        self, AddressError, Chain, DECIMALS,
        did::Did,
        parse_address,
        rpc::{Pinned, Rpc, RpcError, Trial},
        signature::Key,
        tip20::{Expected, MemoRule, Transfer},
        transaction::{ATTO_PER_UNIT, Transaction},
    },
    clock::SystemClock,
};

mod validity;

use self::validity::Moment;

/// Pays in dollar stablecoins on one Tempo chain, with a key held in memory.
///
/// The server gets a signed transaction and sends it. Until it does, and after the transaction's 25 seconds are over
/// without it, nothing has moved. The seconds are counted by this clock or the chain's, whichever is behind; minutes
/// apart, nothing is signed. Fees are taken from the token that is paid unless said otherwise, and never exceed a cap.
#[derive(Debug)]
pub struct Payer {
    key: Key,
    node: Pinned,
    max_fee: Amount,
    fee_token: Option<Address>,
    currencies: Option<HashSet<Address>>,
    recipients: Option<HashSet<Address>>,
    client: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Payer {
    /// Pays from an account on a chain, and on no other: the node must be on it too.
    pub fn new(key: Key, chain: &Chain, rpc: Arc<dyn Rpc>) -> Self {
        Self {
            key,
            node: Pinned::new(rpc, chain.id),
            max_fee: Amount::new(50_000),
            fee_token: None,
            currencies: None,
            recipients: None,
            client: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Lets a payment's fee cost so much and no more, in base units of the token; 0.05 dollars unless said otherwise.
    pub fn max_fee(self, max_fee: Amount) -> Self {
        Self { max_fee, ..self }
    }

    /// Takes fees from another token of the account than the one that is paid.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn fees_in(self, token: &str) -> Result<Self, AddressError> {
        let token = parse_address(token)?;
        if chain::is_tip20(token) {
            Ok(Self { fee_token: Some(token), ..self })
        } else {
            Err(AddressError)
        }
    }

    /// Pays in these tokens only, all of them dollars; in every known dollar token unless said otherwise.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn only_in<'a>(
        self,
        tokens: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        let tokens = addresses(tokens)?;
        if tokens.iter().all(|token| chain::is_tip20(*token)) {
            Ok(Self { currencies: Some(tokens), ..self })
        } else {
            Err(AddressError)
        }
    }

    /// Pays these accounts only; any unless said otherwise.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address.
    pub fn only_to<'a>(
        self,
        recipients: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        Ok(Self { recipients: Some(addresses(recipients)?), ..self })
    }

    /// Writes a fingerprint of this name into the memo of every payment, for all to see; none unless said otherwise.
    pub fn named(self, client: impl Into<String>) -> Self {
        Self { client: Some(client.into()), ..self }
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The account that pays: its address, with checksum.
    pub fn address(&self) -> String {
        self.key.address().to_string()
    }

    /// The transfer to make, if it is one this payer makes at all.
    fn asked(&self, demand: &Demand<'_, TempoCharge>) -> Option<Asked> {
        let asked = Asked::read(demand.challenge, &demand.request).ok()?;
        let details = &demand.request.details.method_details;
        let known = match &self.currencies {
            Some(allowed) => allowed.contains(&asked.token),
            None => chain::is_dollar(asked.token),
        };
        let ours = asked.chain_id == self.node.chain_id()
            && details.takes(&Mode::Pull)
            && !details.is_sponsored()
            && known
            && asked.legs.len() == 1
            && self
                .recipients
                .as_ref()
                .is_none_or(|allowed| asked.legs.iter().all(|leg| allowed.contains(&leg.to)))
            && !asked.pays(self.key.address());
        ours.then_some(asked)
    }

    fn transfers(&self, asked: &Asked) -> Vec<Transfer> {
        let transfer = |leg: &Expected| {
            let memo = match leg.memo {
                MemoRule::Exactly(memo) => Some(memo),
                MemoRule::Attributed(challenge) => Some(challenge.memo(self.client.as_deref())),
                MemoRule::Any | MemoRule::Absent => None,
            };
            Transfer { to: leg.to, amount: leg.amount, memo }
        };
        asked.legs.iter().map(transfer).collect()
    }

    /// Fills in gas and fees as the node says, within a budget in base units.
    async fn with_fees(
        &self,
        node: &dyn Rpc,
        transaction: Transaction,
        budget: u128,
    ) -> Result<Transaction, PayError> {
        let trial = Trial {
            from: Some(self.key.address()),
            calls: transaction.calls.clone(),
            fee_token: transaction.fee_token,
            valid_before: transaction.valid_before.map(NonZeroU64::get),
            fee_payer: None,
        };
        let estimate = node.estimate_gas(trial).await.map_err(|cause| {
            let detail = match cause {
                RpcError::Refused(_) => "the node says that the transfer would fail",
                _ => "the node does not say what the transfer would use",
            };
            PayError::untouched(detail).because(cause)
        })?;
        let price = node.gas_price().await.map_err(|cause| {
            PayError::untouched("the node does not say what gas costs").because(cause)
        })?;
        // An estimate that is a little short would be mined, fail, and cost its fee.
        let gas_limit = estimate.saturating_add(estimate / 5).max(LEAST_GAS);
        let affordable = budget.saturating_mul(ATTO_PER_UNIT) / u128::from(gas_limit);
        if gas_limit > MOST_GAS || price > affordable {
            return Err(PayError::untouched("the fee would be higher than allowed"));
        }
        let max_fee_per_gas = price.saturating_add(price / 2).min(affordable);
        let max_priority_fee_per_gas = max_fee_per_gas.min(TIP);
        Ok(Transaction { gas_limit, max_fee_per_gas, max_priority_fee_per_gas, ..transaction })
    }
}

impl mpp_core::payer::Payer for Payer {
    type Method = TempoCharge;

    fn exposes(&self, demand: &Demand<'_, TempoCharge>) -> Option<Exposure> {
        self.asked(demand)?;
        let amount = demand.request.terms.amount.checked_add(self.max_fee)?;
        Some(Exposure::new(amount).in_unit("usd", DECIMALS))
    }

    async fn pay(
        &self,
        demand: &Demand<'_, TempoCharge>,
        within: &Allowance,
    ) -> Result<Payment<TempoCharge>, PayError> {
        let asked = self.asked(demand).ok_or_else(|| {
            PayError::untouched("the challenge asks for something that this payer does not pay")
        })?;
        let amount = demand.request.terms.amount;
        let left = within
            .up_to
            .checked_sub(amount)
            .ok_or_else(|| PayError::untouched("the price is higher than allowed"))?;
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let started = self.clock.now();
        let block = node.latest_block().await.map_err(|cause| {
            PayError::untouched("the node does not say what time it is").because(cause)
        })?;
        let moment = Moment::of(&started, block.timestamp)?;
        let valid_before = moment.valid_before(demand.challenge)?;
        let transaction = Transaction {
            calls: self.transfers(&asked).iter().map(|made| made.call(asked.token)).collect(),
            valid_before: Some(valid_before),
            valid_after: moment.valid_after(demand.challenge),
            fee_token: Some(self.fee_token.unwrap_or(asked.token)),
            ..Transaction::on(asked.chain_id)
        };
        let budget = left.min(self.max_fee).get();
        let transaction = self.with_fees(node, transaction, budget).await?;
        let elapsed = self.clock.now().since(&started);
        if i64::try_from(valid_before.get()).is_ok_and(|end| !moment.leaves_time(end, elapsed)) {
            return Err(PayError::untouched("the node took too long to say what the fee is"));
        }
        let exposed = amount.checked_add(Amount::new(transaction.max_fee()));
        let signed = transaction.sign(&self.key);
        let signature = alloy::primitives::hex::encode_prefixed(signed.encode());
        let source = Did { chain_id: asked.chain_id, address: self.key.address() };
        let mut payment =
            Payment::new(Payload::Transaction { signature }).from(Source::new(source.to_string()));
        payment.exposed = exposed;
        Ok(payment)
    }

    /// Nothing was put at stake: a signed transaction moves nothing until the server has it, and one that was never
    /// written down was never sent. It is forgotten, and ends by itself.
    async fn recall(&self, _: &Demand<'_, TempoCharge>) -> Result<Recall<TempoCharge>, PayError> {
        Ok(Recall::Never)
    }

    /// The chain says it: by a receipt, or by none after the transaction's time was over. A receipt without the transfer
    /// is believed in neither sense, and a transaction of another chain is not this payer's to judge.
    async fn became(
        &self,
        demand: &Demand<'_, TempoCharge>,
        payload: &Payload,
    ) -> Result<Became, PayError> {
        let Payload::Transaction { signature } = payload else { return Ok(Became::Open) };
        let unreadable = "the payment that was signed cannot be read";
        let signed =
            promise::read(signature).map_err(|e| PayError::unknown(unreadable).because(e))?;
        let asked = Asked::read(demand.challenge, &demand.request)
            .map_err(|e| PayError::unknown(unreadable).because(e))?;
        let promise =
            Promise::of(&signed, &asked).map_err(|e| PayError::unknown(unreadable).because(e))?;
        let unclear = |cause: Unclear| {
            PayError::unknown("the chain does not say what became of the payment").because(cause)
        };
        let node = match look::node_of(&self.node, promise.chain_id).await {
            Err(Unclear::OtherChain(_)) => return Ok(Became::Open),
            found => found.map_err(unclear)?,
        };
        match look::look(node, LOOK, &promise).await {
            Seen::Mined(receipt) if !receipt.success => Ok(Became::Failed),
            Seen::Mined(receipt) if promise.is_shown_by(&receipt.logs).is_ok() => Ok(Became::Paid),
            Seen::Mined(_) | Seen::Pending => Ok(Became::Open),
            Seen::Never => Ok(Became::Dead),
            Seen::Unclear(cause) => Err(unclear(cause)),
        }
    }
}

/// The longest that the chain is asked what became of a payment.
const LOOK: Duration = Duration::from_secs(10);

/// Only what is used is paid for. Some nodes run a server's trial of this transaction only with 771,000 or more.
const LEAST_GAS: u64 = 800_000;
/// No single transfer needs as much.
const MOST_GAS: u64 = 3_000_000;
/// In attodollars per unit of gas; within the highest fee, not beside it.
const TIP: u128 = 1_000_000_000;

fn addresses<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<HashSet<Address>, AddressError> {
    texts.into_iter().map(parse_address).collect()
}
