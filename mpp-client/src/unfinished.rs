//! A credential that was sent and whose answer did not arrive: shown again, it costs nothing anew.

use std::fmt;

use mpp_core::{Credential, payer::Site};

/// A credential, and the one place it may be shown.
///
/// The server redeems a credential that it settled and did not deliver on; that is how a lost answer is asked for
/// again. Worth money: its `Debug` is blind.
#[derive(Clone)]
pub struct Unfinished {
    credential: Credential,
    to: Site,
    key: Option<String>,
}

impl Unfinished {
    /// Puts together what was written down.
    pub fn new(credential: Credential, to: Site) -> Self {
        Self { credential, to, key: None }
    }

    /// Says which idempotency key goes with it.
    pub fn keyed(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// The credential.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Who may see it.
    pub fn to(&self) -> &Site {
        &self.to
    }

    /// The idempotency key that went with it.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished")
            .field("challenge", &self.credential.challenge.id().as_str())
            .field("origin", &self.to.origin)
            .finish_non_exhaustive()
    }
}
