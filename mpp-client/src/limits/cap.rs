//! One unit's caps: what a quote comes to in it, and whether that fits.

use std::{borrow::Cow, time::Duration};

use mpp_core::{Amount, payer::Quote};

use super::{
    book::{Book, Spot},
    keeper::Keeper,
};
use crate::policy::{self, Denied};

/// Display units are compared at this many decimals, so that tokens of 6 and of 18 share one budget.
pub(super) const SCALE: u8 = 18;

/// What a cap counts in.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    Display(Cow<'static, str>),
    Raw(String),
}

impl Unit {
    pub(super) fn scale(&self) -> u8 {
        match self {
            Self::Display(_) => SCALE,
            Self::Raw(_) => 0,
        }
    }

    /// As a person reads it.
    fn shown(&self) -> &str {
        match self {
            Self::Display(unit) => unit,
            Self::Raw(currency) => currency,
        }
    }

    /// What books are named by: the kind, and the name in one spelling, since units are told apart without case.
    pub(super) fn name(&self) -> (&'static str, String) {
        match self {
            Self::Display(unit) => ("unit", unit.to_ascii_lowercase()),
            Self::Raw(currency) => ("currency", currency.to_ascii_lowercase()),
        }
    }
}

/// One unit's caps, at the scale of that unit, and who keeps the books of it.
#[derive(Clone, Debug)]
pub(super) struct Cap {
    pub(super) unit: Unit,
    pub(super) per_payment: u128,
    pub(super) per_host: u128,
    pub(super) host_window: i64,
    pub(super) in_all: u128,
    pub(super) window: i64,
    pub(super) keeper: Keeper,
}

impl Cap {
    /// The decimals of the quoted currency, where this cap is about it.
    pub(super) fn covers(&self, quote: &Quote) -> Option<u8> {
        match (&self.unit, &quote.exposes.unit) {
            (Unit::Display(ours), Some((unit, decimals))) if ours.eq_ignore_ascii_case(unit) => {
                Some(*decimals)
            }
            (Unit::Raw(ours), _) if ours.eq_ignore_ascii_case(&quote.currency) => Some(0),
            _ => None,
        }
    }

    /// Base units at the scale of the cap; rounded up, where the currency is finer than it.
    pub(super) fn count(&self, amount: Amount, decimals: u8) -> Option<u128> {
        match self.unit.scale().checked_sub(decimals) {
            Some(missing) => amount.get().checked_mul(10_u128.checked_pow(missing.into())?),
            None => Some(amount.get().div_ceil(divisor(self.unit.scale(), decimals)?)),
        }
    }

    /// As [`count`](Self::count), rounded down, for what is given back: in however many parts, it is never more than what
    /// was counted when it was taken.
    pub(super) fn count_down(&self, amount: Amount, decimals: u8) -> u128 {
        match self.unit.scale().checked_sub(decimals) {
            Some(_) => self.count(amount, decimals).unwrap_or_default(),
            None => divisor(self.unit.scale(), decimals).map_or(0, |d| amount.get() / d),
        }
    }

    /// Refuses what no window needs to be asked about.
    pub(super) fn fits_alone(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        if asked.counted > self.per_payment {
            let limit = self.show(self.per_payment);
            return Err(Denied::OverPayment { asked: self.show_asked(asked), limit });
        }
        Ok(())
    }

    /// Books an amount, if it fits into both windows.
    pub(super) fn take(&self, book: &mut Book, asked: &Asked<'_>) -> Result<Spot, Denied> {
        let Asked { counted, decimals, host, now, .. } = *asked;
        let fits =
            |spent: u128, limit: u128| spent.checked_add(counted).is_some_and(|s| s <= limit);
        book.all.fit(self.window);
        if !fits(book.all.spent(now), self.in_all) {
            let limit = self.show(self.in_all);
            return Err(Denied::OverBudget { asked: self.show_asked(asked), limit });
        }
        let window = book.host(host, self.host_window, now).ok_or(Denied::TooManyHosts)?;
        if !fits(window.spent(now), self.per_host) {
            let (host, limit) = (host.to_owned(), self.show(self.per_host));
            return Err(Denied::OverHost { host, asked: self.show_asked(asked), limit });
        }
        let in_host = window.spend(now, counted);
        let in_all = book.all.spend(now, counted);
        Ok(Spot { cap: 0, host: host.to_owned(), in_host, in_all, decimals })
    }

    fn show(&self, counted: u128) -> String {
        policy::asked(Amount::new(counted), Amount::ZERO, self.unit.scale(), self.unit.shown())
    }

    fn show_asked(&self, asked: &Asked<'_>) -> String {
        let (counted, fees) = (Amount::new(asked.counted), Amount::new(asked.fees));
        policy::asked(counted, fees, self.unit.scale(), self.unit.shown())
    }
}

/// What is asked of a cap, at its scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) counted: u128,
    /// How much of it is for fees at most; for people.
    pub(super) fees: u128,
    pub(super) decimals: u8,
    pub(super) host: &'a str,
    pub(super) now: i64,
}

pub(super) fn millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}

fn divisor(scale: u8, decimals: u8) -> Option<u128> {
    10_u128.checked_pow(u32::from(decimals.checked_sub(scale)?))
}
