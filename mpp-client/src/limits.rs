//! The policy that comes with the crate: caps per payment, per host and in all, in one unit or several.

mod book;
mod cap;
mod keeper;
mod window;

use std::{borrow::Cow, sync::Arc, time::Duration};

use mpp_core::{
    Amount,
    amount::{AmountError, Decimal},
    payer::Quote,
    store::{BoxFuture, Key, Store, StoreError},
    time::Clock,
};

pub(crate) use self::book::Spot;
use self::{
    cap::{Asked, Cap, SCALE, Unit, millis},
    keeper::{Keeper, Kept},
};
use crate::{
    clock::SystemClock,
    policy::{Booking, Denied, Policy, Reservation, reservation::Place},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Caps on what a wallet spends: per payment, per host in a window, and in all in a window.
///
/// The constructors take the cap per payment; without further words one host gets ten times as much in an hour, and
/// all hosts together fifty times as much in a day. What is asked in a unit without a cap is denied, unless it is
/// zero.
///
/// What was granted counts as spent from that moment, in every window, and comes back only where nothing left the
/// wallet. A credential that was sent stays spent whatever the server answers: one that takes the money and says it
/// refused gets no more than one that serves.
///
/// A deposit counts whole from the moment it is granted, and what is paid within it does not count again. What comes back when
/// its account is closed is money in the purse and nothing here: no refund frees a budget, and the next deposit counts anew.
///
/// Windows slide in sixtieths of their length and never forget early: a clock that jumps ahead and comes back frees
/// nothing, and what was spent meanwhile counts until the time it said is over. The books are kept in memory, and clones
/// share them; [`kept_in`](Self::kept_in) keeps them in a store.
/// ```
/// use mpp_client::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::usd("0.50")?
///     .per_host("2", Duration::from_secs(3600))?
///     .in_all("20", Duration::from_secs(86_400))?
///     .or(Limits::in_unit("sat", "1000")?);
/// # let _ = limits;
/// # Ok::<(), mpp_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    caps: Vec<Cap>,
    clock: Arc<dyn Clock>,
}

impl Limits {
    /// So many US dollars per payment, whatever stablecoin they are paid in.
    ///
    /// # Errors
    /// A text that is no decimal, or has more than 18 decimals.
    pub fn usd(per_payment: &str) -> Result<Self, mpp_core::Error> {
        Self::in_unit("usd", per_payment)
    }

    /// So much per payment of a display unit that payers name in [`Exposure`](mpp_core::payer::Exposure).
    ///
    /// # Errors
    /// A text that is no decimal, or has more than 18 decimals.
    pub fn in_unit(
        unit: impl Into<Cow<'static, str>>,
        per_payment: &str,
    ) -> Result<Self, mpp_core::Error> {
        Ok(Self::of(Unit::Display(unit.into()), scaled(per_payment, SCALE)?))
    }

    /// So many base units per payment of a currency as its method names it (a token address), for currencies whose
    /// payer knows no display unit.
    pub fn in_currency(currency: impl Into<String>, per_payment: Amount) -> Self {
        Self::of(Unit::Raw(currency.into()), per_payment.get())
    }

    fn of(unit: Unit, per_payment: u128) -> Self {
        let cap = Cap {
            unit,
            per_payment,
            per_host: per_payment.saturating_mul(10),
            host_window: millis(HOUR),
            in_all: per_payment.saturating_mul(50),
            window: millis(DAY),
            keeper: Keeper::memory(millis(DAY)),
        };
        Self { caps: vec![cap], clock: Arc::new(SystemClock::new()) }
    }

    /// Changes what one host may get within any `window`, in the unit these limits were made in; said before
    /// [`or`](Self::or), which brings caps of its own.
    ///
    /// # Errors
    /// A text that is no decimal of the unit.
    pub fn per_host(mut self, most: &str, window: Duration) -> Result<Self, mpp_core::Error> {
        for cap in &mut self.caps {
            cap.per_host = scaled(most, cap.unit.scale())?;
            cap.host_window = millis(window);
        }
        Ok(self)
    }

    /// Changes what all hosts together may get within any `window`, in the unit these limits were made in; said before
    /// [`or`](Self::or), which brings caps of its own.
    ///
    /// # Errors
    /// A text that is no decimal of the unit.
    pub fn in_all(mut self, most: &str, window: Duration) -> Result<Self, mpp_core::Error> {
        for cap in &mut self.caps {
            cap.in_all = scaled(most, cap.unit.scale())?;
            cap.window = millis(window);
            cap.keeper = Keeper::memory(cap.window);
        }
        Ok(self)
    }

    /// Adds the caps of other limits; a payment is judged by the first whose unit it is in.
    pub fn or(mut self, other: Self) -> Self {
        self.caps.extend(other.caps);
        self
    }

    /// Keeps the books of all caps there are by now in a store, under a name: they survive restarts, and whoever names them
    /// shares them, in this process and in others. What is reserved counts before anything is signed; a crash before it
    /// is given back leaves it spent. A store that does not answer denies ([`Denied::Unavailable`]). Said last.
    ///
    /// # Errors
    /// A name that is empty, or too long with that of a currency to be a key.
    pub fn kept_in(mut self, store: impl Store, name: &str) -> Result<Self, mpp_core::Error> {
        let store: Arc<dyn Store> = Arc::new(store);
        for cap in &mut self.caps {
            let (kind, unit) = cap.unit.name();
            let key = Key::of(&["budget", name, kind, &unit])?;
            cap.keeper = Keeper::Store(Kept { store: store.clone(), key });
        }
        Ok(self)
    }

    /// Reads the time from another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn judge(&self, quote: &Quote) -> Result<Reservation, Denied> {
        let amount = quote.exposes.amount;
        if amount.is_zero() {
            return Ok(Reservation::new(amount));
        }
        let unknown = || Denied::UnknownUnit {
            currency: quote.currency.clone(),
            unit: quote.exposes.unit.as_ref().map(|u| u.0.to_string()),
        };
        let covering = |(at, cap): (usize, &'_ Cap)| Some((at, cap.covers(quote)?));
        let (at, decimals) = self.caps.iter().enumerate().find_map(covering).ok_or_else(unknown)?;
        let cap = &self.caps[at];
        let counted = cap.count(amount, decimals).ok_or(Denied::TooLarge)?;
        let fees = cap.count_down(quote.exposes.fees, decimals);
        let now = self.clock.now().unix_millis();
        let asked = Asked { counted, fees, decimals, host: &quote.to.origin, now };
        cap.fits_alone(&asked)?;
        Ok(Reservation::new(amount).booked(cap.keeper.take(cap, at, &asked).await?))
    }
}

impl Policy for Limits {
    fn reserve<'a>(&'a self, quote: &'a Quote) -> BoxFuture<'a, Result<Reservation, Denied>> {
        Box::pin(self.judge(quote))
    }

    fn give_back<'a>(
        &'a self,
        booking: &'a Booking,
        part: Amount,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match &booking.0 {
                Place::Memory(spot) => {
                    if let Some(cap) = self.caps.get(spot.cap)
                        && let Keeper::Memory(book) = &cap.keeper
                    {
                        keeper::give_back(book, cap, spot, part);
                    }
                }
                Place::Kept(place) => {
                    for cap in &self.caps {
                        // Two caps of one unit share a book: what is booked once is taken back once.
                        if let Keeper::Store(kept) = &cap.keeper
                            && kept.give_back(cap, place, part).await?
                        {
                            break;
                        }
                    }
                }
            }
            Ok(())
        })
    }
}

fn scaled(text: &str, scale: u8) -> Result<u128, AmountError> {
    Ok(Decimal::parse(text)?.to_base_units(scale)?.get())
}

#[cfg(test)]
mod tests;
