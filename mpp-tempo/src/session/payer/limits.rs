//! What a payer may put into a channel, and how far a server may go ahead in it.

use mpp_core::Amount;

/// Limits of one channel, in base units of a dollar token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most that may ever lie in it, and that is ever signed for.
    pub(super) max_deposit: Amount,
    /// The most that one request or unit may cost; no more than the deposit where it is not said.
    pub(super) max_price: Option<Amount>,
    /// What is deposited at first; the server's suggestion where it is not said.
    pub(super) deposit: Option<Amount>,
    /// How much is added at a time; as much as was deposited at first where it is not said.
    pub(super) top_up: Option<Amount>,
    /// Less than this left, and it is added to before it must be.
    pub(super) top_up_below: Option<Amount>,
    /// How far beyond what it has earned a server may be, however often it asks.
    pub(super) ahead: Amount,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deposit: Amount::new(1_000_000),
            max_price: None,
            deposit: None,
            top_up: None,
            top_up_below: None,
            ahead: Amount::new(50_000),
        }
    }
}

/// Requests that the first deposit is enough for where neither side says how much it is to be.
const REQUESTS: u64 = 100;

impl Limits {
    /// The first deposit, for requests of this price.
    pub(super) fn first(&self, price: Amount, suggested: Option<Amount>) -> Amount {
        let many = price.checked_mul(REQUESTS).unwrap_or(self.max_deposit);
        self.deposit.or(suggested).unwrap_or(many).max(price).min(self.max_deposit)
    }

    /// What is added where so much is wished, and no other amount.
    pub(super) fn exactly(&self, wished: Amount, deposit: Amount) -> Option<Amount> {
        let room = self.max_deposit.saturating_sub(deposit);
        (!wished.is_zero() && wished <= room).then_some(wished)
    }

    /// What is added where so much is short: no more than there is room for. `None` where that is not enough.
    pub(super) fn more(&self, short: Amount, usual: Amount, deposit: Amount) -> Option<Amount> {
        let room = self.max_deposit.saturating_sub(deposit);
        let wished = self.top_up.unwrap_or(usual).max(short).min(room);
        (wished >= short && !wished.is_zero()).then_some(wished)
    }
}
