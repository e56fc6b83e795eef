//! What is wanted of a channel beside paying for a request: a stream's next voucher, more deposit, its end.

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Allowance, PayError, Payment, Wish},
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    super::{NeedVoucher, TempoSession},
    Payer,
    channel::{Claimed, Life, Short},
    pay::{PATIENCE, busy, declined, never},
    seat::Seat,
    shelf::Claim,
    why::Why,
};

impl Payer {
    /// The next credential towards a wish, or nothing more to do.
    pub(super) async fn granted(
        &self,
        demand: &Demand<'_, TempoSession>,
        wish: &Wish,
        within: &Allowance,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let seat = self.seat(demand).map_err(declined)?;
        match wish {
            Wish::Need(data) => self.needed(demand, &seat, data, within).await,
            Wish::TopUp(amount) => self.more(demand, &seat, *amount, within).await,
            Wish::Close => self.close(&seat).await,
            _ => Ok(None),
        }
    }

    /// A stream stands still until its voucher is there. It is signed for what is required, where that goes no further ahead
    /// than allowed; where the deposit is too small, that is added to first.
    async fn needed(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        data: &Value,
        within: &Allowance,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let need: NeedVoucher = serde_json::from_value(data.clone()).map_err(|cause| {
            PayError::untouched("what the stream asks for cannot be read").because(cause)
        })?;
        self.affords(demand).map_err(declined)?;
        let required = need.required_cumulative;
        let until = Instant::now() + PATIENCE;
        loop {
            let changed = self.shelf.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let id = match self.shelf.book().at(seat) {
                Some(channel) if need.channel_id.parse() == Ok(channel.id) => channel.id,
                _ => {
                    let detail = "the stream asks for a voucher of a channel that is not its own";
                    return Err(PayError::untouched(detail));
                }
            };
            if self.waits_for_the_chain(seat) {
                // A stream of a channel in doubt: nothing more is signed before the chain has shown it.
                let (channel, chain) = self.check(id).await?;
                if channel.life != Life::Open || channel.now.doubt.is_some() || chain.gone {
                    return Err(PayError::untouched("the stream's channel is in doubt"));
                }
            }
            let unit = demand.request.terms.amount;
            let raised = self.shelf.change(id, |channel| {
                if channel.accepted >= required || channel.met_in_part(unit, &self.limits) {
                    return Some(Ok(None));
                }
                if !channel.streams() {
                    return None;
                }
                // What was accepted is used up, or the stream would not stand still.
                channel.used_up(need.accepted_cumulative);
                Some(channel.raise_to(required, unit, &self.limits).map(Some))
            });
            let Some(raised) = raised.ok_or_else(super::pay::ended)? else {
                // A close is out, or what clears a doubt: whoever is at it hears of it.
                timeout_at(until, changed).await.map_err(|_| busy())?;
                continue;
            };
            match raised {
                Ok(None) => return Ok(None),
                Ok(Some(cumulative)) => {
                    let claimed = Claimed { cost: Amount::ZERO, cumulative };
                    let claim = Claim::new(&self.shelf, id, claimed, self.limits);
                    let payload = self.voucher_of(seat, id, cumulative).await?;
                    // A crash up to here leaves a total that nobody was shown.
                    self.shelf.save_first(id).await?;
                    let payment = Payment::manage(payload).held(claim.hold());
                    return Ok(Some(self.by_us(payment, Amount::ZERO)));
                }
                Err(Short::Deposit(short)) => match self.shelf.turn(id) {
                    Some(turn) => {
                        let more = self.room(demand, seat, short)?;
                        return self.add(demand, seat, (turn, more), within).await.map(Some);
                    }
                    None if self.is_adding(seat) => {
                        timeout_at(until, changed).await.map_err(|_| busy())?;
                    }
                    // One that nobody waits for is in doubt.
                    None => {
                        if let Some(again) = self.clear_up(demand, seat, id).await? {
                            return Ok(Some(again));
                        }
                    }
                },
                Err(short) => return Err(never(short)),
            }
        }
    }

    /// So much more deposit, once for each challenge that it is wished on.
    async fn more(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        amount: Amount,
        within: &Allowance,
    ) -> Result<Option<Payment<TempoSession>>, PayError> {
        let Some(id) = self.shelf.book().at(seat).map(|channel| channel.id) else {
            return Ok(None);
        };
        let challenge = demand.challenge.id().as_str();
        let done = self.shelf.change(id, |channel| {
            // It was granted just now; wished again later, it is another wish.
            let granted = channel.now.granted.take_if(|granted| granted == challenge).is_some();
            // Wished unasked, and something was added since: two top-ups for one need are one too many.
            channel.was_met(challenge, amount) || granted
        });
        if done == Some(true) {
            return Ok(None);
        }
        let deposit = self.shelf.channel(id).map_or(Amount::ZERO, |channel| channel.deposit);
        let more = self.limits.exactly(amount, deposit).ok_or_else(|| declined(Why::UsedUp))?;
        match self.shelf.turn(id) {
            Some(turn) => self.add(demand, seat, (turn, more), within).await.map(Some),
            // Somebody is at it: two top-ups for one need are one too many.
            None => Ok(None),
        }
    }

    /// What is added where so much is short, or that the limits leave no room for it.
    fn room(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        short: Amount,
    ) -> Result<Amount, PayError> {
        let deposit = self.shelf.book().at(seat).map_or(Amount::ZERO, |channel| channel.deposit);
        self.limits
            .more(short, self.first_deposit(demand), deposit)
            .ok_or_else(|| declined(Why::UsedUp))
    }

    /// Whether the chain has to be asked about a seat's channel, and nobody else will say.
    fn waits_for_the_chain(&self, seat: &Seat) -> bool {
        self.shelf.book().at(seat).is_some_and(|channel| {
            !channel.now.busy && (channel.life != Life::Open || channel.now.doubt.is_some())
        })
    }

    fn is_adding(&self, seat: &Seat) -> bool {
        self.shelf.book().at(seat).is_some_and(|channel| channel.now.busy)
    }
}
