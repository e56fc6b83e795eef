//! What a metered socket has to do for its client, and whom it serves.

use mpp_core::{Credential, Receipt};
use serde::Deserialize;

use super::places::Place;
use crate::{permit::Permit, session::Session};

/// Something of a client's that waits for its turn.
pub(super) enum Work {
    Judge(Box<Credential>),
    GetReady,
}

/// Whom the socket serves.
pub(super) struct Guest {
    pub(super) session: Session,
    /// Of the credential that was taken last: what receipts name.
    challenge: Option<serde_json::Value>,
    pub(super) permit: Option<Permit>,
    pub(super) place: Place,
}

/// The member by which a receipt says what it answers.
const CHALLENGE: &str = "challengeId";

impl Guest {
    pub(super) fn new(session: Session, permit: Permit, place: Place) -> Self {
        Self { session, challenge: None, permit: Some(permit), place }
    }

    /// A credential was taken.
    pub(super) fn took(&mut self, receipt: &Receipt) {
        self.challenge = receipt.extra.get(CHALLENGE).cloned();
    }

    /// A receipt that names the credential taken last, as its client expects: a session has many challenges.
    pub(super) fn renamed(&self, mut receipt: Receipt) -> Receipt {
        if let (Some(name), Some(latest)) = (receipt.extra.get_mut(CHALLENGE), &self.challenge) {
            name.clone_from(latest);
        }
        receipt
    }
}

impl Work {
    /// Whether a running stream must end first.
    pub(super) fn ends_streams(&self) -> bool {
        #[derive(Deserialize)]
        struct Action {
            action: Option<String>,
        }
        match self {
            Self::GetReady => true,
            // Every metered method names its acts so; one that did not would close while a stream holds units, and its engine
            // books those either way.
            Self::Judge(credential) => serde_json::from_str::<Action>(credential.payload_json())
                .is_ok_and(|payload| payload.action.as_deref() == Some("close")),
        }
    }
}
