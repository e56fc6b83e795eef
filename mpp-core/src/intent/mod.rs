//! The shapes of payment: what is asked for, whatever the rail.

mod charge;
mod session;
mod subscription;

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Amount, name::IntentName};

pub use self::{
    charge::{Charge, ChargeTerms, Price, PriceError},
    session::{Rate, Session, SessionTerms},
    subscription::{PeriodUnit, Plan, Subscription, SubscriptionTerms},
};

/// What kind of payment is asked for; one implementation per intent draft.
pub trait Intent: Send + Sync + 'static {
    /// The name on the wire.
    const NAME: IntentName;
    /// How often one challenge may be answered; picks the server half that fits.
    type Reuse: Reuse;
    /// The shared members of the request.
    type Terms: Terms;
    /// What a server's author writes: a price, a rate, a plan.
    type Ask: Clone + Debug + Send + Sync + 'static;
}

/// The shared members of a request, as every method of an intent has them.
pub trait Terms:
    Serialize + DeserializeOwned + PartialEq + Clone + Debug + Send + Sync + 'static
{
    /// What is asked, in base units of [`Terms::currency`]; for a session the price of one unit.
    fn amount(&self) -> Amount;
    /// In what: a token address, `sat`, `usd`, as the method has it.
    fn currency(&self) -> &str;
    /// To whom, where the method says so here.
    fn recipient(&self) -> Option<&str>;
    /// The server's own name for the payment, where the intent has one; receipts echo it.
    fn external_id(&self) -> Option<&str>;
}

/// How often one challenge may be answered. Sealed: [`Once`] and [`Metered`] are all there is.
pub trait Reuse: sealed::Sealed + Send + Sync + 'static {}

/// One challenge, one payment: its id and its proof are used up.
#[derive(Debug)]
#[non_exhaustive]
pub enum Once {}

/// One challenge, many credentials, each drawing on an account.
#[derive(Debug)]
#[non_exhaustive]
pub enum Metered {}

impl Reuse for Once {}
impl Reuse for Metered {}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait Sealed {}
    impl Sealed for super::Once {}
    impl Sealed for super::Metered {}
}
