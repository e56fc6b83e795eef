//! Channels without their server: what is open, what was lost, and how the money comes back.

use alloy::primitives::Address;
use mpp_core::{Amount, payer::PayError};

use super::{
    super::ChannelId,
    Payer,
    channel::{Channel, Life},
    seat::{Seat, Version},
};
use crate::{
    chain::{
        escrow,
        reserve::{self, CHANNEL_RESERVE, ChannelOpened},
        rpc::{Rpc, RpcError},
        transaction::Call,
    },
    order::{Order, send},
};

/// Blocks that are searched at once: nodes refuse more than some ten thousand.
const PAGE: u64 = 4096;

/// A channel of this payer's. Amounts are base units of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenChannel {
    /// Its id: `0x` and 64 hex digits.
    pub id: String,
    /// Who is paid from it, with checksum.
    pub payee: String,
    /// The token, with checksum.
    pub token: String,
    /// What lies in it in all.
    pub deposit: Amount,
    /// The most that a voucher was signed for: what the payee can take.
    pub signed: Amount,
    /// What was spent, as far as is known.
    pub spent: Amount,
    /// Whether it can be paid from; else it is being opened or closed, or was found on the chain.
    pub usable: bool,
}

impl Payer {
    /// The channels that this payer knows of and that have not ended, in no order. Asks nobody: one that a server says it closed
    /// is among them until the chain was asked.
    pub fn channels(&self) -> Vec<OpenChannel> {
        let book = self.shelf.book();
        let open = book.channels.values().filter(|channel| {
            channel.life != Life::Ended && channel.made_of.payer == self.signer.account()
        });
        open.map(shown).collect()
    }

    /// Tells the chain that the payer wants a channel's money back, which takes no server. For fifteen minutes the payee may
    /// still take what was signed for; then [`withdraw`](Self::withdraw) brings the rest. From here on nothing is paid from it.
    ///
    /// # Errors
    /// No such channel, or what became of the transaction ([`PayError::funds`]); its fee is all that it costs.
    pub async fn request_close(&self, channel: &str) -> Result<(), PayError> {
        let channel = self.known(channel)?;
        let call = match channel.version {
            Version::V1 => escrow::request_close(channel.escrow, channel.id),
            Version::V2 => reserve::request_close(&channel.made_of),
        };
        self.run(&channel, call).await?;
        self.shelf.change(channel.id, |channel| channel.life = Life::Leaving);
        // The chain did it, whether or not it can be written down: what was read before says the chain's word anew.
        drop(self.shelf.save(channel.id).await);
        Ok(())
    }

    /// Takes back what was not settled of a channel, once the grace after [`request_close`](Self::request_close) is over.
    ///
    /// # Errors
    /// No such channel, the grace is not over, or what became of the transaction.
    pub async fn withdraw(&self, channel: &str) -> Result<(), PayError> {
        let channel = self.known(channel)?;
        let call = match channel.version {
            Version::V1 => escrow::withdraw(channel.escrow, channel.id),
            Version::V2 => reserve::withdraw(&channel.made_of),
        };
        self.run(&channel, call).await?;
        self.shelf.change(channel.id, |channel| channel.life = Life::Ended);
        // The chain did it, whether or not it can be written down: what was read before says the chain's word anew.
        drop(self.shelf.save(channel.id).await);
        Ok(())
    }

    /// Searches the chain, from a block to the latest, for open channels of this account that this payer does not know of: a
    /// store was lost, or was never there. What it finds it keeps, and [`request_close`](Self::request_close) and
    /// [`withdraw`](Self::withdraw) work on it; nothing is paid from it, since nobody knows what was signed.
    ///
    /// # Errors
    /// The chain did not answer, or what was found could not be written down.
    pub async fn orphans(&self, from_block: u64) -> Result<Vec<OpenChannel>, PayError> {
        let unsaid = |cause: RpcError| {
            PayError::untouched("the chain does not say which channels there are").because(cause)
        };
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let latest = node.latest_block().await.map_err(unsaid)?.number;
        let mut found = Vec::new();
        let mut from = from_block;
        while from <= latest {
            let to = from.saturating_add(PAGE - 1).min(latest);
            found.extend(self.opened(node, (from, to)).await.map_err(unsaid)?);
            from = to.saturating_add(1);
        }
        let mut orphans = Vec::new();
        for mut channel in found {
            if self.shelf.channel(channel.id).is_some() {
                continue;
            }
            let chain = self.on_chain(&channel).await?;
            if chain.gone {
                continue;
            }
            (channel.deposit, channel.signed) = (chain.deposit, chain.settled);
            channel.shown = true;
            let (id, orphan) = (channel.id, shown(&channel));
            // It may have been taken up, or opened, while the chain was asked: that is not undone.
            if self.shelf.book().put_unknown(channel) {
                self.shelf.save_first(id).await?;
                orphans.push(orphan);
            }
        }
        Ok(orphans)
    }

    /// The channels that this account opened in a range of blocks.
    async fn opened(&self, node: &dyn Rpc, blocks: (u64, u64)) -> Result<Vec<Channel>, RpcError> {
        let (us, chain_id) = (self.signer.account(), self.node.chain_id());
        let search =
            reserve::search(reserve::topic::CHANNEL_OPENED, (None, Some(us), None), blocks);
        let mut found = Vec::new();
        for told in node.logs(search).await? {
            let Some(opened) = ChannelOpened::read(&told.log) else { continue };
            let made_of = opened.descriptor;
            let id = made_of.id(CHANNEL_RESERVE, chain_id);
            if made_of.payer != us || id != opened.channel {
                continue;
            }
            let seat = Seat {
                version: Version::V2,
                chain_id,
                escrow: CHANNEL_RESERVE,
                payer: us,
                payee: made_of.payee,
                operator: made_of.operator,
                token: made_of.token,
                signer: made_of.authorized_signer,
            };
            found.push(Channel::of(&seat, id, made_of, Life::Stranded));
        }
        let Some(contract) = self.escrow.or_else(|| escrow::known(chain_id)) else {
            return Ok(found);
        };
        for told in node.logs(escrow::search_opened(contract, us, blocks)).await? {
            let Some(read) = escrow::Told::read(contract, &told.log) else { continue };
            let escrow::Event::Opened { token, authorized_signer, salt, .. } = read.event else {
                continue;
            };
            let seat = Seat {
                version: Version::V1,
                chain_id,
                escrow: contract,
                payer: us,
                payee: read.payee,
                operator: Address::ZERO,
                token,
                signer: authorized_signer,
            };
            let made_of = seat.made_of(salt, Default::default());
            if read.payer == us {
                found.push(Channel::of(&seat, read.channel, made_of, Life::Stranded));
            }
        }
        Ok(found)
    }

    fn known(&self, id: &str) -> Result<Channel, PayError> {
        let id: ChannelId = id
            .parse()
            .map_err(|cause| PayError::untouched("this names no channel").because(cause))?;
        let channel = self.shelf.channel(id).filter(|channel| channel.life != Life::Ended);
        channel.ok_or_else(|| {
            PayError::untouched("this payer has no such channel; `orphans` finds what was lost")
        })
    }

    /// Sends one call of the payer's own, for a fee.
    async fn run(&self, channel: &Channel, call: Call) -> Result<(), PayError> {
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let order = Order {
            calls: vec![call],
            spends: None,
            fee_token: Some(self.fee_token.unwrap_or(channel.made_of.token)),
            max_fee: self.own_fee_cap(channel.version),
            chained: false,
            least_gas: 0,
            expires: None,
            purpose: [channel.id.0.as_slice(), &self.clock.now().unix_millis().to_be_bytes()]
                .concat(),
        };
        let written = self.holder().write(node, order).await?;
        let signed = self.holder().sign(written).await?;
        send(node, &signed).await.map(drop)
    }
}

fn shown(channel: &Channel) -> OpenChannel {
    OpenChannel {
        id: channel.id.to_string(),
        payee: channel.made_of.payee.to_string(),
        token: channel.made_of.token.to_string(),
        deposit: channel.deposit,
        signed: channel.signed,
        spent: channel.spent(),
        usable: channel.life == Life::Open && channel.now.doubt.is_none(),
    }
}
