//! The client half: signs what a challenge asks for, within limits, and in push mode sends it too.

use std::{borrow::Cow, collections::HashSet, sync::Arc, time::Duration};

use alloy::primitives::Address;
use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Allowance, Became, Exposure, PayError, Payment, Recall},
    time::Clock,
};

use super::{Mode, Payload, TempoCharge, asked::Asked};
use crate::{
    chain::{
        AddressError, Chain, parse_address, parse_token,
        rpc::{Pinned, Rpc},
        signature::Key,
        signer::Signer,
    },
    clock::SystemClock,
    order::access::{Holder, UnderWay},
};

mod afterwards;
mod pay;
mod plan;
mod proof;
mod push;
mod swap;
mod why;

use self::{plan::Owed, proof::Trusted, swap::Swapping};

/// Pays in dollar stablecoins on one Tempo chain, with whatever signs for the account.
///
/// Unless told otherwise it pays in pull mode where the challenge takes that: the server gets a signed transaction and sends
/// it. Until it does, and after the transaction's 25 seconds are over without it, nothing has moved. The seconds are
/// counted by this clock or the chain's, whichever is behind; minutes apart, nothing is signed. Fees are taken from the
/// token that is paid unless said otherwise or a sponsor pays them, and never exceed a cap.
///
/// Caps on what is paid are set in display units, on the wallet: see `Limits` of `mpp-client`.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_core::Amount;
/// use mpp_tempo::{Chain, HttpRpc, chain::USDC_E, charge::Payer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::new("http://127.0.0.1:8545")?);
/// let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d".parse()?;
/// let payer = Payer::new(key, &Chain::MODERATO, node)
///     .max_fee(Amount::new(20_000))
///     .only_to(["0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"])?
///     // Another dollar may be exchanged for the one that is asked for, for half a percent more of it at most.
///     .swapping_from([USDC_E.to_string().as_str()], 50)?;
/// assert_eq!(payer.address(), payer.authorized_signer());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Payer {
    signer: Arc<dyn Signer>,
    chain: Chain,
    node: Pinned,
    mode: Option<Mode>,
    max_fee: Option<Amount>,
    fee_token: Option<Address>,
    swapping: Option<Swapping>,
    currencies: Option<HashSet<Address>>,
    recipients: Option<HashSet<Address>>,
    trusted: Vec<Trusted>,
    under_way: UnderWay,
    client: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Payer {
    /// Pays from the account of a key held in memory, on a chain and on no other: the node must be on it too.
    pub fn new(key: Key, chain: &Chain, rpc: Arc<dyn Rpc>) -> Self {
        Self::signing_with(Arc::new(key), chain, rpc)
    }

    /// Pays from whatever account a signer signs for: a key kept elsewhere, a passkey, an access key.
    ///
    /// What it answers is checked before anything leaves. An access key that the chain does not know yet is made known to
    /// it by the first payment, where the signer has the account's authorisation for that.
    pub fn signing_with(signer: Arc<dyn Signer>, chain: &Chain, rpc: Arc<dyn Rpc>) -> Self {
        Self {
            signer,
            chain: chain.clone(),
            node: Pinned::new(rpc, chain.id),
            mode: None,
            max_fee: None,
            fee_token: None,
            swapping: None,
            currencies: None,
            recipients: None,
            trusted: Vec::new(),
            under_way: UnderWay::default(),
            client: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Pays in this mode only; unless said otherwise, in pull mode where the challenge takes it, and else in push mode.
    ///
    /// In push mode the payment is sent, and mined, before its hash is shown to the server. It is made only for a memo that
    /// names the challenge, and for challenges that end within half an hour: so it is found again after a crash, on nodes
    /// that search logs. Do not change the mode of a wallet that has payments open. A sponsor's payment is never pushed.
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode: Some(mode), ..self }
    }

    /// Lets a payment's fee cost so much and no more, in base units of the token. Unless said otherwise 0.05 dollars, and
    /// 0.01 for every share and for either half of an exchange; 0.10 more where an access key may have yet to be made known.
    pub fn max_fee(self, max_fee: Amount) -> Self {
        Self { max_fee: Some(max_fee), ..self }
    }

    /// Takes fees from another token of the account than the one that is paid.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn fees_in(self, token: &str) -> Result<Self, AddressError> {
        Ok(Self { fee_token: Some(parse_token(token)?), ..self })
    }

    /// Where the account is short of the token that is asked for, exchanges the first of these that it has enough of, in
    /// the same transaction; never unless said so. For so much of the one at most `slippage` hundredths of a percent more of
    /// the other are given, and that is what is put at stake. All of them are dollars; where
    /// [`only_in`](Self::only_in) is set, they must stand there too.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn swapping_from<'a>(
        self,
        tokens: impl IntoIterator<Item = &'a str>,
        slippage: u16,
    ) -> Result<Self, AddressError> {
        let tokens = tokens.into_iter().map(parse_token).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { swapping: Some(Swapping { tokens, slippage }), ..self })
    }

    /// Pays in these tokens only, all of them dollars; in every known dollar token unless said otherwise.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn only_in<'a>(
        self,
        tokens: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        let tokens = tokens.into_iter().map(parse_token).collect::<Result<_, _>>()?;
        Ok(Self { currencies: Some(tokens), ..self })
    }

    /// Pays these accounts only, and no share to another; any unless said otherwise.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address.
    pub fn only_to<'a>(
        self,
        recipients: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        let recipients = recipients.into_iter().map(parse_address).collect::<Result<_, _>>()?;
        Ok(Self { recipients: Some(recipients), ..self })
    }

    /// Signs proofs of the account for one more realm, when it is the server at this origin (`https://host`) that asks;
    /// else only for a realm that is the very host that was asked, so that no server can ask for another's proof.
    pub fn trusting_realm(mut self, realm: impl Into<String>, origin: impl Into<String>) -> Self {
        self.trusted.push(Trusted { realm: realm.into(), origin: origin.into() });
        self
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
        self.signer.account().to_string()
    }

    /// The address of the key that signs, with checksum: the account's own, or an access key's.
    pub fn authorized_signer(&self) -> String {
        self.signer.key().to_string()
    }

    fn holder(&self) -> Holder<'_> {
        Holder {
            signer: &*self.signer,
            keychain: self.chain.keychain,
            chain_id: self.node.chain_id(),
            clock: &*self.clock,
            under_way: &self.under_way,
        }
    }
}

impl mpp_core::payer::Payer for Payer {
    type Method = TempoCharge;

    fn exposes(&self, demand: &Demand<'_, TempoCharge>) -> Option<Exposure> {
        self.stakes(demand).ok()
    }

    fn declines(&self, demand: &Demand<'_, TempoCharge>) -> Option<Cow<'static, str>> {
        self.stakes(demand).err().map(|why| why.to_string().into())
    }

    async fn pay(
        &self,
        demand: &Demand<'_, TempoCharge>,
        within: &Allowance,
    ) -> Result<Payment<TempoCharge>, PayError> {
        match self.owed(demand) {
            Ok(Owed::Proof) => self.prove(demand, within).await,
            Ok(Owed::Money(plan)) => self.transfer(demand, plan, within).await,
            Err(why) => Err(PayError::untouched(
                "the challenge asks for something that this payer does not pay",
            )
            .because(why)),
        }
    }

    /// In pull mode nothing was put at stake: a signed transaction moves nothing until the server has it, and one that was
    /// never written down was never sent. It is forgotten, and ends by itself. In push mode the chain is searched for it.
    async fn recall(
        &self,
        demand: &Demand<'_, TempoCharge>,
    ) -> Result<Recall<TempoCharge>, PayError> {
        self.recalled(demand).await
    }

    /// The chain says it: by a receipt, or by none after the transaction's time was over; where a sponsor's signature, and
    /// so the hash, is not known, by the logs. A receipt without the transfers is believed in neither sense, and a
    /// transaction of another chain is not this payer's to judge. A proof moves nothing, ever.
    async fn became(
        &self,
        demand: &Demand<'_, TempoCharge>,
        payload: &Payload,
    ) -> Result<Became, PayError> {
        match payload {
            Payload::Transaction { signature } => self.signed_became(demand, signature).await,
            Payload::Hash { hash } => self.sent_became(demand, hash).await,
            Payload::Proof { .. } => Ok(Became::Dead),
        }
    }
}

/// The longest that the chain is asked what became of a payment.
const LOOK: Duration = Duration::from_secs(10);
