//! What paying would newly put at stake: told from memory alone.

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Exposure, Wish},
};

use super::{
    super::{NeedVoucher, TempoSession},
    Payer,
    channel::{Life, Short},
    seat::{Seat, Version},
    shelf::Cost,
    why::Why,
};
use crate::chain::DECIMALS;

/// The most that the fee of one transaction may be, in base units, unless said otherwise.
const FEE: u128 = 50_000;
/// The same in version 1, where a channel is dear to open.
const FEE_V1: u128 = 150_000;
/// Beside it, for an access key that the chain may have yet to be told of.
const FEE_FOR_KEY: u128 = 100_000;

impl Payer {
    /// What may leave the account for a challenge: a deposit where a channel has to be opened, what is added where one is short,
    /// and nothing for a voucher inside one.
    pub(super) fn stakes(&self, demand: &Demand<'_, TempoSession>) -> Result<Exposure, Why> {
        let seat = self.seat(demand)?;
        self.affords(demand)?;
        let cost = self.cost(demand);
        let book = self.shelf.book();
        let new = self.first_deposit(demand);
        let amount = match book.at(&seat) {
            // It is being opened, and what it takes was reserved by whoever opens it.
            None if book.is_opening(&seat) => Amount::ZERO,
            Some(channel) if channel.now.busy => Amount::ZERO,
            None => new,
            // Mostly it came to be, or its transaction can be shown again. Should the chain say otherwise, the next one opens.
            Some(channel) if channel.life == Life::Opening => Amount::ZERO,
            // The chain may say that it is gone.
            Some(channel) if channel.life != Life::Open || channel.now.doubt.is_some() => new,
            Some(channel) => match channel.quote(cost.price, cost.step, &self.limits) {
                Ok(_) => Amount::ZERO,
                Err(Short::Deposit(short)) => {
                    self.limits.more(short, cost.usual, channel.deposit).ok_or(Why::UsedUp)?
                }
                Err(Short::Limit) => return Err(Why::UsedUp),
                Err(Short::Step) => return Err(Why::Step),
            },
        };
        self.exposing(demand, &seat, amount).ok_or(Why::TooMuch)
    }

    /// The same for a wish.
    pub(super) fn stakes_for(
        &self,
        demand: &Demand<'_, TempoSession>,
        wish: &Wish,
    ) -> Option<Exposure> {
        let seat = self.seat(demand).ok()?;
        let book = self.shelf.book();
        let channel = book.at(&seat)?;
        let amount = match wish {
            Wish::Need(data) => {
                self.affords(demand).ok()?;
                let need: NeedVoucher = serde_json::from_value(data.clone()).ok()?;
                if need.channel_id.parse() != Ok(channel.id) {
                    return None;
                }
                let bound = channel.bound(demand.request.terms.amount, &self.limits);
                let required = need.required_cumulative.min(bound);
                let short = required.saturating_sub(channel.ceiling(&self.limits));
                match short {
                    Amount::ZERO => Amount::ZERO,
                    _ => self.limits.more(short, self.first_deposit(demand), channel.deposit)?,
                }
            }
            Wish::TopUp(more) => self.limits.exactly(*more, channel.deposit)?,
            Wish::Close => Amount::ZERO,
            _ => return None,
        };
        self.exposing(demand, &seat, amount)
    }

    /// What it would rather add before it must.
    pub(super) fn wished(&self, demand: &Demand<'_, TempoSession>) -> Option<Wish> {
        let below = self.limits.top_up_below?;
        let seat = self.seat(demand).ok()?;
        let mut book = self.shelf.book();
        let usual = self.first_deposit(demand);
        let channel = book.at_mut(&seat)?;
        let rests = channel.life == Life::Open && !channel.now.busy && !channel.is_adding();
        if !rests || channel.left(&self.limits) >= below {
            return None;
        }
        let more = self.limits.more(Amount::new(1), usual, channel.deposit)?;
        // Granted late, it is held to what it was wished for.
        channel.wishes(demand.challenge.id().as_str(), more);
        Some(Wish::TopUp(more))
    }

    /// What a challenge costs, and what goes with that.
    pub(super) fn cost(&self, demand: &Demand<'_, TempoSession>) -> Cost {
        let step = demand.request.details.method_details.min_voucher_delta;
        Cost {
            price: demand.request.terms.amount,
            step: step.unwrap_or_default(),
            usual: self.first_deposit(demand),
        }
    }

    /// What is deposited where a challenge has no channel.
    pub(super) fn first_deposit(&self, demand: &Demand<'_, TempoSession>) -> Amount {
        let terms = &demand.request.terms;
        self.limits.first(terms.amount, terms.suggested_deposit)
    }

    /// An amount that leaves, and the fee of its leaving.
    fn exposing(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        amount: Amount,
    ) -> Option<Exposure> {
        let fee = match amount {
            Amount::ZERO => Amount::ZERO,
            _ => self.fee_cap(demand, seat),
        };
        let whole = amount.checked_add(fee)?;
        Some(Exposure::new(whole).of_which_fees(fee).in_unit("usd", DECIMALS))
    }

    /// The most that the fee of a transaction may be; nothing where a sponsor pays it.
    pub(super) fn fee_cap(&self, demand: &Demand<'_, TempoSession>, seat: &Seat) -> Amount {
        if demand.request.details.method_details.is_sponsored() {
            return Amount::ZERO;
        }
        self.own_fee_cap(seat.version)
    }

    /// The most that the fee of a transaction of the payer's own may be.
    pub(super) fn own_fee_cap(&self, version: Version) -> Amount {
        self.max_fee.unwrap_or_else(|| {
            let call = if version == Version::V1 { FEE_V1 } else { FEE };
            let key = if self.signer.authorization().is_some() { FEE_FOR_KEY } else { 0 };
            Amount::new(call + key)
        })
    }
}
