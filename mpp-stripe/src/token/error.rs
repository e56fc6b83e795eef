//! Why there is no token.

use crate::{api::ApiError, charge::NotAToken};

/// No token was made, or none that could be shown. Holds no token and no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Stripe made none, or its answer was lost.
    #[error("no token came from Stripe: {0}")]
    Api(#[from] ApiError),
    /// Nobody said by which payment method to pay.
    #[error("no payment method was chosen: name one with `Payer::paying_with`")]
    NoPaymentMethod,
    /// The payment method is good only once its owner has confirmed, which nobody can do here.
    #[error("the owner of the payment method has to confirm this payment, and cannot do so here")]
    ActionRequired,
    /// Something came, and it is no token.
    #[error("what came is no token")]
    NotAToken(#[from] NotAToken),
    /// The application that was asked made none.
    #[error("the application made no token")]
    Application(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl IssueError {
    /// The application that was asked made none, because of `cause`.
    pub fn application(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Application(cause.into())
    }
}
