//! What the chain says of a channel, and what is done where that leaves doubt.

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{PayError, Payment},
};

use super::{
    super::{ChannelId, TempoSession},
    Payer,
    afterwards::has_ended,
    channel::{Channel, Doubt, Life, OnChain},
    open::opens,
    pay::{ended, never},
    seat::{Seat, Version},
    shelf::{Again, Claim},
    top_up::{added, adds},
};
use crate::{
    chain::{escrow, look::MARGIN, reserve, rpc::RpcError},
    order::validity::LEAST_SPONSORED,
};

impl Payer {
    /// Asks the chain for a channel. Its time is read first: what is missing later than that was missing then.
    pub(super) async fn on_chain(&self, channel: &Channel) -> Result<OnChain, PayError> {
        let unsaid = |cause: RpcError| {
            PayError::untouched("the chain does not say what became of the channel").because(cause)
        };
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let at = node.latest_block().await.map_err(unsaid)?.timestamp;
        Ok(match channel.version {
            Version::V1 => {
                let found =
                    escrow::channel(node, channel.escrow, channel.id).await.map_err(unsaid)?;
                OnChain {
                    deposit: Amount::new(found.deposit),
                    settled: Amount::new(found.settled),
                    closing: found.close_requested_at != 0,
                    gone: found.is_absent() || found.finalized,
                    over: found.finalized,
                    at,
                }
            }
            Version::V2 => {
                let found = reserve::channel_state(node, channel.id).await.map_err(unsaid)?;
                // The reserve forgets what has ended, and its logs do not.
                let over =
                    found.is_absent() && has_ended(node, channel.id).await.unwrap_or_default();
                OnChain {
                    deposit: Amount::new(found.deposit),
                    settled: Amount::new(found.settled),
                    closing: found.close_requested_at != 0,
                    gone: found.is_absent(),
                    over,
                    at,
                }
            }
        })
    }

    /// Brings a channel in line with the chain.
    pub(super) async fn check(&self, id: ChannelId) -> Result<(Channel, OnChain), PayError> {
        let channel = self.shelf.channel(id).ok_or_else(ended)?;
        let chain = self.on_chain(&channel).await?;
        self.shelf.change(id, |channel| channel.seen(&chain, MARGIN));
        let now = self.shelf.channel(id).ok_or_else(ended)?;
        if !now.is_adding() && now.life != Life::Opening {
            self.shelf.book().signed.remove(&id);
        }
        if now.life == Life::Ended {
            self.shelf.sweep().await;
        }
        Ok((now, chain))
    }

    /// Clears up what is in doubt, so that the payment can be tried anew; or shows a transaction again that is still good.
    pub(super) async fn clear_up(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        id: ChannelId,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let (channel, chain) = self.check(id).await?;
        let again = self.still_good(id, &chain);
        match (channel.life, channel.adding) {
            (Life::Ended, _) => Ok(None),
            (Life::Opening, _) => match again {
                Some(again) => self.open_again(demand, seat, id, again).await,
                None => Err(still_to_come()),
            },
            _ if chain.gone => Err(not_there()),
            (Life::Leaving, _) => Err(PayError::untouched(
                "the channel is being closed by its payer: withdraw from it once its grace is over",
            )),
            _ if channel.now.doubt == Some(Doubt::Gone) => Err(known_to_the_chain_alone(id)),
            (_, Some(adding)) if channel.now.doubt.is_some() || !adding.told => match again {
                Some(Again { transaction, .. }) => {
                    // Whoever was first shows it.
                    let Some(turn) = self.shelf.seize(id) else { return Ok(None) };
                    let hold = adds(&self.shelf, id, demand.challenge.id().as_str());
                    let payload = added(&channel, transaction, adding.amount);
                    turn.hand_over();
                    Ok(Some(self.by_us(Payment::manage(payload).held(hold), Amount::ZERO)))
                }
                None => Err(PayError::untouched(
                    "the top-up that was sent can still be mined: nothing else is added until the chain says",
                )),
            },
            _ => Ok(None),
        }
    }

    /// A signed transaction that a server has still time to send.
    fn still_good(&self, id: ChannelId, chain: &OnChain) -> Option<Again> {
        let again = self.shelf.book().signed.get(&id).cloned()?;
        (chain.at.saturating_add(LEAST_SPONSORED.as_secs()) <= again.until).then_some(again)
    }

    /// Shows the transaction that opens a channel once more, with a voucher for this challenge: the same channel, and no second
    /// deposit.
    async fn open_again(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        id: ChannelId,
        again: Again,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        // Whoever was first shows it.
        let Some(turn) = self.shelf.seize(id) else { return Ok(None) };
        let price = demand.request.terms.amount;
        let claimed =
            self.shelf.change(id, |channel| channel.claim(price, Amount::ZERO, &self.limits));
        let claimed = claimed.ok_or_else(ended)?.map_err(never)?;
        let claim = Claim::new(&self.shelf, id, claimed, self.limits);
        let first = self.sign_voucher(seat, id, claimed.cumulative).await?;
        // A crash in here leaves a total that nobody was shown.
        self.shelf.save_first(id).await?;
        let payload = self.opening_payload(id, again.transaction, claimed.cumulative, &first)?;
        turn.hand_over();
        let payment = Payment::new(payload).held(opens(&self.shelf, claim));
        Ok(Some(self.by_us(payment, Amount::ZERO)))
    }
}

fn still_to_come() -> PayError {
    PayError::untouched(
        "the channel that was to be opened can still come to be: nothing else is opened until the chain says",
    )
}

fn not_there() -> PayError {
    PayError::untouched(
        "the chain has shown the channel, and does not show it now, nor that it has ended: nothing else is opened until it says so for long enough",
    )
}

fn known_to_the_chain_alone(id: ChannelId) -> PayError {
    PayError::untouched(format!(
        "the server says that it has no channel {id}, and the chain has it still: no second deposit is made; `request_close` and `withdraw` bring the money back"
    ))
}
