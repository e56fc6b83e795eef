//! Who makes Shared Payment Tokens: the seam between a payment and whoever may use a card.

mod api;
mod asking;
mod error;
mod payment_method;
#[cfg(test)]
pub(crate) mod scripted;
mod wanted;

use std::{
    future::{Future, ready},
    sync::Arc,
};

use mpp_core::{payer::Became, store::BoxFuture};

pub use self::{
    api::{ApiTokens, NoTokens},
    error::IssueError,
    payment_method::{NotAPaymentMethod, PaymentMethod},
    wanted::{Unaskable, Wanted},
};
pub(crate) use self::{asking::Asking, wanted::examine};
use crate::charge::Token;

/// Makes tokens: Stripe's API by a secret key ([`ApiTokens`]), or an application that asks somebody who holds one.
pub trait Issuer: Send + Sync + 'static {
    /// Makes a token that is good for what is wanted and for nothing else: for so much of that currency at most, until then,
    /// to that seller. Asked twice with the same challenge it should make one token, not two.
    ///
    /// # Errors
    /// No token was made, or nobody knows its id: nothing can be taken.
    fn create_token(
        &self,
        wanted: Wanted,
    ) -> impl Future<Output = Result<Token, IssueError>> + Send;

    /// What became of a token that was shown to a seller, for issuers that can tell. [`Became::Dead`] is final: whoever hears
    /// it may pay anew.
    ///
    /// # Errors
    /// It could not be asked: as good as [`Became::Open`].
    fn became(&self, token: &Token) -> impl Future<Output = Result<Became, IssueError>> + Send {
        let _ = token;
        ready(Ok(Became::Open))
    }

    /// Whether it must be told by which payment method to pay. If so, nothing is paid where none is set.
    fn needs_payment_method(&self) -> bool {
        true
    }
}

impl<I: Issuer + ?Sized> Issuer for Arc<I> {
    fn create_token(
        &self,
        wanted: Wanted,
    ) -> impl Future<Output = Result<Token, IssueError>> + Send {
        (**self).create_token(wanted)
    }

    fn became(&self, token: &Token) -> impl Future<Output = Result<Became, IssueError>> + Send {
        (**self).became(token)
    }

    fn needs_payment_method(&self) -> bool {
        (**self).needs_payment_method()
    }
}

/// An [`Issuer`] of any type.
pub(crate) trait Issues: Send + Sync {
    fn create_token(&self, wanted: Wanted) -> BoxFuture<'_, Result<Token, IssueError>>;
    fn became<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Became, IssueError>>;
    fn needs_payment_method(&self) -> bool;
}

impl<I: Issuer> Issues for I {
    fn create_token(&self, wanted: Wanted) -> BoxFuture<'_, Result<Token, IssueError>> {
        Box::pin(Issuer::create_token(self, wanted))
    }

    fn became<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Became, IssueError>> {
        Box::pin(Issuer::became(self, token))
    }

    fn needs_payment_method(&self) -> bool {
        Issuer::needs_payment_method(self)
    }
}
