//! The payer's hand: signs what opens a channel, adds to it, draws on it and closes it, by the types of the protocol alone.

use std::num::NonZeroU64;

use alloy::primitives::{Address, U256, hex};
use anyhow::Context;
use mpp_core::{Amount, Challenge, Credential};
use mpp_tempo::{
    HttpRpc, Key,
    chain::{
        BETA_USD,
        reserve::{CHANNEL_RESERVE, Open, TopUp},
        rpc::Rpc,
        transaction::{Call, Transaction},
    },
    session::{ChannelId, Descriptor, DescriptorText, Domain, Payload, TempoSession},
};

/// Whoever pays, and where.
#[derive(Debug)]
pub(super) struct Purse {
    key: Key,
    node: HttpRpc,
    chain_id: u64,
    /// So that no two transactions are one.
    signed: u64,
}

/// A channel, as its payer knows it.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    descriptor: Descriptor,
    pub(super) challenge: Challenge,
}

impl Purse {
    pub(super) fn new(key: &str, rpc: &str, chain_id: u64) -> anyhow::Result<Self> {
        Ok(Self { key: key.parse()?, node: HttpRpc::new(rpc)?, chain_id, signed: 0 })
    }

    pub(super) fn account(&self) -> Address {
        self.key.address()
    }

    /// Signs what opens a channel with a deposit, and its first voucher.
    pub(super) async fn open(
        &mut self,
        challenge: Challenge,
        (deposit, first): (u128, u128),
    ) -> anyhow::Result<(Channel, Credential)> {
        let terms = challenge.read::<TempoSession>()?.request.terms;
        let open = Open {
            payee: terms.recipient.context("a challenge for nobody")?.parse()?,
            operator: Address::ZERO,
            token: terms.currency.parse()?,
            deposit,
            salt: U256::from(self.signed).into(),
            authorized_signer: Address::ZERO,
        };
        let transaction = self.transaction(open.call()).await?;
        let payer = self.account();
        let descriptor = open.descriptor(payer, transaction.expiring_nonce_hash(payer));
        let id = descriptor.id(CHANNEL_RESERVE, self.chain_id);
        let channel = Channel { id, descriptor, challenge };
        let credential = answer(
            &channel,
            &Payload::Open {
                channel_id: id.to_string(),
                transaction: hex::encode_prefixed(transaction.sign(&self.key).encode()),
                signature: self.voucher(id, first).await?,
                cumulative_amount: Amount::new(first),
                descriptor: Some(DescriptorText::from(&descriptor)),
                authorized_signer: None,
            },
        )?;
        Ok((channel, credential))
    }

    /// Signs what adds to its deposit.
    pub(super) async fn top_up(
        &mut self,
        channel: &Channel,
        added: u128,
    ) -> anyhow::Result<Credential> {
        let descriptor = channel.descriptor;
        let top_up = TopUp { descriptor, additional_deposit: added };
        let transaction = self.transaction(top_up.call()).await?;
        answer(
            channel,
            &Payload::TopUp {
                channel_id: channel.id.to_string(),
                transaction: hex::encode_prefixed(transaction.sign(&self.key).encode()),
                descriptor: Some(DescriptorText::from(&descriptor)),
                additional_deposit: Amount::new(added),
            },
        )
    }

    /// Signs a voucher for so much in all.
    pub(super) async fn draw(&self, channel: &Channel, total: u128) -> anyhow::Result<Credential> {
        answer(
            channel,
            &Payload::Voucher {
                channel_id: channel.id.to_string(),
                descriptor: Some(DescriptorText::from(&channel.descriptor)),
                cumulative_amount: Amount::new(total),
                signature: self.voucher(channel.id, total).await?,
            },
        )
    }

    /// Asks for the channel's end, by a voucher for so much.
    pub(super) async fn close(&self, channel: &Channel, total: u128) -> anyhow::Result<Credential> {
        answer(
            channel,
            &Payload::Close {
                channel_id: channel.id.to_string(),
                descriptor: Some(DescriptorText::from(&channel.descriptor)),
                cumulative_amount: Amount::new(total),
                signature: self.voucher(channel.id, total).await?,
            },
        )
    }

    async fn voucher(&self, id: ChannelId, total: u128) -> anyhow::Result<String> {
        let domain = Domain::v2(self.chain_id);
        let signature = domain.sign(&self.key, id, Amount::new(total)).await?;
        Ok(signature.to_string())
    }

    async fn transaction(&mut self, call: Call) -> anyhow::Result<Transaction> {
        self.signed += 1;
        let now = self.node.latest_block().await?.timestamp;
        Ok(Transaction {
            max_fee_per_gas: 41_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            gas_limit: 4_000_000,
            calls: vec![call],
            valid_before: NonZeroU64::new(now + 25),
            valid_after: NonZeroU64::new(self.signed),
            // Fees in another token: what comes and goes of the channels' own is the channels' doing alone.
            fee_token: Some(BETA_USD),
            ..Transaction::on(self.chain_id)
        })
    }
}

fn answer(channel: &Channel, payload: &Payload) -> anyhow::Result<Credential> {
    let demand = channel.challenge.read::<TempoSession>()?;
    Ok(Credential::answer(&demand, None, payload)?)
}
