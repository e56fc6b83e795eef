//! The policy that comes with the crate: caps per payment, per host and in all, in one unit or several.

mod window;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mpp_core::{
    Amount,
    amount::{AmountError, Decimal},
    payer::Quote,
    store::BoxFuture,
    time::Clock,
};

use self::window::Window;
use crate::{
    clock::SystemClock,
    policy::{Denied, Policy, Reservation},
};

/// Display units are compared at this many decimals, so that tokens of 6 and of 18 share one budget.
const SCALE: u8 = 18;
/// Origins kept apart in a window; one more is denied rather than forgotten.
const MAX_HOSTS: usize = 1024;

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
/// Windows slide in sixtieths of their length and never forget early. The books are kept in memory, and clones share
/// them.
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
            book: Arc::new(Mutex::new(Book::new(DAY))),
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
            cap.book = Arc::new(Mutex::new(Book::new(window)));
        }
        Ok(self)
    }

    /// Adds the caps of other limits; a payment is judged by the first whose unit it is in.
    pub fn or(mut self, other: Self) -> Self {
        self.caps.extend(other.caps);
        self
    }

    /// Reads the time from another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn judge(&self, quote: &Quote) -> Result<Reservation, Denied> {
        let amount = quote.exposes.amount;
        if amount.is_zero() {
            return Ok(Reservation::new(amount, |_| {}));
        }
        let unknown = || Denied::UnknownUnit {
            currency: quote.currency.clone(),
            unit: quote.exposes.unit.as_ref().map(|u| u.0.to_string()),
        };
        let (cap, decimals) =
            self.caps.iter().find_map(|c| Some((c, c.covers(quote)?))).ok_or_else(unknown)?;
        let asked = cap.count(amount, decimals).ok_or(Denied::TooLarge)?;
        let spot = cap.take(asked, &quote.to.origin, self.clock.now().unix_millis())?;
        let (cap, mut left) = (cap.clone(), asked);
        Ok(Reservation::new(amount, move |part| {
            // Counted up when it was taken; must not give back more than that, so counted down here.
            let part = cap.count_down(part, decimals).min(left);
            left -= part;
            cap.locked().give_back(&spot, part);
        }))
    }
}

impl Policy for Limits {
    fn reserve<'a>(&'a self, quote: &'a Quote) -> BoxFuture<'a, Result<Reservation, Denied>> {
        Box::pin(std::future::ready(self.judge(quote)))
    }
}

/// What a cap counts in.
#[derive(Clone, Debug)]
enum Unit {
    Display(Cow<'static, str>),
    Raw(String),
}

impl Unit {
    fn scale(&self) -> u8 {
        match self {
            Self::Display(_) => SCALE,
            Self::Raw(_) => 0,
        }
    }
}

/// One unit's caps, at the scale of that unit, and what was spent of it.
#[derive(Clone, Debug)]
struct Cap {
    unit: Unit,
    per_payment: u128,
    per_host: u128,
    host_window: i64,
    in_all: u128,
    book: Arc<Mutex<Book>>,
}

impl Cap {
    /// The decimals of the quoted currency, where this cap is about it.
    fn covers(&self, quote: &Quote) -> Option<u8> {
        match (&self.unit, &quote.exposes.unit) {
            (Unit::Display(ours), Some((unit, decimals))) if ours.eq_ignore_ascii_case(unit) => {
                Some(*decimals)
            }
            (Unit::Raw(ours), _) if ours.eq_ignore_ascii_case(&quote.currency) => Some(0),
            _ => None,
        }
    }

    /// Base units at the scale of the cap; rounded up, where the currency is finer than it.
    fn count(&self, amount: Amount, decimals: u8) -> Option<u128> {
        match self.unit.scale().checked_sub(decimals) {
            Some(missing) => amount.get().checked_mul(10_u128.checked_pow(missing.into())?),
            None => Some(amount.get().div_ceil(divisor(self.unit.scale(), decimals)?)),
        }
    }

    /// As [`count`](Self::count), rounded down, for what is given back.
    fn count_down(&self, amount: Amount, decimals: u8) -> u128 {
        match self.unit.scale().checked_sub(decimals) {
            Some(_) => self.count(amount, decimals).unwrap_or_default(),
            None => divisor(self.unit.scale(), decimals).map_or(0, |d| amount.get() / d),
        }
    }

    fn take(&self, asked: u128, host: &str, now: i64) -> Result<Spot, Denied> {
        let asked_text = || self.show(asked);
        if asked > self.per_payment {
            let limit = self.show(self.per_payment);
            return Err(Denied::OverPayment { asked: asked_text(), limit });
        }
        let fits = |spent: u128, limit: u128| spent.checked_add(asked).is_some_and(|s| s <= limit);
        let mut book = self.locked();
        if !fits(book.all.spent(now), self.in_all) {
            let limit = self.show(self.in_all);
            return Err(Denied::OverBudget { asked: asked_text(), limit });
        }
        let window = book.host(host, self.host_window, now).ok_or(Denied::TooManyHosts)?;
        if !fits(window.spent(now), self.per_host) {
            let (host, limit) = (host.to_owned(), self.show(self.per_host));
            return Err(Denied::OverHost { host, asked: asked_text(), limit });
        }
        let in_host = window.spend(now, asked);
        let in_all = book.all.spend(now, asked);
        Ok(Spot { host: host.to_owned(), in_host, in_all })
    }

    fn show(&self, counted: u128) -> String {
        let unit = match &self.unit {
            Unit::Display(unit) => unit,
            Unit::Raw(currency) => currency.as_str(),
        };
        format!("{} {unit}", Amount::new(counted).to_decimal(self.unit.scale()))
    }

    /// No panic can happen while the book is held; a poisoned one is as good as any.
    fn locked(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was spent, per host and in all.
#[derive(Debug)]
struct Book {
    all: Window,
    hosts: HashMap<String, Window>,
}

/// Where a reservation is booked.
#[derive(Debug)]
struct Spot {
    host: String,
    in_host: i64,
    in_all: i64,
}

impl Book {
    fn new(window: Duration) -> Self {
        Self { all: Window::of(millis(window)), hosts: HashMap::new() }
    }

    /// What a host got; `None` where that would be one host too many.
    fn host(&mut self, host: &str, window: i64, now: i64) -> Option<&mut Window> {
        if !self.hosts.contains_key(host) {
            if self.hosts.len() >= MAX_HOSTS {
                self.hosts.retain(|_, window| window.spent(now) > 0);
            }
            if self.hosts.len() >= MAX_HOSTS {
                return None;
            }
        }
        Some(self.hosts.entry(host.to_owned()).or_insert_with(|| Window::of(window)))
    }

    fn give_back(&mut self, spot: &Spot, amount: u128) {
        if let Some(window) = self.hosts.get_mut(&spot.host) {
            window.give_back(spot.in_host, amount);
        }
        self.all.give_back(spot.in_all, amount);
    }
}

fn scaled(text: &str, scale: u8) -> Result<u128, AmountError> {
    Ok(Decimal::parse(text)?.to_base_units(scale)?.get())
}

fn divisor(scale: u8, decimals: u8) -> Option<u128> {
    10_u128.checked_pow(u32::from(decimals.checked_sub(scale)?))
}

fn millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
