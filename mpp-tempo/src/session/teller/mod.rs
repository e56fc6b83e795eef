//! The server half: takes vouchers of channels, sends their deposits, collects what was earned, and closes them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use mpp_core::{
    Amount,
    account::{Account, Proof},
    amount::{AmountError, Decimal},
    binding::Claim,
    credential::Source,
    fate::{Fate, Settlement},
    intent::{PriceError, Rate, SessionTerms},
    method::Nested,
    problem::Rejection,
    teller::{Act, Need, Standing},
    time::Clock,
    verifier::{Asking, Minted},
};
use serde_json::{Map, Value};

use super::{Details, Domain, TempoSession};
use crate::{
    chain::{
        AddressError, Chain, DECIMALS,
        did::Did,
        parse_address, parse_token,
        rpc::{Pinned, Rpc},
        signer::Signer,
    },
    charge::{OtherChain, sponsor::Sponsor, verifier::unavailable},
    clock::SystemClock,
};

mod channel;
mod check;
mod close;
mod collect;
mod deposit;
mod fund;
mod look;
mod offer;
mod order;
pub mod reason;
mod send;
mod trial;

pub use self::{channel::Channel, order::Order};
use self::{fund::Funding, order::Kind, send::Hand};

/// Sells by vouchers of payers' channels on one Tempo chain (TIP-1034).
///
/// A voucher is checked without asking anybody. A deposit is sent once everything about it holds and a trial has shown that it
/// would succeed. What was earned is collected by the signer, which is the recipient's own or an operator's: the payee and the
/// operator of a channel are the only ones whom the chain lets settle and close.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_tempo::{Chain, HttpRpc, Key, session::Teller};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::on(&Chain::MODERATO)?);
/// let key: Key = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a".parse()?;
/// let recipient = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"; // this key's account
/// let teller = Teller::new(&Chain::MODERATO, recipient, Arc::new(key), node)?
///     .min_voucher_delta("0.0005")?;
/// # let _ = teller; // hand it to a gate of `mpp-server`, with a rate: "0.0001 usd per token"
/// # Ok(())
/// # }
/// ```
///
/// Keeps its deadlines by tokio's timer: settle within a runtime that has one.
#[derive(Clone, Debug)]
pub struct Teller {
    chain: Chain,
    token: Address,
    recipient: Address,
    operator: Address,
    node: Pinned,
    domain: Domain,
    hand: Hand,
    sponsor: Option<Sponsor>,
    least: Amount,
    settle_deadline: Duration,
    longest_validity: Duration,
    clock: Arc<dyn Clock>,
}

impl Teller {
    /// Sells on a chain, in its own currency, to an account. The signer settles and closes: where it is another account's than the
    /// recipient's, that one is the operator of all channels.
    ///
    /// An access key has to be known to the chain already. Fees of up to half a dollar are paid for one transaction, in the chain's
    /// own currency.
    ///
    /// # Errors
    /// [`AddressError`] for a recipient that is no address.
    pub fn new(
        chain: &Chain,
        recipient: &str,
        signer: Arc<dyn Signer>,
        rpc: Arc<dyn Rpc>,
    ) -> Result<Self, AddressError> {
        let recipient = parse_address(recipient)?;
        let own = signer.account() == recipient;
        Ok(Self {
            chain: chain.clone(),
            token: chain.currency,
            recipient,
            operator: if own { Address::ZERO } else { signer.account() },
            node: Pinned::new(rpc, chain.id),
            domain: Domain::v2(chain.id),
            hand: Hand { signer, fee_token: chain.currency, max_fee: 500_000 },
            sponsor: None,
            least: Amount::ZERO,
            settle_deadline: Duration::from_secs(20),
            longest_validity: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
        })
    }

    /// Sells in another TIP-20 token.
    ///
    /// # Errors
    /// [`AddressError`] for text that is no address, and for one where no TIP-20 token can be.
    pub fn currency(self, token: &str) -> Result<Self, AddressError> {
        Ok(Self { token: parse_token(token)?, ..self })
    }

    /// Lets another account than the recipient settle and close too: channels name it as their operator. Only of use where the
    /// signer is the recipient's own, and somebody else settles as well.
    ///
    /// # Errors
    /// [`OperatorError`] for text that is no address, and where the signer could then settle nothing.
    pub fn operator(self, operator: &str) -> Result<Self, OperatorError> {
        let operator = parse_address(operator)?;
        if ![self.recipient, operator].contains(&self.hand.signer.account()) {
            return Err(OperatorError::Signer);
        }
        Ok(Self { operator, ..self })
    }

    /// Pays the fees of the transactions that open channels and add to them: payers need no other token than the one they deposit.
    ///
    /// # Errors
    /// [`OtherChain`] for a sponsor on another chain.
    pub fn sponsor(self, sponsor: Sponsor) -> Result<Self, OtherChain> {
        if sponsor.chain_id() != self.chain.id {
            return Err(OtherChain);
        }
        Ok(Self { sponsor: Some(sponsor), ..self })
    }

    /// Takes no voucher that raises the total by less than this, in display units of the token; anything unless said otherwise.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal, or not exact in the token's units.
    pub fn min_voucher_delta(self, least: &str) -> Result<Self, AmountError> {
        Ok(Self { least: least.parse::<Decimal>()?.to_base_units(DECIMALS)?, ..self })
    }

    /// Waits so long for a transaction to be mined before its fate is called unknown; 20 seconds unless said otherwise.
    pub fn settle_deadline(self, settle_deadline: Duration) -> Self {
        Self { settle_deadline, ..self }
    }

    /// Takes deposits that are valid for so long, give or take two seconds; 30 unless said otherwise, as nodes do.
    pub fn longest_validity(self, longest_validity: Duration) -> Self {
        Self { longest_validity, ..self }
    }

    /// Pays the fees of settlements and closes in this token; in the chain's own currency unless said otherwise.
    ///
    /// # Errors
    /// As for [`Teller::currency`].
    pub fn fee_token(mut self, token: &str) -> Result<Self, AddressError> {
        self.hand.fee_token = parse_token(token)?;
        Ok(self)
    }

    /// Pays no more than this for one transaction, in display units of a dollar token; `0.50` unless said otherwise.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal, or not exact in the token's units.
    pub fn max_fee(mut self, most: &str) -> Result<Self, AmountError> {
        self.hand.max_fee = most.parse::<Decimal>()?.to_base_units(DECIMALS)?.get();
        Ok(self)
    }

    /// Judges validity by another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    async fn carry_out(&self, order: &Order, account: &Account<Channel>) -> Fate {
        match &order.kind {
            Kind::Deposit(deposit) => Funding { teller: self, deposit, account }.settle().await,
            Kind::Close => self.end(account).await,
            Kind::Collect(proof) => self.collect_one((proof, account)).await,
        }
    }
}

impl mpp_core::teller::Teller for Teller {
    type Method = TempoSession;
    type Order = Order;
    type Kept = Channel;

    /// Chain, token and recipient. Not the sponsor: what became of what it signed the channel itself shows.
    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}/{:#x}/{:#x}", self.chain.id, self.token, self.recipient))
    }

    fn terms(&self, ask: &Rate) -> Result<SessionTerms, PriceError> {
        self.asked(ask)
    }

    async fn details(
        &self,
        terms: &SessionTerms,
        _: Asking<'_>,
        known: Option<&Account<Channel>>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        let nested = |method_details| Nested { method_details };
        Ok(match known.and_then(|known| self.details_of_known(terms, known)) {
            Some(details) => Minted::once(nested(details), None),
            None => Minted::lasting(nested(self.details_of_all())),
        })
    }

    fn account(&self, claim: &Claim<TempoSession>) -> Result<String, Rejection> {
        self.is_ours(claim)?;
        Ok(claim.payload.channel_id().to_owned())
    }

    async fn check(
        &self,
        claim: &Claim<TempoSession>,
        known: Option<&Account<Channel>>,
    ) -> Result<Act<Order, Channel>, Rejection> {
        self.checked(claim, known).await
    }

    fn ceiling(&self, kept: &Channel) -> Option<Amount> {
        Some(kept.deposit)
    }

    fn paid_out(&self, kept: &Channel) -> Amount {
        kept.settled
    }

    fn standing(&self, kept: &Channel) -> Standing {
        kept.standing()
    }

    fn payer(&self, kept: &Channel) -> Option<Source> {
        Some(payer(kept))
    }

    fn name<'o>(&self, order: &'o Order) -> Cow<'o, str> {
        order.name()
    }

    async fn settle(&self, order: &Order, account: &Account<Channel>) -> Fate {
        self.carry_out(order, account).await
    }

    async fn reconcile(&self, order: &Order, account: &Account<Channel>) -> Fate {
        match &order.kind {
            Kind::Deposit(deposit) => Funding { teller: self, deposit, account }.reconcile().await,
            Kind::Close => self.has_ended(account).await,
            Kind::Collect(proof) => self.has_collected((proof, account)).await,
        }
    }

    fn collect(&self, account: &Account<Channel>) -> Option<Order> {
        let (kept, due) = (&account.kept, account.collectable()?);
        let takes = !kept.ended && due.amount > kept.settled && due.amount <= kept.deposit;
        takes.then(|| Order::of(Kind::Collect(Proof::clone(due))))
    }

    fn close(&self, account: &Account<Channel>) -> Option<Order> {
        (!account.kept.ended).then(|| Order::of(Kind::Close))
    }

    async fn settle_together(&self, orders: &[(Order, Account<Channel>)]) -> Vec<Fate> {
        self.collect_all(orders).await
    }

    async fn look(&self, kept: &[Channel]) -> Vec<Option<Channel>> {
        self.seen(kept).await
    }

    fn merge(&self, kept: &mut Channel, seen: Channel) {
        kept.merge(seen);
    }

    fn receipt(&self, id: &str, account: &Account<Channel>) -> Map<String, Value> {
        offer::receipt(id, account)
    }

    fn need(&self, id: &str, account: &Account<Channel>, required: Amount) -> Need {
        offer::need(id, account, required)
    }

    fn fields(
        &self,
        id: &str,
        account: &Account<Channel>,
        terms: &SessionTerms,
    ) -> Vec<(&'static str, String)> {
        offer::fields(self, id, account, terms)
    }
}

/// Why an account cannot be the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The signer is neither the recipient nor the operator, and could settle nothing.
    #[error("the signer is neither the recipient's nor the operator's")]
    Signer,
}

fn payer(kept: &Channel) -> Source {
    let did = Did { chain_id: kept.chain_id, address: kept.descriptor.payer };
    Source::new(did.to_string())
}

/// What the chain did for a channel, and how it has the channel since.
fn settled(channel: &Channel, by: Option<B256>) -> Settlement {
    let kept = serde_json::to_value(channel).unwrap_or_default();
    let settlement = Settlement::new(channel.id().to_string()).keeping(kept).by(payer(channel));
    match by {
        Some(hash) => settlement.with("txHash", format!("{hash:#x}")),
        None => settlement,
    }
}

#[cfg(test)]
#[cfg(feature = "client")]
mod tests;
