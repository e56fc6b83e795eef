//! The hook that bounds how often challenges are issued and credentials verified (C-64).

use std::{fmt, time::Duration};

/// What is about to be done for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// Issuing challenges: cheap for most methods, a node call for some.
    Issue,
    /// Verifying a credential: signatures, a look at the chain.
    Verify,
}

/// Decides whether a client may ask for more. Called on the request's path: decide from memory, do not wait.
pub trait Limiter: fmt::Debug + Send + Sync + 'static {
    /// Lets it pass, or says when to come again.
    ///
    /// # Errors
    /// How long the client should wait; it gets 429 with `Retry-After`, and no challenge.
    fn admit(&self, effort: Effort, client: Option<&str>) -> Result<(), Duration>;
}

/// Lets everything pass: what a gate does unless told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unlimited;

impl Limiter for Unlimited {
    fn admit(&self, _: Effort, _: Option<&str>) -> Result<(), Duration> {
        Ok(())
    }
}
