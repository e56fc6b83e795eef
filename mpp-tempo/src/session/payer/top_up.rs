//! Adds to a channel's deposit: one at a time, so that no two of them fund the same need.

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Allowance, Hold, Outcome, PayError, Payment},
};
use std::sync::Arc;

use super::{
    super::{ChannelId, Payload, TempoSession},
    Payer,
    channel::{Channel, Doubt},
    open::sendable,
    pay::{described, ended, high},
    seat::{Seat, Version},
    shelf::{Again, Shelf, Turn},
};
use crate::chain::{escrow, reserve};

impl Payer {
    /// Adds so much to the channel of a seat, as a managed step.
    pub(super) async fn add(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        (turn, amount): (Turn, Amount),
        within: &Allowance,
    ) -> Result<Payment<TempoSession>, PayError> {
        let most = amount.checked_add(self.fee_cap(demand, seat)).ok_or_else(high)?;
        if within.up_to < most {
            return Err(high());
        }
        let channel = self.shelf.book().at(seat).cloned().ok_or_else(ended)?;
        let id = channel.id;
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let calls = match seat.version {
            Version::V1 => escrow::top_up(seat.escrow, seat.token, id, amount.get()).to_vec(),
            Version::V2 => {
                let added = amount.get();
                let more =
                    reserve::TopUp { descriptor: channel.made_of, additional_deposit: added };
                vec![more.call()]
            }
        };
        let order = self.order(demand, seat, calls, amount);
        let written = self.holder().write(node, order).await?;
        let (fee, until) = (written.fee(), written.valid_before());
        let transaction = sendable(&self.holder().sign(written).await?)?;
        self.shelf.change(id, |channel| channel.adds(amount, until));
        // A crash in here leaves a top-up in the store that was never sent; the chain says so once its time is over.
        self.shelf.save_first(id).await?;
        self.shelf.book().signed.insert(id, Again { transaction: transaction.clone(), until });
        turn.hand_over();
        let payload = added(&channel, transaction, amount);
        let exposed = amount.checked_add(fee).unwrap_or(most);
        let hold = adds(&self.shelf, id, demand.challenge.id().as_str());
        Ok(self.by_us(Payment::manage(payload).held(hold), exposed))
    }
}

/// The payload that adds to a channel.
pub(super) fn added(channel: &Channel, transaction: String, amount: Amount) -> Payload {
    Payload::TopUp {
        channel_id: channel.id.to_string(),
        transaction,
        descriptor: described(channel),
        additional_deposit: amount,
    }
}

/// What is told of a top-up. Refused or not answered, it can still be mined: until the chain has said it, nothing else is added.
pub(super) fn adds(shelf: &Arc<Shelf>, id: ChannelId, challenge: &str) -> Hold {
    let (shelf, challenge) = (shelf.clone(), challenge.to_owned());
    Hold::new(move |outcome| {
        let accepted = matches!(outcome, Outcome::Accepted(_));
        if accepted {
            shelf.book().signed.remove(&id);
        }
        shelf.change(id, |channel| {
            channel.now.busy = false;
            match outcome {
                Outcome::Accepted(_) => {
                    channel.added();
                    channel.now.granted = Some(challenge);
                }
                Outcome::Refused(Some(problem)) if is_gone(problem.suffix()) => {
                    channel.now.doubt = Some(Doubt::Gone);
                }
                _ => {}
            }
        });
    })
}

/// Whether a server says that it has no such channel, or no more.
pub(super) fn is_gone(suffix: &str) -> bool {
    matches!(suffix, "session/channel-not-found" | "session/channel-finalized")
}
