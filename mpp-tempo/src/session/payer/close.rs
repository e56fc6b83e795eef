//! Ends a channel together with its server: signed for exactly what was spent, so that the rest comes back.

use alloy::primitives::hex;
use mpp_core::{
    Amount, Receipt,
    payer::{Hold, Outcome, PayError, Payment},
};

use super::{
    super::{ChannelId, Payload, SessionReceipt, TempoSession},
    Payer,
    channel::{Doubt, Life},
    pay::described,
    seat::Seat,
    shelf::is_of,
    top_up::is_gone,
};

impl Payer {
    /// The credential that closes a seat's channel, or nothing where there is none to close, or it was closed.
    pub(super) async fn close(
        &self,
        seat: &Seat,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let channel = self.shelf.book().at(seat).cloned();
        let Some(channel) = channel.filter(|channel| !channel.now.closed) else { return Ok(None) };
        let turn = self.shelf.seize(channel.id).ok_or_else(super::pay::busy)?;
        if channel.now.close_stuck {
            return Err(PayError::untouched(
                "the server does not close the channel for what was spent: `request_close` and `withdraw` bring the rest back",
            ));
        }
        let (id, amount) = (channel.id, channel.closing_at());
        let signature = self.sign_voucher(seat, id, amount).await?;
        self.shelf.change(id, |channel| channel.life = Life::Closing);
        // A crash from here on leaves a channel that the chain is asked about before anything else is signed for it.
        self.shelf.save_first(id).await?;
        turn.hand_over();
        let payload = Payload::Close {
            channel_id: id.to_string(),
            descriptor: described(&channel),
            cumulative_amount: amount,
            signature: hex::encode_prefixed(&signature),
        };
        let payment = Payment::manage(payload).held(self.closes(id, amount));
        Ok(Some(self.by_us(payment, Amount::ZERO)))
    }

    /// What is told of a close: only a receipt of the very amount, with the transaction that moved it, ends the channel here.
    /// After anything else the chain is asked before the channel is used again.
    fn closes(&self, id: ChannelId, amount: Amount) -> Hold {
        let shelf = self.shelf.clone();
        Hold::new(move |outcome| {
            shelf.change(id, |channel| {
                channel.now.busy = false;
                match outcome {
                    Outcome::Accepted(receipt) if shows_close(&receipt, id, amount) => {
                        (channel.life, channel.now.closed) = (Life::Ended, true);
                    }
                    Outcome::Accepted(_) => channel.now.closed = true,
                    Outcome::Refused(problem) => {
                        let gone = problem.as_ref().is_some_and(|told| is_gone(told.suffix()));
                        if gone {
                            channel.now.doubt = Some(Doubt::Gone);
                        }
                        channel.life = Life::Open;
                        channel.close_refused(problem.as_deref());
                    }
                    _ => {}
                }
            });
        })
    }
}

/// Whether a receipt shows that a channel was closed for an amount.
fn shows_close(receipt: &Receipt, id: ChannelId, amount: Amount) -> bool {
    SessionReceipt::read(receipt).is_some_and(|read| {
        is_of(&read, id) && read.accepted_cumulative == amount && read.tx_hash.is_some()
    })
}
