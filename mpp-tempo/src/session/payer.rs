//! The client half: opens channels by itself, draws on them by vouchers, adds to them and closes them, within limits.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use alloy::primitives::Address;
use mpp_core::{
    Amount, Receipt,
    amount::{AmountError, Decimal},
    challenge::Demand,
    payer::{Allowance, Became, Exposure, PayError, Payment, Recall, Site, Wish},
    time::Clock,
};

use super::{Payload, SessionReceipt, TempoSession};
use crate::{
    chain::{
        AddressError, Chain, DECIMALS, parse_address, parse_token,
        rpc::{Pinned, Rpc},
        signature::Key,
        signer::Signer,
    },
    clock::SystemClock,
    order::access::{Holder, UnderWay},
};

mod adding;
mod adopt;
mod afterwards;
mod ask;
mod channel;
mod close;
mod direct;
mod grant;
#[cfg(test)]
mod hostile;
mod limits;
mod open;
mod pay;
mod seat;
mod shelf;
mod stake;
mod store;
#[cfg(test)]
mod tests;
mod top_up;
mod why;

use self::{channel::Channel, limits::Limits, shelf::Shelf};
pub use self::{direct::OpenChannel, store::ChannelStore};

/// Pays for sessions on one Tempo chain, from channels that it opens by itself.
///
/// A channel is a deposit with somebody, of which vouchers give away so much and no more. It is opened by the first payment to
/// a payee, serves all that is paid to the same payee in the same token, and comes back, less what was spent, when it is
/// closed. A server can never take more than was signed for, and nothing above `max_deposit` is ever deposited or signed for
/// in one channel.
///
/// What a server says of a channel is believed where a signature of this payer's, or the chain, proves it; the money goes to
/// where the chain keeps channels and nowhere else. Where a server is gone, [`request_close`](Self::request_close) and
/// [`withdraw`](Self::withdraw) need nobody.
///
/// Version 2 is the chain's own reserve (TIP-1034), version 1 a contract. A challenge of one is never answered by the other.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_tempo::{Chain, HttpRpc, session::Payer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::new("http://127.0.0.1:8545")?);
/// let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d".parse()?;
/// let payer = Payer::new(key, &Chain::MODERATO, node)
///     .max_deposit("2.00")?
///     .top_up("0.50")?
///     .only_to(["0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"])?;
/// assert!(payer.channels().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Payer {
    signer: Arc<dyn Signer>,
    chain: Chain,
    node: Pinned,
    shelf: Arc<Shelf>,
    limits: Limits,
    max_fee: Option<Amount>,
    fee_token: Option<Address>,
    currencies: Option<HashSet<Address>>,
    recipients: Option<HashSet<Address>>,
    escrow: Option<Address>,
    under_way: UnderWay,
    clock: Arc<dyn Clock>,
}

impl Payer {
    /// Pays from the account of a key held in memory, on a chain and on no other: the node must be on it too.
    pub fn new(key: Key, chain: &Chain, rpc: Arc<dyn Rpc>) -> Self {
        Self::signing_with(Arc::new(key), chain, rpc)
    }

    /// Pays from whatever account a signer signs for. An access key signs vouchers in its own name: it is the channel's
    /// authorised signer, and they stay good when it expires.
    pub fn signing_with(signer: Arc<dyn Signer>, chain: &Chain, rpc: Arc<dyn Rpc>) -> Self {
        Self {
            signer,
            chain: chain.clone(),
            node: Pinned::new(rpc, chain.id),
            shelf: ChannelStore::default().shelf,
            limits: Limits::default(),
            max_fee: None,
            fee_token: None,
            currencies: None,
            recipients: None,
            escrow: None,
            under_way: UnderWay::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Keeps its channels here; in memory alone unless said otherwise. An agent that keeps money in channels wants a store that
    /// outlives it.
    pub fn keeping(self, channels: ChannelStore) -> Self {
        Self { shelf: channels.shelf, ..self }
    }

    /// The most that one channel ever holds, top-ups included, in dollars (`"1.00"`, which it is unless said otherwise). More
    /// is never signed for either, whoever opened the channel.
    ///
    /// What is paid from a deposit is asked of no policy again: a limit there counts the deposit, and what bounds a request inside
    /// it is [`max_price`](Self::max_price) and what is left. Nor does it bound a payee: one who names another operator, token or
    /// contract has another channel, each with a deposit that the policy is asked about. A cap per host, or
    /// [`only_to`](Self::only_to), bounds these.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal number of at most six places.
    pub fn max_deposit(mut self, most: &str) -> Result<Self, AmountError> {
        self.limits.max_deposit = dollars(most)?;
        Ok(self)
    }

    /// The most that one request, or one unit of a stream, may cost, in dollars; whatever `max_deposit` allows unless said
    /// otherwise.
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn max_price(mut self, most: &str) -> Result<Self, AmountError> {
        self.limits.max_price = Some(dollars(most)?);
        Ok(self)
    }

    /// What is deposited when a channel is opened, in dollars: at least the price, at most `max_deposit`. Unless said otherwise
    /// what the server suggests, or enough for a hundred requests where it suggests nothing.
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn deposit(mut self, amount: &str) -> Result<Self, AmountError> {
        self.limits.deposit = Some(dollars(amount)?);
        Ok(self)
    }

    /// How much is added to a deposit that is used up, in dollars; as much as the first deposit would be unless said otherwise.
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn top_up(mut self, amount: &str) -> Result<Self, AmountError> {
        self.limits.top_up = Some(dollars(amount)?);
        Ok(self)
    }

    /// Wishes to add to a deposit of which less than this is left, in dollars, before it must; never unless said so.
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn top_up_below(mut self, left: &str) -> Result<Self, AmountError> {
        self.limits.top_up_below = Some(dollars(left)?);
        Ok(self)
    }

    /// How far a server may be ahead of what it served, in dollars, however often it asks: what is lost at most to one that takes
    /// it and serves nothing, beside the prices of the requests themselves. It counts anew from whatever a stream delivers, and
    /// bounds the least step between two vouchers too. 0.05 unless said otherwise, and the price of one unit at least.
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn stream_ahead(mut self, amount: &str) -> Result<Self, AmountError> {
        self.limits.ahead = dollars(amount)?;
        Ok(self)
    }

    /// Lets the fee of opening a channel, or of adding to one, cost so much and no more, in base units of a dollar token.
    /// Unless said otherwise 0.05 dollars, 0.15 in version 1, and 0.10 more where an access key may have yet to be made known.
    pub fn max_fee(self, max_fee: Amount) -> Self {
        Self { max_fee: Some(max_fee), ..self }
    }

    /// Takes fees from another token of the account than the channel's.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address, or where no TIP-20 token can be.
    pub fn fees_in(self, token: &str) -> Result<Self, AddressError> {
        Ok(Self { fee_token: Some(parse_token(token)?), ..self })
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

    /// Opens channels with these accounts only; with any unless said otherwise.
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

    /// Has channels of version 1 kept by this contract, and by no other; by the chain's known one unless said otherwise.
    /// Version 2 has no choice.
    ///
    /// # Errors
    /// [`AddressError`] for a text that is no address.
    pub fn escrow(self, contract: &str) -> Result<Self, AddressError> {
        Ok(Self { escrow: Some(parse_address(contract)?), ..self })
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The account that pays: its address, with checksum.
    pub fn address(&self) -> String {
        self.signer.account().to_string()
    }

    /// The address of the key that signs vouchers, with checksum: the account's own, or an access key's.
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
    type Method = TempoSession;

    fn exposes(&self, demand: &Demand<'_, TempoSession>) -> Option<Exposure> {
        self.stakes(demand).ok()
    }

    fn declines(&self, demand: &Demand<'_, TempoSession>) -> Option<Cow<'static, str>> {
        self.stakes(demand).err().map(|why| why.to_string().into())
    }

    async fn pay(
        &self,
        demand: &Demand<'_, TempoSession>,
        within: &Allowance,
    ) -> Result<Payment<TempoSession>, PayError> {
        self.paid(demand, within).await
    }

    /// Nothing was put at stake: what this payer signs moves nothing until a server has it, and what was never written down was
    /// never sent. A transaction that opens a channel ends by itself.
    async fn recall(&self, _: &Demand<'_, TempoSession>) -> Result<Recall<TempoSession>, PayError> {
        Ok(Recall::Never)
    }

    /// The chain says it. A voucher can be used as long as its channel is there.
    async fn became(
        &self,
        demand: &Demand<'_, TempoSession>,
        payload: &Payload,
    ) -> Result<Became, PayError> {
        self.look_after(demand, payload).await
    }

    fn exposes_for(&self, demand: &Demand<'_, TempoSession>, wish: &Wish) -> Option<Exposure> {
        self.stakes_for(demand, wish)
    }

    async fn grant(
        &self,
        demand: &Demand<'_, TempoSession>,
        wish: &Wish,
        within: &Allowance,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        self.granted(demand, wish, within).await
    }

    fn wishes(&self, demand: &Demand<'_, TempoSession>) -> Option<Wish> {
        self.wished(demand)
    }

    fn delivered(&self, demand: &Demand<'_, TempoSession>) {
        let Ok(seat) = self.seat(demand) else { return };
        let id = self.shelf.book().at(&seat).map(|channel| channel.id);
        id.map(|id| self.shelf.change(id, Channel::delivered));
    }

    fn hear(&self, receipt: &Receipt) {
        if let Some(read) = SessionReceipt::read(receipt)
            && let Ok(id) = read.channel_id.parse()
        {
            self.shelf.change(id, |channel| channel.hear(read.accepted_cumulative, read.spent));
        }
    }

    fn hint(&self, to: &Site) -> Option<String> {
        self.hinted(to)
    }

    async fn remember(&self, to: &Site, snapshot: &str) -> Result<(), PayError> {
        self.remembered(to, snapshot).await
    }
}

fn dollars(text: &str) -> Result<Amount, AmountError> {
    Decimal::parse(text)?.to_base_units(DECIMALS)
}
