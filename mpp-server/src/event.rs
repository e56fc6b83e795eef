//! What happened at a gate, for whoever listens; nobody who listens can hold a request up.

use std::sync::Arc;

use mpp_core::{Receipt, name::MethodId, problem::Reason};
use serde_json::{Map, Value};
use tokio::sync::broadcast;

/// How many events wait for a slow listener before it misses the oldest.
const BACKLOG: usize = 1024;

/// Something that happened at a gate. Holds no secret: no credential, no evidence, no key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `challenge.created`: a challenge was issued.
    ChallengeCreated {
        /// Its id.
        challenge: String,
        /// How it can be paid.
        method: MethodId,
    },
    /// `payment.success`: a payment settled.
    PaymentSuccess {
        /// Its receipt.
        receipt: Arc<Receipt>,
    },
    /// `payment.failed`: a credential was refused.
    PaymentFailed {
        /// The challenge it answered, where that much could be read.
        challenge: Option<String>,
        /// Why.
        reason: Reason,
    },
    /// The last byte of a paid success was handed over.
    Delivered {
        /// The challenge that was paid.
        challenge: String,
    },
    /// An operator gave up a payment whose outcome is not known ([`Gate::write_off`](crate::Gate::write_off)).
    WrittenOff {
        /// The challenge it answers.
        challenge: String,
    },
    /// A session account's order was settled on its rail.
    Account {
        /// How it is paid.
        method: MethodId,
        /// The account's name.
        account: String,
        /// What was done.
        what: AccountChange,
        /// What its method says of it: a transaction's hash.
        settlement: Map<String, Value>,
    },
    /// A handler ran for a payment and did not end in a delivered success; the credential can be shown again.
    NotDelivered {
        /// The challenge that was paid.
        challenge: String,
    },
}

/// What an order did to a session account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountChange {
    /// It was opened.
    Opened,
    /// Its deposit grew.
    ToppedUp,
    /// What was earned was taken; it stays open.
    Collected,
    /// It was closed: what was served was taken, the rest went back.
    Closed,
}

impl Event {
    /// The name of this kind of event, as deployed peers have it where they have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ChallengeCreated { .. } => "challenge.created",
            Self::PaymentSuccess { .. } => "payment.success",
            Self::PaymentFailed { .. } => "payment.failed",
            Self::Delivered { .. } => "payment.delivered",
            Self::NotDelivered { .. } => "payment.not_delivered",
            Self::WrittenOff { .. } => "payment.written_off",
            Self::Account { what: AccountChange::Opened, .. } => "session.opened",
            Self::Account { what: AccountChange::ToppedUp, .. } => "session.topped_up",
            Self::Account { what: AccountChange::Collected, .. } => "session.settled",
            Self::Account { what: AccountChange::Closed, .. } => "session.closed",
        }
    }
}

/// Where a gate tells its events. Sending never waits; a listener that lags misses the oldest.
#[derive(Clone, Debug)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Tells an event, which is only made where someone listens.
    pub(crate) fn send(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            let _ = self.0.send(event());
        }
    }
}
