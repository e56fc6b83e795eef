//! Part of a budget, set aside for one payment, and where in the books that stands.

use std::fmt;

use mpp_core::Amount;

use crate::limits::Spot;

/// Part of a budget, set aside for one payment. Dropped, it stays spent: from the moment a credential leaves, whatever the
/// server answers, since a signed payment that it says it refused can still be taken.
///
/// The wallet gives back what was set aside and never put at stake, and what a rail proves dead
/// ([`Policy::give_back`](super::Policy::give_back)).
#[derive(Clone, Debug)]
pub struct Reservation {
    pub(crate) amount: Amount,
    pub(crate) booking: Option<Booking>,
}

impl Reservation {
    /// Sets `amount` aside, of which nothing is ever taken back.
    pub fn new(amount: Amount) -> Self {
        Self { amount, booking: None }
    }

    /// Says where it is booked, so that it can be taken back.
    pub fn booked(self, booking: Booking) -> Self {
        Self { booking: Some(booking), ..self }
    }

    /// What is set aside, in base units of the quoted currency.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Where it is booked.
    pub fn booking(&self) -> Option<&Booking> {
        self.booking.as_ref()
    }

    /// Lessens it, and returns what exceeded `to`: that is to be given back.
    pub(crate) fn trim(&mut self, to: Amount) -> Amount {
        let surplus = self.amount.saturating_sub(to);
        self.amount = self.amount.min(to);
        surplus
    }
}

/// Where a policy has written down what it set aside. A journal keeps it, and gives it back to the same policy.
#[derive(Clone)]
pub struct Booking(pub(crate) Place);

/// In which books.
#[derive(Clone)]
pub(crate) enum Place {
    /// Books that end with this process, so that nothing of it is worth writing down.
    Memory(Spot),
    /// Books that outlive it.
    Kept(String),
}

impl Booking {
    /// A place in books that outlive the process, in words of the policy's own.
    pub fn new(place: impl Into<String>) -> Self {
        Self(Place::Kept(place.into()))
    }

    /// The place, in books that outlive the process.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Place::Kept(place) => Some(place),
            Place::Memory(_) => None,
        }
    }
}

impl fmt::Debug for Booking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Kept(place) => f.debug_tuple("Booking").field(place).finish(),
            Place::Memory(_) => f.write_str("Booking(in memory)"),
        }
    }
}
