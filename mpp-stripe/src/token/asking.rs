//! Tokens from an application: for programs that hold no secret of Stripe's.

use std::{error::Error, future::Future};

use super::{IssueError, Issuer, Wanted};
use crate::charge::Token;

/// Asks a function, which asks whoever may.
pub(crate) struct Asking<F>(pub(crate) F);

impl<F, Answer, E> Issuer for Asking<F>
where
    F: Fn(Wanted) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<String, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn create_token(&self, wanted: Wanted) -> Result<Token, IssueError> {
        let answer = (self.0)(wanted);
        let id = answer.await.map_err(IssueError::application)?;
        Ok(Token::parse(&id)?)
    }

    fn needs_payment_method(&self) -> bool {
        false
    }
}
