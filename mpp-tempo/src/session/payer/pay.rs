//! One payment: a voucher where there is a channel that covers it; else the channel is opened or topped up first.

use std::time::Duration;

use alloy::primitives::{Bytes, hex};
use mpp_core::{
    Amount,
    challenge::Demand,
    credential::Source,
    payer::{Allowance, PayError, Payment},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    super::{ChannelId, DescriptorText, Payload, TempoSession},
    Payer,
    channel::{Channel, Short},
    seat::{Seat, Version},
    shelf::{Claim, Next},
    why::Why,
};
use crate::chain::did::Did;

/// The longest that another request's opening or top-up is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
/// The longest that a signer is waited for.
const SIGNING: Duration = Duration::from_secs(25);
/// Questions to the chain in one payment, after which it has not said enough.
const ASKS: u8 = 3;

impl Payer {
    /// Pays a challenge, within what was allowed.
    pub(super) async fn paid(
        &self,
        demand: &Demand<'_, TempoSession>,
        within: &Allowance,
    ) -> Result<Payment<TempoSession>, PayError> {
        let seat = self.seat(demand).map_err(declined)?;
        self.affords(demand).map_err(declined)?;
        self.shelf.sweep().await;
        self.adopt(demand, &seat).await?;
        let until = Instant::now() + PATIENCE;
        let mut asks = ASKS;
        loop {
            let changed = self.shelf.changed.notified();
            tokio::pin!(changed);
            // Whoever is done between the look and the wait is heard all the same.
            changed.as_mut().enable();
            match self.shelf.next(&seat, self.cost(demand), &self.limits) {
                Next::Voucher(claim) => return self.voucher(&seat, claim, within).await,
                Next::TopUp(turn, more) => {
                    return self.add(demand, &seat, (turn, more), within).await;
                }
                Next::Open(turn) => return self.open(demand, &seat, turn, within).await,
                Next::Wait => timeout_at(until, changed).await.map_err(|_| busy())?,
                Next::Ask(id) => {
                    asks = asks.checked_sub(1).ok_or_else(busy)?;
                    if let Some(again) = self.clear_up(demand, &seat, id).await? {
                        return Ok(again);
                    }
                }
                Next::Never(short) => return Err(never(short)),
            }
        }
    }

    /// A voucher for a claim, to be sent with the request.
    async fn voucher(
        &self,
        seat: &Seat,
        claim: Claim,
        within: &Allowance,
    ) -> Result<Payment<TempoSession>, PayError> {
        let id = claim.id;
        self.shelf.change(id, |channel| channel.site = Some(within.to.origin.clone()));
        let payload = self.voucher_of(seat, id, claim.claimed.cumulative).await?;
        // A crash up to here leaves a total that nobody was shown, which the next voucher is not below.
        self.shelf.save_first(id).await?;
        let payment = Payment::new(payload).held(claim.hold());
        Ok(self.by_us(payment, Amount::ZERO))
    }

    /// The payload of a voucher that was counted as signed.
    pub(super) async fn voucher_of(
        &self,
        seat: &Seat,
        id: ChannelId,
        cumulative: Amount,
    ) -> Result<Payload, PayError> {
        let channel = self.shelf.channel(id).ok_or_else(ended)?;
        let signature = self.sign_voucher(seat, id, cumulative).await?;
        Ok(Payload::Voucher {
            channel_id: id.to_string(),
            descriptor: described(&channel),
            cumulative_amount: cumulative,
            signature: hex::encode_prefixed(&signature),
        })
    }

    /// Signs a voucher with the key that the channel names.
    pub(super) async fn sign_voucher(
        &self,
        seat: &Seat,
        id: ChannelId,
        cumulative: Amount,
    ) -> Result<Bytes, PayError> {
        let domain = seat.domain();
        let made = timeout(SIGNING, domain.sign(&*self.signer, id, cumulative)).await;
        made.map_err(|_| PayError::untouched("the signer took too long"))?
            .map_err(|cause| PayError::untouched("the signer signed no voucher").because(cause))
    }

    /// A payment with the account's name on it, and what it put at stake.
    pub(super) fn by_us(
        &self,
        payment: Payment<TempoSession>,
        exposed: Amount,
    ) -> Payment<TempoSession> {
        let did = Did { chain_id: self.node.chain_id(), address: self.signer.account() };
        let mut payment = payment.from(Source::new(did.to_string()));
        payment.exposed = Some(exposed);
        payment
    }
}

/// The descriptor as it goes with a payload; version 1 has none.
pub(super) fn described(channel: &Channel) -> Option<DescriptorText> {
    (channel.version == Version::V2).then(|| channel.made_of.into())
}

pub(super) fn declined(why: Why) -> PayError {
    PayError::untouched("the challenge asks for something that this payer does not pay")
        .because(why)
}

pub(super) fn high() -> PayError {
    PayError::untouched("a deposit is needed that is higher than allowed")
}

pub(super) fn ended() -> PayError {
    PayError::untouched("the channel has ended")
}

pub(super) fn busy() -> PayError {
    PayError::untouched("another request has yet to open the channel, or to add to it")
}

pub(super) fn never(short: Short) -> PayError {
    declined(match short {
        Short::Step => Why::Step,
        Short::Deposit(_) | Short::Limit => Why::UsedUp,
    })
}
