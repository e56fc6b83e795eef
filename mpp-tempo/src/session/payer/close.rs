//! Ends a channel together with its server: signed for exactly what was spent, so that the rest comes back.

use alloy::primitives::hex;
use mpp_core::{
    Amount,
    payer::{Hold, Outcome, PayError, Payment},
};

use super::{
    super::{ChannelId, Payload, TempoSession},
    Payer,
    channel::{Channel, Doubt, Life},
    pay::described,
    seat::Seat,
    top_up::is_gone,
};
use crate::chain::look::MARGIN;

impl Payer {
    /// The credential that closes a seat's channel, or nothing where there is none to close, or it was closed.
    pub(super) async fn close(
        &self,
        seat: &Seat,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let channel = self.shelf.book().at(seat).cloned();
        let Some(channel) = channel else { return Ok(None) };
        if channel.now.closed {
            self.see_closed(&channel).await;
            return Ok(None);
        }
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
        let payment = Payment::manage(payload).held(self.closes(id));
        Ok(Some(self.by_us(payment, Amount::ZERO)))
    }

    /// The server said that it closed a channel, and the chain is asked whether it did. A node that does not answer, or is
    /// behind, leaves that to whoever pays next.
    async fn see_closed(&self, channel: &Channel) {
        let Ok(chain) = self.on_chain(channel).await else { return };
        if chain.gone {
            self.shelf.change(channel.id, |channel| channel.seen(&chain, MARGIN));
            self.shelf.sweep().await;
        }
    }

    /// What is told of a close. No receipt ends a channel here, since anybody can write one: only the chain does, and it is
    /// asked before the channel is used again.
    fn closes(&self, id: ChannelId) -> Hold {
        let shelf = self.shelf.clone();
        Hold::new(move |outcome| {
            shelf.change(id, |channel| {
                channel.now.busy = false;
                // The payer asked for its money back meanwhile: a late answer undoes nothing of that.
                let closing = channel.life == Life::Closing;
                match outcome {
                    Outcome::Accepted(_) => channel.now.closed = closing,
                    Outcome::Refused(problem) => {
                        let gone = problem.as_ref().is_some_and(|told| is_gone(told.suffix()));
                        if gone {
                            channel.now.doubt = Some(Doubt::Gone);
                        }
                        if closing {
                            channel.life = Life::Open;
                        }
                        channel.close_refused(problem.as_deref());
                    }
                    _ => {}
                }
            });
        })
    }
}
